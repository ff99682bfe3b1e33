"""Latencies beside load, batch and nodes over one axis of time."""

import re
from typing import Any

import pytest

from reports.explained.over_time import LatencyCourse
from reports.explained.whole_run import Explained, ExplainedSource
from reports.html.figure import Figure
from reports.html.latency_course import panel_title
from reports.html.over_time import over_time
from reports.html.shades import FIRST_AXIS
from reports.html.stretch import stretch
from tests.support.summaries import group, summary, variant

EDGES = [0.0, 100.0, 200.0, 300.0]
VALUES: dict[str, list[float | None]] = {
    "p50": [0.1, 0.2, 0.1],
    "p95": [0.3, 0.5, None],
    "p99": [None, None, None],
}


def course(source: str, requests: int) -> ExplainedSource:
    return ExplainedSource({}, [], LatencyCourse(source, "llama", EDGES, VALUES, requests))


def explained(*sources: tuple[str, int]) -> Explained:
    return {("edge", source): course(source, requests) for source, requests in sources}


def figure_of(found: Explained | None, **nodes: list[float]) -> Figure:
    one = variant(group("few"), group("many"))
    for name, values in nodes.items():
        one["series"]["models"]["llama"][name] = {"mean": values, "low": values, "high": values}
    drawn = over_time(summary({"edge": one}), {}, found)
    assert drawn is not None
    return drawn


def traces(figure: Figure, name: str) -> list[Any]:
    return [trace for trace in figure.plot["data"] if trace["name"] == name]


def test_each_source_has_a_panel_above_the_others_with_a_line_for_each_quantile() -> None:
    figure = figure_of(explained(("few", 10), ("many", 90)))
    assert [trace["yaxis"] for trace in traces(figure, "p50")] == ["y6", "y7"]
    assert traces(figure, "p95")[0]["x"] == [50, 150, 250]
    assert traces(figure, "p95")[0]["y"] == [0.3, 0.5, None]
    layout = figure.plot["layout"]
    titles = {note["text"]: note["y"] for note in layout["annotations"]}
    assert sorted(titles, key=lambda title: -titles[title])[:3] == [
        "latency of many (s)",
        "latency of few (s)",
        "requests/s",
    ]
    assert layout["xaxis"]["anchor"] == "y5"
    assert {trace["xaxis"] for trace in figure.plot["data"]} == {"x"}


def test_sources_beyond_three_have_no_panel_the_largest_first() -> None:
    figure = figure_of(explained(("a", 1), ("b", 4), ("c", 3), ("d", 2)))
    titles = [note["text"] for note in figure.plot["layout"]["annotations"]]
    assert titles[:3] == ["latency of b (s)", "latency of c (s)", "latency of d (s)"]


def test_a_summary_alone_has_no_latencies_and_the_panels_that_it_had() -> None:
    figure = figure_of(None)
    assert not traces(figure, "p50")
    assert len(figure.plot["layout"]["annotations"]) == 5
    assert "Latencies" not in figure.caption


def test_a_drag_chooses_a_stretch_of_time_in_all_panels() -> None:
    layout = figure_of(explained(("few", 10))).plot["layout"]
    assert layout["dragmode"] == "zoom"
    assert layout["xaxis"]["fixedrange"] is False
    panels = [value for key, value in layout.items() if key.startswith("yaxis")]
    assert len(panels) == 6
    assert all(axis["fixedrange"] for axis in panels)


@pytest.mark.parametrize(
    ("nodes", "at"),
    [([2.0, 2.0, 3.0, 3.0], [150]), ([2.0, 2.2, 2.4, 2.0], []), ([1.0, 4.0, 4.0, 1.0], [75, 225])],
)
def test_a_line_stands_through_all_panels_where_the_number_of_nodes_changes(
    nodes: list[float], at: list[float]
) -> None:
    figure = figure_of(explained(("few", 10)), nodes_taking=nodes, nodes_paid=nodes)
    marks = traces(figure, "Nodes come or go")
    assert [trace["yaxis"] for trace in marks] == ([f"y{FIRST_AXIS + i}" for i in range(7)] if at else [])
    assert all(trace["x"][::3] == at for trace in marks)


def test_the_figure_is_one_of_those_that_show_a_stretch_together() -> None:
    (opening,) = re.findall(r'<div[^>]*id="plot-over-time"[^>]*>', figure_of(None).html())
    assert " data-time" in opening
    panel = str(stretch(300.0))
    assert panel.count('type="range"') == 2
    assert 'max="300"' in panel


def test_a_long_name_is_cut_and_none_is_markup() -> None:
    assert panel_title("<b>many</b>") == "latency of &lt;b&gt;many&lt;/b&gt; (s)"
    assert panel_title("x" * 30) == f"latency of {'x' * 30} (s)"
    assert panel_title("x" * 31) == f"latency of {'x' * 29}… (s)"
