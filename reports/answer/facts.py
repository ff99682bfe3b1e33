"""The verdict in a few facts, each with a sign and a word: a tick stands only where nothing is wrong."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from reports.answer.phrases import capital, listed
from reports.answer.refusals import TurnedAway, became, called, refused_sources
from reports.estimate import read_estimate
from reports.objectives import stated
from reports.rows import Row, Summary, rows_of, short_titles
from reports.variant_records import of_variant
from reports.words import count, duration, number, plural, share

MISSED = 0.01
"""Of the asks, from which on an objective counts as missed."""
MOST = 4
Sign = Literal["good", "warn", "bad", "open"]


class Fact(NamedTuple):
    sign: Sign
    head: str
    detail: str = ""


def facts(summary: Summary) -> list[Fact]:
    """At most MOST. Who is turned away, whether the platform keeps up, who misses, and what is not known."""
    rows = rows_of(summary)
    if not rows:
        return []
    away = refused_sources(summary, rows)
    found = [_of_source(ones, summary, rows) for ones in away[:2]]
    found.append(_kept_up(summary, refusing=bool(away)))
    return [*found, *_objectives(summary), *_unknown(summary)][:MOST]


def _of_source(ones: Sequence[TurnedAway], summary: Summary, rows: Sequence[Row]) -> Fact:
    ordered = sorted(ones, key=lambda one: one.share.value or 0.0)
    low, high = (one.share.value or 0.0 for one in (ordered[0], ordered[-1]))
    span = (
        share(high) if len(ones) == 1 or low == high else f"{share(low).removesuffix(' %')} to {share(high)}"
    )
    name = called(ones[0].row.source, rows)
    return Fact("warn", f"{name}: {span} {became(ones)}", _asked(summary, name))


def _asked(summary: Summary, tenant: str) -> str:
    """How much of the limit that it meets first a tenant asks, on average."""
    for ladders in summary["facts"].get("ladders_by_variant", {}).values():
        for rung in (rung for ladder in ladders for rung in ladder["rungs"]):
            if rung["detail"].endswith(f"project {tenant}"):
                asked = f"asks {share(1 / rung['times'])} of it on average"
                return f"{rung['title']}: {asked}{', and bursts exceed it' if rung['times'] >= 1 else ''}"
    return ""


def _kept_up(summary: Summary, *, refusing: bool) -> Fact:
    titles = short_titles(summary)
    by_state: dict[str, list[str]] = {}
    for name, variant in summary["variants"].items():
        by_state.setdefault(variant["verdict"]["state"], []).append(titles[name])
    detail = _load(list(summary["variants"].values()))
    for state, sign in (("overloaded", "bad"), ("backlogged", "warn")):
        if state in by_state:
            those = listed(by_state[state]) if len(titles) > 1 else ""
            return Fact(
                "bad" if sign == "bad" else "warn", f"{capital(state)}{f': {those}' if those else ''}", detail
            )
    if refusing:
        return Fact("good", "The nodes keep up with what is let in", detail)
    every = {1: "", 2: " in both variants"}.get(len(titles), f" in all {len(titles)} variants")
    return Fact("good", f"Stable{every}", detail)


def _load(variants: Sequence[Mapping[str, Any]]) -> str:
    carried = [
        v["rates"]["carried_per_s"]["value"] for v in variants if "value" in v["rates"]["carried_per_s"]
    ]
    busy = [n["utilisation"]["value"] for v in variants for n in v["nodes"] if "value" in n["utilisation"]]
    parts = []
    if carried:
        parts.append(f"{_span([number(x) for x in (min(carried), max(carried))])} requests/s carried")
    if busy:
        parts.append(f"nodes {_span([count(x * 100) for x in (min(busy), max(busy))])} % busy")
    return " · ".join(parts)


def _span(ends: Sequence[str]) -> str:
    return ends[0] if ends[0] == ends[1] else f"{ends[0]} to {ends[1]}"


def _objectives(summary: Summary) -> Iterator[Fact]:
    """Shares under different objectives stand side by side only with their objectives named apart."""
    limits = {name: stated(of_variant(summary["facts"], "slo", name) or {}) for name in summary["variants"]}
    if not any(limits.values()):
        return
    titles = short_titles(summary)
    missed: list[tuple[float, str]] = []
    met: list[tuple[float, str]] = []
    for name, variant in summary["variants"].items():
        found = read_estimate(variant["rates"].get("attainment"))
        if found.value is None or not limits[name]:
            continue
        (missed if 1 - found.value >= MISSED else met).append((1 - found.value, titles[name]))
    one = len(set(limits.values())) == 1
    detail = next(iter(limits.values())) if one else "each variant by objectives of its own"
    if missed:
        each = [
            f"{title} {share(part)}" if len(titles) > 1 else share(part)
            for part, title in sorted(missed, reverse=True)
        ]
        yield Fact("warn", f"Objective missed: {listed(each, 3)}", detail)
    elif met:
        worst = max(part for part, _ in met)
        least = share(1 - worst)
        or_more = " or more" if len(met) > 1 and least[0].isdigit() and worst else ""
        yield Fact("good", f"Objective met: {least}{or_more}", detail)


def _unknown(summary: Summary) -> Iterator[Fact]:
    """What no interval here holds: the other reading of a chip, or values that are assumed."""
    for entry in summary["facts"].get("readings", [])[:1]:
        found = entry["ttft"][len(entry["ttft"]) // 2]
        yield Fact(
            "open",
            f"No interval covers the prefill of {entry['used']}",
            f"as {entry['other']} {duration(found['other_s'])} instead of {duration(found['used_s'])} "
            f"for {found['prompt_tokens']:,} tokens",
        )
        return
    assumed = len(summary["facts"].get("assumed", []))
    if assumed:
        yield Fact("open", f"Rests on {plural(assumed, 'assumed value')}", "")
