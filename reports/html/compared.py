"""The comparison of runs as a small page of its own: no script, nothing fetched.

Verdicts differ in word, sign, shape and weight, so that no reader needs the colours.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from reports.compared.sentences import Pair, answer, changed, differences_of, remarks, where
from reports.compared.text import sign, word
from reports.estimate import read_estimate
from reports.html.markup import Html, join, tag
from reports.html.small_page import small_page
from reports.html.tables import Footnotes, body, row, table
from reports.html.whiskers import WHISKER_STYLE, whisker
from reports.words import MINUS, PERCENT, as_chosen

TITLES = {
    "felt": "User-felt latency",
    "ttft": "Time to first token",
    "e2e": "End-to-end time",
    "attainment": "Attainment",
}
STYLE = """
td.told { white-space: nowrap; }
td.real { font-weight: 700; }
td.noise, td.same { color: var(--muted); font-style: italic; }
td.cannot_tell { text-decoration: underline dotted; text-underline-offset: 3px; }
"""


def render_comparison(found: Mapping[str, Any]) -> str:
    first, *others = (run["letter"] for run in found["runs"])
    sections = [_section(found, first, letter) for letter in others]
    several = "runs" if len({run["path"] for run in found["runs"]}) > 1 else "variants"
    title = f"{len(others) + 1} {several} compared"
    header = tag("header", tag("h1", title))
    how = tag("section", tag("h2", "How"), _runs(found), _remarks(found))
    main = tag("main", sections, how, id="content")
    return small_page(title, join(header, main), STYLE + WHISKER_STYLE)


def _section(found: Mapping[str, Any], first: str, letter: str) -> Html:
    tables = [
        _table(first, letter, variant, list(pairs))
        for variant, pairs in groupby(differences_of(found, letter), key=lambda pair: pair.row["variant"])
    ]
    names = {run["letter"]: run["variant"] or run["path"] for run in found["runs"]}
    heading = tag("h2", f"{letter} less {first}: {names[letter]} against {names[first]}")
    return tag("section", heading, tag("p", answer(found, letter, _named)), tables)


def _named(pair: Pair) -> str:
    shown = read_estimate(pair.difference)
    plus = "+" if pair.difference["value"] > 0 else ""
    name = f"{where(pair.row)} {_title(pair.row)}"
    if pair.row["metric"] == "attainment":
        return f"{name} {plus}{shown.shown(PERCENT).with_unit()}"
    return f"{name} {plus}{shown.with_error()} ({_changed(pair)})"


def _table(first: str, letter: str, variant: str, pairs: Sequence[Pair]) -> Html:
    notes = Footnotes(f"compared-{letter}-{variant}")
    columns = ["", first, letter, f"{letter} less {first}", "of " + first, "", ""]
    bodies = [
        body([_line(pair, notes) for pair in of_source], source, len(columns))
        for source, of_source in groupby(pairs, key=lambda pair: str(pair.row["source"]))
    ]
    caption = f"{variant or 'By source'}: each number with its 95 % interval, and whether it differs"
    return table(caption, columns, bodies, after=notes.html())


def _line(pair: Pair, notes: Footnotes) -> Html:
    shares, difference = pair.row["metric"] == "attainment", pair.difference
    scale = PERCENT if shares else None
    cells = [notes.cell(read_estimate(one), scale) for one in (pair.before, pair.after, difference)]
    of = _changed(pair) if "value" in difference and not shares and pair.before.get("value") else ""
    verdict = tag(
        "td",
        tag("span", sign(difference), aria_hidden="true"),
        f" {word(difference)}",
        class_=f"told {difference['verdict']}",
    )
    return row(_title(pair.row), *cells, tag("td", of, class_="number"), tag("td", whisker(pair)), verdict)


def _changed(pair: Pair) -> str:
    return changed(pair).replace("-", MINUS)


def _title(one: Mapping[str, Any]) -> str:
    title = TITLES[one["metric"]]
    return title if one["metric"] == "attainment" else f"{title}, {one['statistic']}"


def _runs(found: Mapping[str, Any]) -> Html:
    columns = ["", "Directory", "Scenario", "Replications", "Seconds", "Seed", "Commit"]
    lines = [
        row(
            run["letter"],
            run["path"] + (f", {run['variant']}" if run["variant"] else ""),
            run["scenario"],
            str(run["replications_done"]),
            f"{as_chosen(run['warm_up_s'])} to {as_chosen(run['horizon_s'])}",
            str(run["seed"]),
            run["commit"],
        )
        for run in found["runs"]
    ]
    return table("The runs", columns, [body(lines)])


def _remarks(found: Mapping[str, Any]) -> Html:
    items = [tag("li", sentence) for sentence in remarks(found)]
    return join(tag("ul", items), list(_diffs(found)))


def _diffs(found: Mapping[str, Any]) -> Iterator[Html]:
    first = found["runs"][0]["letter"]
    for letter, lines in found["scenario_diff"].items():
        if lines:
            summary = tag("summary", f"What the scenarios of {first} and {letter} say differently")
            yield tag("details", summary, tag("pre", "\n".join(lines)))
