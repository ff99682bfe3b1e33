"""The summary as a table for a terminal: no colour, at most 100 columns."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reports import lifetimes
from reports.answer import answer
from reports.attainment import NOT_JUDGED
from reports.estimate import read_estimate
from reports.faults import sentences
from reports.terminal import WIDTH, columns
from reports.words import (
    DURATIONS,
    PERCENT,
    Scale,
    amount,
    as_chosen,
    count,
    in_seconds,
    number,
    plural,
    share,
    with_half,
)

METRICS = (("felt", "felt"), ("ttft", "TTFT"), ("e2e", "E2E"))
QUANTILES = ("p50", "p95", "p99")
NONE = "-"
MILLISECONDS = DURATIONS[1]
Summary = Mapping[str, Any]


def summary_table(summary: Summary) -> str:
    """The answer, then a block per variant: its verdict, and a row per source. Latencies in ms, ± half of the
    95 % interval; `-` where the data cannot carry the number.
    """
    lines = [summary["title"], *wrapped(f"  {answer(summary).sentence}"), _scale(summary), ""]
    for name, variant in summary["variants"].items():
        verdict = variant["verdict"]
        lines += [
            *wrapped(f"{name}: {verdict['state']}. {verdict['why']}"),
            *_rows(variant),
            *_sessions(variant),
            *_tiers(variant),
        ]
        for sentence in _binding(summary, name):
            lines += wrapped(sentence, "    ")
        for sentence in lifetimes.sentences(variant.get("scaling", ())):
            lines += wrapped(sentence, "    ")
        for sentence in sentences(variant["faults"]) if variant.get("faults") else ():
            lines += wrapped(sentence, "    ")
        lines.append("")
    lines += _differences(summary)
    lines += _uncertainty(summary)
    lines += [line for note in summary["notes"] for line in wrapped(f"Note: {note}")]
    return "\n".join(lines).rstrip() + "\n"


def milliseconds(seconds: float) -> str:
    return number(seconds * MILLISECONDS.factor)


def _scale(summary: Summary) -> str:
    offered = sum(variant["counts"]["offered"] for variant in summary["variants"].values())
    done = plural(summary["replications"], "replication")
    stopped = ", interrupted" if summary["interrupted"] else ""
    measured = f"{as_chosen(summary['warm_up_s'])} to {in_seconds(summary['horizon_s'])}"
    return f"{offered:,} model requests measured, {done} of {measured}{stopped}; times in ms"


def _rows(variant: Summary) -> list[str]:
    head = ["source", "place", "", *QUANTILES, "met", "rejected"]
    body = [row for group in variant["groups"] for row in _group_rows(group)]
    return columns([head, *body], left=3, shrinking=(0, 1))


def _group_rows(group: Summary) -> Iterator[list[str]]:
    """The felt row only where there is an app: without one it equals E2E."""
    place = f"{group['place']} > {group['app_place']}" if group["app"] else group["place"]
    shown = [(name, title) for name, title in METRICS if name != "felt" or group["app"]]
    offered = group["counts"]["offered"]
    rejected = sum(count for name, count in group["counts"].items() if name.startswith("rejected_"))
    ends = [percent(group["attainment"]), share(rejected / offered) if offered else NONE]
    for index, (name, title) in enumerate(shown):
        latencies = [latency(group["metrics"][name][quantile]) for quantile in QUANTILES]
        named, closing = ([group["source"], place], ends) if index == 0 else (["", ""], ["", ""])
        yield [*named, title, *latencies, *closing]


def _binding(summary: Summary, variant: str) -> Iterator[str]:
    """What limits each model first, and what next."""
    for ladder in summary["facts"].get("ladders_by_variant", {}).get(variant, ()):
        first, *others = ladder["rungs"]
        then = f", then {others[0]['title']} at {number(others[0]['at_per_s'])}/s" if others else ""
        yield (
            f"  {ladder['model']}: {first['title']} binds first, at {number(first['at_per_s'])}/s of "
            f"{number(ladder['offered_per_s'])}/s asked{then} (closed form)"
        )


def _tiers(variant: Summary) -> Iterator[str]:
    """A sentence for each tier with objectives of its own, and for the others."""
    for found in variant.get("tiers", []):
        name = f"tier {found['tier']}" if found["tier"] else "no tier"
        told = f"{name} ({found['objectives']}): {percent(found['attainment'])} of {found['asked']:,} met"
        yield from wrapped(f"  {told}", "    ")


def _sessions(variant: Summary) -> Iterator[str]:
    """A sentence for each source whose callers wait for their answers."""
    for found in variant.get("sessions", []):
        told = _levels(found["levels"]) if "levels" in found else _conversations(found)
        if told:
            yield from wrapped(f"  {found['source']}: {told}", "    ")


def _conversations(found: Summary) -> str:
    began = found["began"]
    if not began:
        return ""
    ordered = sorted(found["endings"].items(), key=lambda item: -item[1])
    endings = ", ".join(f"{name} {share(ended / began)}" for name, ended in ordered)
    return f"{plural(began, 'session')} of {amount(found['turns']['value'])} turns on average: {endings}"


def _levels(levels: Sequence[Summary]) -> str:
    """The first and the last number of users."""
    ends = [levels[0], levels[-1]] if len(levels) > 1 else levels
    each = (f"{number(one['answered_per_s']['value'])} with {amount(one['users'])} users" for one in ends)
    return f"answers per second: {', '.join(each)}" if ends else ""


def latency(estimate: Summary) -> str:
    return _estimate(estimate, MILLISECONDS)


def percent(estimate: Summary) -> str:
    """A share with its sign; its interval in points."""
    if "refused" in estimate:
        return "not judged" if estimate["refused"].startswith(NOT_JUDGED) else NONE
    if estimate["low"] is None or estimate["high"] is None:
        return share(estimate["value"])
    return f"{_estimate(estimate, PERCENT)} %"


def _estimate(estimate: Summary, scale: Scale) -> str:
    found = read_estimate(estimate)
    if found.value is None:
        return NONE
    if found.low is None or found.high is None:
        return number(found.value * scale.factor)
    return with_half(found.value, found.low, found.high, scale)


def _differences(summary: Summary) -> list[str]:
    if not summary["differences"]:
        return []
    baseline = next(iter(summary["variants"]))
    apps = any(group["app"] for variant in summary["variants"].values() for group in variant["groups"])
    what = "felt latency of user requests" if apps else "end-to-end time"
    lines = [f"Against {baseline}, {what} in ms (\N{ALMOST EQUAL TO} 0: not told from chance):"]
    for name, sources in summary["differences"].items():
        for entry in sources:
            lines += wrapped(f"  {name}, {entry['source']}: {_changes(entry['metric']['felt'])}", "    ")
            if "both" in entry:
                lines += wrapped(f"    {_of_both(entry['both'])}", "      ")
    return [*lines, ""]


def _of_both(both: Summary) -> str:
    """The variants completed different requests, so what differs above may be who was let in."""
    others = f"{count(both['only_baseline'])} and {count(both['only_variant'])}"
    told = f"on the {count(both['completed'])} that both completed ({others} were completed by one alone)"
    return f"{told}: {_changes(both['metric']['felt'])}"


def _uncertainty(summary: Summary) -> list[str]:
    """What moves the first row the most, and what it leaves out; the rest stands in the report."""
    drawn = summary.get("uncertainty")
    if not drawn:
        return []
    leading = next((found[0] for found in drawn["tornado"].values()), None)
    if leading is None:
        return [*wrapped(" ".join([f"Uncertain values, {drawn['draws']} draws.", *drawn["notes"]])), ""]
    variant, source = next(iter(drawn["tornado"])), leading["source"]
    told, first = leading["statistic"], leading["rows"][0]
    bands = next(entry for entry in drawn["bands"][variant] if entry["source"] == source)["metric"]
    band = bands[leading["metric"]][told]
    line = (
        f"Uncertain values, {drawn['draws']} draws of {len(drawn['values'])}: {leading['metric']} {told} of "
        f"{source} in {variant} from {milliseconds(band['low'])} to {milliseconds(band['high'])} ms, most by "
        f"{first['name']}."
    )
    centre = next(g for g in summary["variants"][variant]["groups"] if g["source"] == source)
    value = centre["metrics"][leading["metric"]][told].get("value")
    if value is not None and not band["low"] <= value <= band["high"]:
        line += (
            f" The table's {milliseconds(value)} ms lies outside: the ranges lean to one side of the values."
        )
    return [*wrapped(line), ""]


def _changes(felt: Summary) -> str:
    known = {name: felt[name] for name in ("mean", *QUANTILES) if "value" in felt[name]}
    if not known:
        return "too few requests to compare"
    if not any(estimate["value"] for estimate in known.values()):
        return "unchanged"
    return ", ".join(_change(name, estimate) for name, estimate in known.items())


def _change(name: str, estimate: Summary) -> str:
    """Sure, with its sign; told from chance or not; in brackets without an interval."""
    found = read_estimate(estimate)
    signed = f"{'+' if (found.value or 0.0) >= 0 else ''}{latency(estimate)}"
    if not found.has_interval:
        return f"{name} ({signed})"
    return f"{name} {signed}" if found.excludes_zero else f"{name} \N{ALMOST EQUAL TO} 0 ({signed})"


def wrapped(text: str, indent: str = "  ") -> list[str]:
    """Lines of at most WIDTH; the later ones stand further in."""
    lines: list[str] = []
    line = text[: len(text) - len(text.lstrip())]
    for word in text.split():
        if len(line) + len(word) + 1 > WIDTH and line.strip():
            lines.append(line.rstrip())
            line = indent
        line += word + " "
    return [*lines, line.rstrip()]
