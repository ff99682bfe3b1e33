"""The page of a sweep in a real browser: every chart draws, nothing complains, nothing leaves the page."""

from pathlib import Path

from playwright.sync_api import Browser

from reports.html.sweep import render_sweep
from tests.reports.sweep.test_view import CELLS, view
from tests.support.chromium import IN_CHROMIUM, opened

pytestmark = IN_CHROMIUM


def test_every_chart_of_a_sweep_draws_and_nothing_is_cut(chromium: Browser, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text(render_sweep(view(*CELLS)), encoding="utf-8")
    with opened(chromium, file, 400) as page:
        assert page.locator(".main-svg").count() >= 4  # a map, curves, two fronts
        assert page.locator(".hm").count() == 1
        assert page.faults() == []
        assert page.violations() == []
