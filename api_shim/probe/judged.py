"""The hypotheses of a run in the report of a probe: what was said, what was measured, and the verdict."""

from collections.abc import Mapping
from typing import Any

from api_shim.probe.verdicts import REFUTED, SUPPORTED, UNDECIDED
from reports.html.markup import Html, join, tag
from reports.html.tables import body, number_cell, row, table
from reports.words import RANGE, Scale, number, with_interval

MILLISECONDS = Scale("ms", 1.0)
SIGNS = {
    SUPPORTED: ("good", "\N{CHECK MARK}"),
    REFUTED: ("bad", "\N{MULTIPLICATION SIGN}"),
    UNDECIDED: ("open", "?"),
}
NONE = "\N{EM DASH}"


def outcome(against: Mapping[str, Any]) -> str:
    found = [one["verdict"] for one in against["hypotheses"]]
    counts = ", ".join(f"{found.count(verdict)} {verdict}" for verdict in (SUPPORTED, REFUTED, UNDECIDED))
    return f"Of {len(found)} predictions of the run {against['run']}: {counts}."


def judged(against: Mapping[str, Any] | None) -> Html | None:
    if against is None:
        return None
    lines = [
        row(
            f"{one['name']}: {one['metric']} {one['statistic']} of {one['source']}",
            _verdict(one["verdict"]),
            number_cell(f"{number(one['low_ms'])}{RANGE}{number(one['high_ms'])} ms"),
            _measured(one),
            number_cell(f"{one['requests']:,}"),
            number_cell("more than tried" if one["needs"] is None else f"{one['needs']:,}"),
        )
        for one in against["hypotheses"]
    ]
    columns = ["", "Verdict", "Predicted", "Measured", "Requests", "Needed"]
    level = f"{100 * against['level_of_each']:.4g} %"
    told = (
        f"Intervals of {level} each, so that a run that is right in everything is refuted in anything by "
        "chance in at most 1 of 20 probes. Needed: so many requests decide it if the run is right."
    )
    notes = [tag("li", f"{one}.") for one in (*against["notes"], *against["left_out"])]
    return join(
        table("Each prediction and what was measured", columns, [body(lines)]),
        tag("p", told),
        tag("ul", notes) if notes else None,
    )


def _measured(one: Mapping[str, Any]) -> Html:
    if one["measured_ms"] is None:
        return number_cell(NONE)
    shown = with_interval(one["measured_ms"], one["measured_low_ms"], one["measured_high_ms"], MILLISECONDS)
    return tag("td", shown.with_unit(), " ", tag("small", shown.interval or "no interval"), class_="number")


def _verdict(verdict: str) -> Html:
    kind, sign = SIGNS[verdict]
    return tag("td", tag("span", sign, class_=f"sign {kind}", aria_hidden="true"), verdict)
