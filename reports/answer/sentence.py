"""The sentence that answers a run: by refusals where requests are turned away, else by what users wait."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from reports.answer.changes import Change, ToldNumber, changes_of, told_of
from reports.answer.phrases import are_places, at_most, capital, listed, per_cent, span, times, where
from reports.answer.refusals import refusals
from reports.answer.routes import routes_of
from reports.estimate import ShownEstimate
from reports.rows import Row, Summary, rows_by_source, rows_of, short_titles
from reports.words import number, plural

NEAR = 0.15
"""Of the baseline: a variant whose interval stays within is near it."""
MOST_TOLD = 3
MANY_TIMES = 3.0
"""More by so many times the baseline: then told as a multiple of it. Changes that differ so are not alike."""
Say = Callable[[Summary, Sequence[Row]], str | None]
"""None where that is not what the run is about."""


class Answered(NamedTuple):
    kind: str
    """Which figure shows it: a key of ANSWERS."""
    sentence: str


def answer(summary: Summary) -> Answered:
    rows = rows_of(summary)
    for kind, say in ANSWERS.items():
        sentence = say(summary, rows)
        if sentence is not None:
            return Answered(kind, capital(sentence))
    raise AssertionError("the last answer is given for every run")


def _nothing(_: Summary, rows: Sequence[Row]) -> str | None:
    if not rows:
        return "Nothing ran, so there is no answer."
    if not any(row.outcome("offered") for row in rows):
        return "Nobody asked for anything in the measured time, so there is no answer."
    return None


def _overload(summary: Summary, rows: Sequence[Row]) -> str | None:
    """Where nothing keeps up, waits say no more than how long the run was."""
    if any(row.state != "overloaded" for row in rows):
        return None
    titles, told = short_titles(summary), []
    for name, variant in summary["variants"].items():
        rates = variant["rates"]
        carried, asked = (rates[key].get("value") for key in ("carried_per_s", "asked_per_s"))
        if carried is not None and asked is not None:
            told.append((carried / asked if asked else 1.0, carried, asked, titles[name]))
    if not told:
        return "The platform is overloaded."
    _, carried, asked, title = max(told)
    if len(told) == 1:
        return f"The platform is overloaded: it carries {number(carried)} of {number(asked)} requests/s."
    best = f"the best carries {number(carried)} of {number(asked)} requests/s, {where(title)}"
    return f"Every variant is overloaded: {best}."


def _calls(summary: Summary, rows: Sequence[Row]) -> str | None:
    """What a user waits for with the fewest and with the most calls."""
    routes = routes_of(rows)
    if not routes:
        return None
    changes = changes_of(summary, rows)
    told = [line for lines in routes.values() for line in lines]
    statistic = told_of(summary, [c for c in changes if c.row in told], told, "felt")
    first = next(iter(routes.values()))
    few, many = first[0], first[-1]
    if few.state == "overloaded":
        return None
    level = _level(few, statistic)
    named = _named([few, many], statistic)
    lead = f"{plural(few.calls, 'call')} {'takes' if few.calls == 1 else 'take'} {level}"
    if len({line.variant for line in told}) < 2:
        return f"{lead}, {many.calls} take {_level(many, statistic)} ({named})."
    titles = short_titles(summary)
    fewest, most = (
        {
            change.row.variant: change
            for change in changes
            if change.row.calls == one.calls and change.row in told
        }
        for one in (few, many)
    )
    near, others = _by_calls(fewest, most, many.calls, titles, statistic)
    return f"{lead} {where(titles[few.variant])} ({named}){near}{others}."


def _by_calls(
    few: dict[str, Change],
    many: dict[str, Change],
    most_calls: int,
    titles: dict[str, str],
    statistic: ToldNumber,
) -> tuple[str, str]:
    """Who is near the baseline with the fewest calls, and who is not with the most."""
    near = [name for name, change in few.items() if _is_near(change, statistic)]
    far = [name for name in few if name not in near]
    first = ""
    if near:
        within = at_most(*(few[name].relative(statistic) for name in near))
        first = f", within {within} of that {_all_but(near, far, titles)}"
    elif far:
        first = f", {listed([_more(few[name], titles[name], statistic) for name in far], MOST_TOLD)}"
    steeper = sorted(
        (name for name in many if many[name].sure(statistic) and not _is_near(many[name], statistic)),
        key=lambda name: abs(many[name].relative(statistic).value or 0.0),
    )[-MOST_TOLD:]
    if steeper:
        told = listed([_more(many[name], titles[name], statistic) for name in steeper])
        return first, f"; {most_calls} calls take {told}"
    if many and all(_is_near(change, statistic) for change in many.values()):
        return (
            first,
            f"; {most_calls} calls {at_most(*(c.relative(statistic) for c in many.values()))} more or less",
        )
    return first, f"; with {most_calls} calls no difference is told from chance" if many else ""


def _all_but(near: Sequence[str], far: Sequence[str], titles: dict[str, str]) -> str:
    everything = "everywhere" if are_places(list(titles.values())) else "with every other variant"
    if not far:
        return everything if len(near) > 1 else where(titles[near[0]])
    if len(near) > len(far):
        return f"{everything} but {listed([where(titles[name]) for name in far])}"
    return listed([where(titles[name]) for name in near])


def _is_near(change: Change, statistic: ToldNumber) -> bool:
    found = change.relative(statistic)
    ends = [abs(x) for x in (found.value, found.low, found.high) if x is not None]
    return found.has_interval and max(ends) <= NEAR


def _waits(summary: Summary, rows: Sequence[Row]) -> str:
    """What the whole answer takes, and what each variant makes of it."""
    changes = changes_of(summary, rows)
    statistic = told_of(summary, changes, [row for row in rows if row.state != "overloaded"])
    titles, by_source = short_titles(summary), rows_by_source(list(rows))
    first, named = rows[0], _named(rows, statistic)
    if len({row.variant for row in rows}) == 1:
        return f"{statistic.subject} takes {_of_sources(rows, statistic)} ({named})."
    lead = (
        f"{statistic.subject} takes {_level(first, statistic)}{_for(first, by_source)} "
        f"{where(titles[first.variant])} ({named}{_overloaded(first)})"
    )
    clauses = _by_variant(rows, changes, titles, statistic)
    return f"{'; '.join([lead, *clauses])}."


def _of_sources(rows: Sequence[Row], statistic: ToldNumber) -> str:
    """Each of a few, the least and the most of many."""
    several = len(rows) > 1
    if len(rows) <= MOST_TOLD:
        return listed([f"{_level(row, statistic)}{f' for {row.source}' if several else ''}" for row in rows])
    known = sorted(
        (row for row in rows if statistic.of(row).value is not None),
        key=lambda row: statistic.of(row).value or 0.0,
    )
    if not known:
        return "times that cannot be given"
    ends = [f"{_level(row, statistic)} for {row.source}" for row in (known[0], known[-1])]
    return f"from {ends[0]} to {ends[1]}, of {plural(len(rows), 'source')}"


def _by_variant(
    rows: Sequence[Row], changes: Sequence[Change], titles: dict[str, str], statistic: ToldNumber
) -> list[str]:
    """The largest changes first, where there are more than a reader would take in."""
    by_variant: dict[str, list[Change]] = {}
    for change in changes:
        by_variant.setdefault(change.row.variant, []).append(change)
    several = len({row.source for row in rows}) > 1
    told = sorted(
        by_variant, key=lambda name: -max(abs(c.relative(statistic).value or 0.0) for c in by_variant[name])
    )
    kept = [name for name in by_variant if name in told[:MOST_TOLD]]
    clauses = [_of_variant(by_variant[name], titles[name], statistic, several=several) for name in kept]
    left = len(by_variant) - len(kept)
    if left:
        clauses.append(f"{plural(left, 'other variant')} {'changes' if left == 1 else 'change'} it less")
    if rows[0].state == "overloaded":
        return _beside_overload(rows, titles, statistic)
    overloaded = dict.fromkeys(row.variant for row in rows if row.state == "overloaded")
    if overloaded:
        clauses.append(f"overloaded {listed([where(titles[name]) for name in overloaded])}")
    return clauses


def _beside_overload(rows: Sequence[Row], titles: dict[str, str], statistic: ToldNumber) -> list[str]:
    """Levels, where the baseline cannot be compared with."""
    told = [row for row in rows if row.source == rows[0].source and row.variant != rows[0].variant]
    return [
        f"{_level(row, statistic)} {where(titles[row.variant])}{_overloaded(row)}" for row in told[:MOST_TOLD]
    ]


def _overloaded(row: Row) -> str:
    return ", overloaded" if row.state == "overloaded" else ""


def _of_variant(changes: Sequence[Change], title: str, statistic: ToldNumber, *, several: bool) -> str:
    sure = [change for change in changes if change.sure(statistic)]
    if not sure:
        return _unsure(changes, title, statistic)
    if not several:
        return _more(sure[0], title, statistic)
    if len(sure) == len(changes) and _alike([c.relative(statistic).value or 0.0 for c in sure]):
        return f"{span([c.relative(statistic) for c in sure])} for every source {where(title)}"
    sure.sort(key=lambda change: -abs(change.relative(statistic).value or 0.0))
    parts = [f"{_amount(change, statistic)} for {change.row.source}" for change in sure[:2]]
    rest = len(changes) - len(parts)
    open_ = f" (of {plural(len(changes), 'source')})" if rest else ""
    return f"{' and '.join(parts)}{open_} {where(title)}"


def _alike(sizes: Sequence[float]) -> bool:
    """In one direction, and none so much larger than another that a span would hide it."""
    return min(sizes) * max(sizes) > 0 and max(map(abs, sizes)) <= MANY_TIMES * min(map(abs, sizes))


def _unsure(changes: Sequence[Change], title: str, statistic: ToldNumber) -> str:
    estimates = [change.estimate(statistic) for change in changes]
    if all(e.value == 0.0 and e.has_interval and not e.has_spread for e in estimates):
        return f"exactly as long {where(title)}"
    if any(e.has_interval for e in estimates):
        return f"no difference told from chance {where(title)}"
    return f"{_level(changes[0].row, statistic)} {where(title)}, with no interval for the difference"


def _more(change: Change, title: str, statistic: ToldNumber) -> str:
    if not change.sure(statistic):
        return f"no difference told from chance {where(title)}"
    both = " on requests that both completed" if change.both else ""
    return f"{_amount(change, statistic)}{both} {where(title)}"


def _amount(change: Change, statistic: ToldNumber) -> str:
    found = change.relative(statistic)
    if (found.low or 0.0) >= MANY_TIMES:
        return f"{times(found)} as long"
    return f"{per_cent(found)} {'more' if (found.value or 0.0) > 0 else 'less'}"


def _named(rows: Sequence[Row], statistic: ToldNumber) -> str:
    """The statistic of levels, and whether any of them has an interval."""
    known = any(statistic.of(row).has_interval for row in rows)
    return statistic.named if known else f"{statistic.named}, without intervals"


def _level(row: Row, statistic: ToldNumber) -> str:
    found: ShownEstimate = statistic.of(row)
    return found.shown().with_unit() if found.value is not None else "a time that cannot be given"


def _for(line: Row, by_source: dict[str, list[Row]]) -> str:
    return f" for {line.source}" if len(by_source) > 1 else ""


ANSWERS: dict[str, Say] = {
    "nothing": _nothing,
    "overload": _overload,
    "refusals": refusals,
    "calls": _calls,
    "waits": _waits,
}
"""The first that applies. A new one is a function and a line here, and its figure in `html.first_screen`."""
