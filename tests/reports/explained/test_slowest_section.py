"""The section of a report about its slowest requests: every point opens a chain, without a script."""

import re
from typing import Any

import pytest

from reports.explained.preempted import Absence
from reports.explained.whole_run import explained
from reports.html import render
from reports.html.slowest import cards, slowest
from reports.rows import rows_of
from reports.run_directory import Run
from reports.summary import summarise
from tests.support.explained import S, chain
from tests.support.records import manifest, request, tables


@pytest.fixture(scope="module")
def run() -> Run:
    """Forty requests, the last of which wait longest, under each of two variants."""
    rows: list[Any] = [
        request(
            number * 100, number=number, ask=number, started=20 + number, first=50 + number,
            first_seen=55 + number, last=110 + number, ended=115 + number,
        )
        for number in range(40)
    ]  # fmt: skip
    made, about = tables({("edge", 0): rows, ("aws", 0): rows}), manifest(("edge", "aws"))
    return Run(made, about, "", summarise(made, about))


@pytest.fixture(scope="module")
def section(run: Run) -> str:
    summary = run.summary or {}
    found = slowest(rows_of(summary), explained(run), 10.0)
    assert found is not None
    return str(found)


def test_every_point_is_a_link_to_a_chain_and_every_chain_has_a_point(section: str) -> None:
    points = re.findall(r'<a href="#(chain-\d+)"', section)
    chains = re.findall(r'<article id="(chain-\d+)"|<article[^>]* id="(chain-\d+)"', section)
    assert len(points) == 2 * 20
    assert sorted(points) == sorted(one or other for one, other in chains)


def test_a_point_tells_what_it_is_to_whoever_does_not_see_it(section: str) -> None:
    assert 'aria-label="Request 39, 154 ms, most of it decode"' in section.replace("\N{NO-BREAK SPACE}", " ")


def test_the_slowest_of_all_stands_last_where_it_is_shown_at_first(section: str) -> None:
    assert re.findall(r"<h4[^>]*>([^<]*)</h4>", section)[-1].startswith("Request 39 of chat: 154")


def test_the_time_after_a_preemption_is_hatched_over_the_phases() -> None:
    """Of 11 s from 160 s on: it lost its blocks after 4.4 s and was back 1.1 s later."""
    began = 160 * S
    absence = Absence(began + 44 * S // 10, began + 55 * S // 10, 3, "growth", 40, 0)
    page = cards([chain("chat", "edge", 8)._replace(absences=[absence])]).replace("\N{NO-BREAK SPACE}", " ")
    (mark,) = re.findall(r'<i style="left: ([\d.]+)%; width: ([\d.]+)%" title="([^"]*)" class="away">', page)
    assert (float(mark[0]), float(mark[1])) == (40.0, 10.0)
    assert mark[2] == "Preempted after 4.40 s, for 1.10 s"
    assert "Preempted 1.10 s in all, until it was in a step again" in page
    assert "away" not in cards([chain("chat", "edge", 8)])


def test_a_summary_without_tables_has_no_such_section(run: Run) -> None:
    summary = run.summary or {}
    assert 'id="slowest"' not in render(summary, manifest=run.manifest)
    assert 'id="slowest"' in render(summary, manifest=run.manifest, explained=explained(run))
