"""The report in a real browser: every chart draws, nothing complains, nothing leaves the page."""

import re
import subprocess
from pathlib import Path

import pytest

from reports.html import render
from tests.support.chromium import CHROMIUM, IN_CHROMIUM, QUIET
from tests.support.summaries import counts, difference, estimate, group, summary, variant

ARGUMENTS = [
    "--headless",
    *QUIET,
    "--enable-logging=stderr",
    "--virtual-time-budget=5000",
    "--window-size=1280,2000",
]

pytestmark = IN_CHROMIUM


def browse(page: Path, profile: Path) -> tuple[str, list[str]]:
    """The document after its scripts ran, and what they wrote to the console."""
    assert CHROMIUM, "CI must have Chromium"
    done = subprocess.run(
        [CHROMIUM, *ARGUMENTS, f"--user-data-dir={profile}", "--dump-dom", page.as_uri()],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


@pytest.fixture
def page(tmp_path: Path) -> Path:
    served = counts(rejected_tokens_limit=30)
    both = variant(group("few", calls=1, counts=served), group("<b>many</b>", calls=20))
    span = {
        "fault": "dead",
        "kind": "node_crash",
        "target": "<b>node</b> 0",
        "began_s": 20.0,
        "ended_s": None,
    }
    both["faults"] = {"happened": [], "spans": [span], "spans_left_out": 0, "cost": []}
    told = [difference(estimate(0.0143, 0.0004), name) for name in ("few", "<b>many</b>")]
    path = tmp_path / "report.html"
    path.write_text(render(summary({"edge": both, "aws": both}, {"aws": told})), encoding="utf-8")
    return path


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_chart_draws_and_the_console_stays_silent(page: Path, tmp_path: Path, theme: str) -> None:
    source = page.read_text(encoding="utf-8").replace("<html ", f'<html data-theme="{theme}" ', 1)
    page.write_text(source, encoding="utf-8")
    document, console = browse(page, tmp_path / "profile")
    assert console == []
    plots = re.findall(r'id="plot-([^"]+)"', document)
    assert plots == ["distribution", "over-time"]
    for plot, drawn in zip(plots, re.split(r'id="plot-', document)[1:], strict=True):
        width = re.search(r'<svg class="main-svg"[^>]*width="(\d+)"', drawn)
        assert width, plot
        assert int(width[1]) > 500, plot
        assert re.search(r'class="(point|js-line)"', drawn), plot
    assert f'aria-pressed="{str(theme == "dark").lower()}"' in document


def test_a_script_that_came_in_with_a_scenario_would_not_run(page: Path, tmp_path: Path) -> None:
    """The second line of defence: even unescaped, the page's policy stops it."""
    source = page.read_text(encoding="utf-8")
    smuggled = source.replace("</h1>", '</h1><script>document.title = "smuggled"</script>', 1)
    page.write_text(smuggled, encoding="utf-8")
    document, console = browse(page, tmp_path / "profile")
    assert "<title>smuggled</title>" not in document
    assert any("Content Security Policy" in line for line in console)
