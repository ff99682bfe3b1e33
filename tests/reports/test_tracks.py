"""Rows with labels: where marks stand, and what shows that something is not sure or runs off."""

import re

import pytest

from reports.estimate import ShownEstimate
from reports.html.lines import Line, LinePoint, line_chart
from reports.html.tracks import Extent, Mark, Panel, TrackRow, bar, cut_of, dot, extent_of, stacked, tracks
from reports.words import DURATIONS

MS = DURATIONS[1]


def drawn(*marks: Mark, extent: Extent | None = None, **row: bool) -> str:
    one = TrackRow("edge", marks, "12.0", "11.0-13.0", **row)
    return tracks([Panel("", "ms", [one], extent or Extent(0.0, 20.0))])


def test_bars_follow_each_other_in_per_cent_of_the_track() -> None:
    page = drawn(
        *stacked([bar(4.0, "queue", "Queue"), bar(0.0, "decode", "Decode"), bar(6.0, "return", "Return")])
    )
    assert re.findall(r"left:([\d.]+)%;width:([\d.]+)%", page) == [("0", "20"), ("20", "30")]
    assert "Decode" not in page


def test_a_dot_without_an_interval_is_hollow() -> None:
    sure = drawn(*dot(ShownEstimate(0.012, 0.011, 0.013), MS, "series_0"))
    bare = drawn(*dot(ShownEstimate(0.012), MS, "series_0"))
    assert 'class="dot"' in sure
    assert "left:55%;width:10%" in sure
    assert 'class="dot unsure"' in bare
    assert "interval" not in bare
    assert dot(ShownEstimate(None, refused="too few"), MS, "series_0") == []


def test_what_runs_off_the_scale_is_cut_and_keeps_its_number() -> None:
    page = drawn(bar(50.0, "queue", "Queue"))
    assert 'class="bar cut"' in page
    assert "width:100%" in page
    assert "<b>12.0</b>" in page
    assert 'class="beyond more"' in drawn(Mark("dot", 50.0, 50.0))
    assert 'class="beyond less"' in drawn(Mark("dot", -5.0, -5.0))


def test_a_row_that_is_not_sure_is_grey() -> None:
    assert 'class="track-row unsure"' in drawn(sure=False)


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0, 10, [0, 2.5, 5, 7.5, 10]),
        (-7, 27, [0, 10, 20]),
        (0, 2440, [0, 2000]),
        (0, 0.4, [0, 0.1, 0.2, 0.3, 0.4]),
    ],
)
def test_ticks_are_round_and_hold_zero(low: float, high: float, ticks: list[float]) -> None:
    assert Extent(low, high).ticks() == pytest.approx(ticks)


@pytest.mark.parametrize(
    ("sizes", "cut"),
    [
        ([1.0, 2.0, 3.0, 4.0], float("inf")),
        ([1.0, 2.0, 3.0, 60.0], 3.6),
        ([1.0, 60.0], float("inf")),  # half of them is no exception
        ([1.0, 1.0, 1.0, 1.0, 9.0, 9.5], 1.2),
        ([], float("inf")),
    ],
)
def test_at_most_a_third_is_cut_and_only_what_is_far_off(sizes: list[float], cut: float) -> None:
    assert cut_of(sizes) == pytest.approx(cut)


def test_an_extent_is_never_empty_and_holds_zero() -> None:
    assert extent_of([]).high > 0.0
    assert extent_of([0.0]).per_cent(0.0) == 0.0
    assert extent_of([-4.0, 2.0]).low == pytest.approx(-4.24)


def test_labels_of_lines_that_end_together_stand_apart_in_the_order_of_their_values() -> None:
    ends = {"a": 0.100, "b": 0.101, "c": 0.102}
    lines = [
        Line(
            name,
            "series_0",
            [LinePoint(1, ShownEstimate(0.05, 0.04, 0.06)), LinePoint(20, ShownEstimate(end))],
            name,
        )
        for name, end in ends.items()
    ]
    page = line_chart(lines, [(1, "1 call"), (20, "20")], MS, "waits", "ms")
    found = re.findall(r'<li style="bottom: ([\d.]+)%[^>]*><span class="name">(\w)', page)
    places = {name: float(at) for at, name in found}
    assert places["a"] + 5.99 <= places["b"]
    assert places["b"] + 5.99 <= places["c"]
    assert page.count('class="point unsure"') == 3
    assert page.count("whisker") == 3
