"""The section of a report about its slowest requests: every point opens a chain, without a script."""

import re
from typing import Any

import pytest

from reports.explained.whole_run import explained
from reports.html import render
from reports.html.slowest import slowest
from reports.rows import rows_of
from reports.run_directory import Run
from reports.summary import summarise
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


def test_a_summary_without_tables_has_no_such_section(run: Run) -> None:
    summary = run.summary or {}
    assert 'id="slowest"' not in render(summary, manifest=run.manifest)
    assert 'id="slowest"' in render(summary, manifest=run.manifest, explained=explained(run))
