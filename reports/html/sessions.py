"""Callers that wait for their answers: conversations turn by turn, closed-loop users level by level."""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

from reports.estimate import ShownEstimate, read_estimate
from reports.html.figure import (
    DASHES,
    SYMBOLS,
    Choice,
    Figure,
    LegendEntry,
    Plot,
    axis,
    error_bars,
    layout,
)
from reports.html.markup import Html, join, tag
from reports.html.palette import SERIES, series_role
from reports.html.tables import Definitions, Footnotes, body, number_cell, row, table
from reports.rows import Summary, variant_titles
from reports.words import (
    PER_SECOND,
    PLAIN,
    Scale,
    amount,
    as_chosen,
    count,
    duration_scale,
    in_seconds,
    plural,
    rounded,
    share,
)

STATISTICS = (Choice("p95", "p95"), Choice("p50", "p50"), Choice("mean", "Mean"))
TOLD_TURN_BY_TURN = {"chats": "conversation", "recorded": "recorded session"}
"""By kind of callers, what they have."""
ENDINGS = {
    "completed": "had all their turns",
    "context_limit": "ended where the next turn would not fit the context",
    "unfinished": "went on when the run was over",
}
"""Any other ending is the outcome of a failed answer."""

Found = Mapping[str, Any]


class Series(NamedTuple):
    """One line of a figure."""

    name: str
    x: Sequence[float]
    y: Sequence[ShownEstimate]


def sessions(summary: Summary, definitions: Definitions) -> Html | None:
    """None where no callers wait for their answers."""
    if not any(_labelled(summary)):
        return None
    chats = _of_kind(summary, *TOLD_TURN_BY_TURN)
    figures = [figure for figure in (turns_of(summary), users_of(summary)) if figure]
    return join(
        [tag("p", _sentence(name, one)) for name, one in chats.items()],
        _durations(chats),
        [figure.html(definitions) for figure in figures],
    )


def turns_of(summary: Summary) -> Figure | None:
    """None unless somebody came to a second turn."""
    return _turn_figure(_of_kind(summary, *TOLD_TURN_BY_TURN))


def users_of(summary: Summary) -> Figure | None:
    """Of closed-loop users; None unless there were two numbers of them."""
    return _user_figure(_of_kind(summary, "closed_loop"))


def _of_kind(summary: Summary, *kinds: str) -> dict[str, Found]:
    return {name: one for name, one in _labelled(summary) if one["callers"] in kinds}


def _labelled(summary: Summary) -> Iterator[tuple[str, Found]]:
    titles = variant_titles(summary)
    sources = {one["source"] for v in summary["variants"].values() for one in v.get("sessions", [])}
    for name, variant in summary["variants"].items():
        for one in variant.get("sessions", []):
            parts = [one["source"]] * (len(sources) > 1 or len(titles) == 1)
            yield " · ".join(parts + [titles.get(name, name)] * (len(titles) > 1)), one


def _sentence(name: str, one: Found) -> str:
    began, what = one["began"], TOLD_TURN_BY_TURN[one["callers"]]
    if not began:
        return f"{name}: no {what} began in the measured window."
    told = [
        f"{share(number / began)} {ENDINGS.get(ending, f'ended with an answer that failed ({ending})')}"
        for ending, number in sorted(one["endings"].items(), key=lambda item: -item[1])
    ]
    turns = one["turns"]["value"]
    return f"{name}: {plural(began, what)} of {amount(turns)} turns on average. Of them {', '.join(told)}."


def _durations(chats: Mapping[str, Found]) -> Html | None:
    if not chats:
        return None
    notes = Footnotes("durations")
    lines = [
        row(name, *(notes.cell(read_estimate(one["duration"][s.key])) for s in reversed(STATISTICS)))
        for name, one in chats.items()
    ]
    columns = ["", *(statistic.label for statistic in reversed(STATISTICS))]
    kinds = dict.fromkeys(f"{TOLD_TURN_BY_TURN[one['callers']]}s" for one in chats.values())
    caption = f"How long {' and '.join(kinds)} lasted that had all their turns, pauses included"
    return table(caption, columns, [body(lines)], after=notes.html())


# Turn by turn


def _turn_figure(chats: Mapping[str, Found]) -> Figure | None:
    told = {name: [t for t in one["by_turn"] if t["turn"] is not None] for name, one in chats.items()}
    if not any(len(turns) > 1 for turns in told.values()):
        return None
    lines = {
        statistic: [_by_turn(name, turns, statistic.key) for name, turns in told.items()]
        for statistic in STATISTICS
    }
    values = [e.value or 0.0 for found in lines.values() for line in found for e in line.y]
    if not any(values):
        return None
    scale = duration_scale(*values)
    return Figure(
        "turns",
        "Time to first token, turn by turn",
        "Prompts grow with every turn. What a prefix cache still holds of them is not computed again.",
        f"Lines of the time to first token by turn: {'; '.join(told)}.",
        _plot(lines, scale, "turn", f"time to first token ({scale.symbol})"),
        _turn_table(chats),
        _legend(list(told)),
        _by_completeness(lines),
        ("ttft",),
    )


def _by_turn(name: str, turns: Sequence[Found], statistic: str) -> Series:
    return Series(name, [t["turn"] + 1 for t in turns], [read_estimate(t["ttft"][statistic]) for t in turns])


def _turn_table(chats: Mapping[str, Found]) -> Html:
    notes = Footnotes("turns")
    columns = ["Turn", *(f"TTFT {s.label}" for s in STATISTICS), "Prompt tokens", "In the cache", "Asked"]
    bodies = [
        body([_turn_row(t, notes) for t in one["by_turn"]], name, len(columns)) for name, one in chats.items()
    ]
    return table("Turn by turn", columns, bodies, after=notes.html())


def _turn_row(turn: Found, notes: Footnotes) -> Html:
    prompt, cached = (read_estimate(turn[name]) for name in ("prompt_tokens", "cached_tokens"))
    found = number_cell("") if not prompt.value else number_cell(share((cached.value or 0.0) / prompt.value))
    return row(
        "later" if turn["turn"] is None else count(turn["turn"] + 1),
        *(notes.cell(read_estimate(turn["ttft"][s.key])) for s in STATISTICS),
        notes.cell(prompt, PLAIN),
        found,
        number_cell(count(turn["asked"])),
    )


# By the number of users

RATE = Choice("rate", "Answers per second")
WAIT = Choice("wait", "Mean wait")


def _user_figure(users: Mapping[str, Found]) -> Figure | None:
    points = [
        (name, level["users"], read_estimate(level["answered_per_s"]), read_estimate(level["felt"]["mean"]))
        for name, one in users.items()
        for level in one["levels"]
    ]
    if len({number for _, number, _, _ in points}) < 2:
        return None
    each = {name: [p for p in points if p[0] == name] for name in users}
    if max(len(found) for found in each.values()) < 2:
        each = {"users": points}  # one number in each variant: they are one line
    series = {name: sorted(found, key=lambda p: p[1]) for name, found in each.items()}
    scale = duration_scale(*(wait.value or 0.0 for *_, wait in points))
    lines = {
        RATE: [Series(name, [p[1] for p in found], [p[2] for p in found]) for name, found in series.items()],
        WAIT: [Series(name, [p[1] for p in found], [p[3] for p in found]) for name, found in series.items()],
    }
    return Figure(
        "users",
        "What so many closed-loop users get done",
        "Answers per second of all of them together, or how long each waited. Where that line bends, another "
        "user only makes the others wait.",
        f"Lines of answers per second by the number of users: {'; '.join(series)}.",
        _plot(lines, PLAIN, "users", "answers per second, or mean wait (s)"),
        _user_table(users, scale),
        _legend(list(series)),
        (RATE, WAIT),
        ("felt",),
    )


def _user_table(users: Mapping[str, Found], scale: Scale) -> Html:
    notes = Footnotes("users")
    columns = ["Users", "Answers per second", "Wait, mean", "Wait, p95", "From", "To"]
    bodies = [
        body(
            [
                row(
                    amount(level["users"]),
                    notes.cell(read_estimate(level["answered_per_s"]), PER_SECOND),
                    *(notes.cell(read_estimate(level["felt"][key]), scale) for key in ("mean", "p95")),
                    *(number_cell(in_seconds(level[name])) for name in ("from_s", "to_s")),
                )
                for level in one["levels"]
            ],
            name,
            len(columns),
        )
        for name, one in users.items()
    ]
    return table("By the number of users who were there", columns, bodies, after=notes.html())


# Lines


def _plot(lines: Mapping[Choice, Sequence[Series]], scale: Scale, x_title: str, y_title: str) -> Plot:
    shown = _by_completeness(lines)[0]
    data = [
        _line(line, choice, index, scale) | {"visible": choice is shown}
        for choice, found in lines.items()
        for index, line in enumerate(found)
    ]
    x = axis(x_title, rangemode="tozero")
    return {"data": data, "layout": layout(380, xaxis=x, yaxis=axis(y_title, rangemode="tozero"))}


def _by_completeness(lines: Mapping[Choice, Sequence[Series]]) -> tuple[Choice, ...]:
    """The view that misses least comes first."""
    return tuple(
        sorted(lines, key=lambda choice: sum(e.value is None for line in lines[choice] for e in line.y))
    )


def _line(line: Series, choice: Choice, index: int, scale: Scale) -> Plot:
    given = [(x, y) for x, y in zip(line.x, line.y, strict=True) if y.value is not None]
    role = f"@{series_role(index)}"
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": escape(line.name, quote=False),
        "x": [rounded(x) for x, _ in given],
        "y": [rounded((y.value or 0.0) * scale.factor) for _, y in given],
        "error_y": error_bars([y for _, y in given], scale, role),
        "line": {"color": role, "width": 2.2, "dash": DASHES[_dash(index)]},
        "marker": {"color": role, "size": 8, "symbol": SYMBOLS[index % len(SYMBOLS)]},
        "hovertext": [f"{escape(line.name)}, {as_chosen(x)}: {y.shown(scale).with_unit()}" for x, y in given],
        "hoverinfo": "text",
        "meta": {"choice": choice.key, "series": line.name},
    }


def _legend(names: Sequence[str]) -> tuple[LegendEntry, ...]:
    return tuple(
        LegendEntry(name, series_role(i), dash=_dash(i), series=name) for i, name in enumerate(names)
    )


def _dash(index: int) -> int:
    return index // len(SERIES) % len(DASHES)
