"""The comparison of runs as a small page of its own: no script, nothing fetched."""

from collections.abc import Mapping, Sequence
from importlib.resources import files
from itertools import groupby
from typing import Any

from reports.compared_text import pairing
from reports.estimate import read_estimate
from reports.html.markup import Html, join, tag
from reports.html.palette import css_variables
from reports.html.tables import Footnotes, body, row, table
from reports.words import PERCENT

TITLES = {
    "felt": "User-felt latency",
    "ttft": "Time to first token",
    "e2e": "End-to-end time",
    "attainment": "Attainment",
}
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def render_comparison(found: Mapping[str, Any]) -> str:
    letters = [run["letter"] for run in found["runs"]]
    sections = [
        tag("section", tag("h2", variant), _headlines(letters, variant, list(rows)))
        for variant, rows in groupby(found["rows"], key=lambda row: row["variant"])
    ]
    header = tag("header", tag("h1", f"{len(letters)} runs compared"))
    main = tag("main", tag("section", _runs(found), _remarks(found)), sections, id="content")
    return _document(f"{len(letters)} runs compared", join(header, main))


def _runs(found: Mapping[str, Any]) -> Html:
    columns = ["", "Directory", "Scenario", "Replications", "Seconds", "Seed", "Commit"]
    lines = [
        row(
            run["letter"],
            run["path"],
            run["scenario"],
            str(run["replications_done"]),
            f"{run['warm_up_s']:g} to {run['horizon_s']:g}",
            str(run["seed"]),
            run["commit"],
        )
        for run in found["runs"]
    ]
    return table("The runs", columns, [body(lines)])


def _remarks(found: Mapping[str, Any]) -> Html:
    first = found["runs"][0]["letter"]
    warnings = [tag("li", tag("strong", "Warning: "), warning) for warning in found["warnings"]]
    methods = [tag("li", pairing(first, letter, how)) for letter, how in found["paired"].items()]
    diffs = [
        tag(
            "details",
            tag("summary", f"What the scenarios of {first} and {letter} say differently"),
            _pre(lines),
        )
        for letter, lines in found["scenario_diff"].items()
        if lines
    ]
    return join(tag("ul", warnings, methods), diffs)


def _pre(lines: Sequence[str]) -> Html:
    return tag("pre", "\n".join(lines))


def _headlines(letters: Sequence[str], variant: str, rows: Sequence[Mapping[str, Any]]) -> Html:
    notes, columns = Footnotes(f"compared-{variant}"), ["", letters[0]]
    for letter in letters[1:]:
        columns += [letter, f"{letter} less {letters[0]}"]
    bodies = [
        body([_line(one, notes) for one in lines], source, len(columns))
        for source, lines in groupby(rows, key=lambda one: str(one["source"]))
    ]
    caption = f"{variant}: each number with its 95 % interval, and what it differs by"
    return table(caption, columns, bodies, after=notes.html())


def _line(one: Mapping[str, Any], notes: Footnotes) -> Html:
    shares = one["metric"] == "attainment"
    scale = PERCENT if shares else None
    cells = [notes.cell(read_estimate(one["values"][0]), scale)]
    for value, difference in zip(one["values"][1:], one["differences"], strict=True):
        cells += [notes.cell(read_estimate(value), scale), notes.cell(read_estimate(difference), scale)]
    title = TITLES[one["metric"]]
    return row(title if shares else f"{title}, {one['statistic']}", *cells)


def _document(title: str, content: Html) -> str:
    style = (files("reports") / "assets" / "report.css").read_text(encoding="utf-8")
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        tag("style", Html(css_variables()), Html(style)),
    )
    return f"<!doctype html>\n{tag('html', head, tag('body', content), lang='en')}\n"
