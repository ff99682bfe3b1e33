"""The page of a sweep in a real browser: every chart draws, nothing complains, nothing leaves the page."""

from pathlib import Path

from reports.html.sweep import render_sweep
from tests.reports.sweep.test_view import CELLS, view
from tests.reports.test_html_browser import browse
from tests.support.chromium import IN_CHROMIUM

pytestmark = IN_CHROMIUM


def test_every_chart_of_a_sweep_draws_and_the_console_stays_silent(tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    page.write_text(render_sweep(view(*CELLS)), encoding="utf-8")
    document, console = browse(page, tmp_path / "profile")
    assert console == []
    assert document.count('class="main-svg"') >= 4  # a map, curves, two fronts
    assert document.count('class="hm"') == 1
