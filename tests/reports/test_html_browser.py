"""The report in a real browser: every chart draws, nothing is cut, nothing complains or leaves the page."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from reports.html import render
from reports.html.card import card
from reports.run_directory import Run
from reports.summary import summarise
from tests.support.chromium import IN_CHROMIUM, opened
from tests.support.explained import explained_source
from tests.support.summaries import counts, difference, estimate, group, summary, variant
from tests.support.synthetic import synthetic_run

pytestmark = IN_CHROMIUM

PLOTS = ["distribution", "over-time"]
DRAWN = """plots => plots.map(plot => [
    plot.id.replace("plot-", ""),
    plot.querySelector("svg.main-svg")?.getBoundingClientRect().width,
    plot.querySelectorAll(".point, .js-line").length,
])"""
PIECES = """pieces => pieces.map(piece => [
    piece.closest("[id]").id,
    getComputedStyle(piece).breakInside,
    Math.max(0, ...[...piece.querySelectorAll("svg")].map(svg => svg.getBoundingClientRect().right)),
    piece.getBoundingClientRect().height,
])"""
STAYS = "heads => heads.map(head => getComputedStyle(head).breakAfter)"
SHEET = re.compile(rb"/Type\s*/Page\b")
SIDES = ("top", "bottom", "left", "right")
LONG = "<b>many</b> calls of a source with a long name"
PAPER_PX = 680
"""Between the margins of A4."""
PAGE_PX = 1000


@pytest.fixture
def report(tmp_path: Path) -> Path:
    served = counts(rejected_tokens_limit=30)
    both = variant(group("few", calls=1, counts=served), group(LONG, calls=20))
    span = {
        "fault": "dead",
        "kind": "node_crash",
        "target": "<b>node</b> 0",
        "began_s": 20.0,
        "ended_s": None,
    }
    both["faults"] = {"happened": [], "spans": [span], "spans_left_out": 0, "cost": []}
    told = [difference(estimate(0.0143, 0.0004), name) for name in ("few", LONG)]
    found = {(v, s): explained_source(s, v) for v in ("edge", "aws") for s in ("few", LONG)}
    path = tmp_path / "report.html"
    page = render(summary({"edge": both, "aws": both}, {"aws": told}), explained=found)
    path.write_text(page, encoding="utf-8")
    return path


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 400)])
def test_every_chart_draws_and_nothing_is_cut_small_or_in_the_way(
    chromium: Browser, report: Path, theme: str, width: int
) -> None:
    """And nothing moves once it is there, and axe has nothing to say."""
    with opened(chromium, report, width, theme) as page:
        drawn = page.locator(".plot").evaluate_all(DRAWN)
        assert [name for name, _, _ in drawn] == PLOTS
        for name, wide, marks in drawn:
            assert 0.75 * min(width, 1000) < wide <= width, name
            assert marks, name
        assert page.faults() == []
        assert page.shifted() < 0.01
        assert page.violations() == []


def test_the_button_offers_the_other_theme_whatever_the_system_prefers(
    chromium: Browser, report: Path
) -> None:
    with opened(chromium, report, 700, "dark") as page:
        button = page.locator("#theme")
        background = "getComputedStyle(document.body).backgroundColor"
        expect(button).to_have_text("Light theme")
        button.click()
        expect(button).to_have_text("Dark theme")
        assert page.evaluate(background) == "rgb(255, 255, 255)"
        page.reload()  # it is remembered, and painted so from the start
        expect(button).to_have_text("Dark theme")
        assert page.evaluate(background) == "rgb(255, 255, 255)"
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the answer"
        page.locator("[data-copy]").first.click()
        expect(page.locator("[data-copy]").first).to_have_text(re.compile("Copied|Selected"))


def test_a_point_opens_its_chain_from_the_keyboard_and_sliders_choose_the_time_of_all_charts(
    chromium: Browser, report: Path
) -> None:
    shown = (
        "[...document.querySelectorAll('.chains article')].filter(one => one.offsetParent).map(one => one.id)"
    )
    with opened(chromium, report) as page:
        assert len(page.evaluate(shown)) == 1
        point = page.locator(".field a").nth(2)
        point.focus()
        page.keyboard.press("Enter")
        expect(page.locator("article:target")).to_contain_text("Ahead of it in the queue of node 0")
        assert page.evaluate(shown) == [point.get_attribute("href").removeprefix("#")]
        page.locator(".stretch input").first.fill("150")
        until = "document.getElementById('plot-over-time').layout.xaxis.range.join() === '150,300'"
        page.wait_for_function(until)


def test_figures_fit_on_paper_in_light_colours_and_no_page_break_goes_through_one(
    chromium: Browser, report: Path
) -> None:
    with opened(chromium, report, PAPER_PX, "dark") as page:
        page.emulate_media(media="print")
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        pieces = page.locator("figure:not(:has(.view)), figure .view").evaluate_all(PIECES)
        assert len(pieces) > 10
        for name, breaks, right, height in pieces:
            assert (breaks, right <= PAPER_PX + 40, height <= PAGE_PX) == ("avoid", True, True), name
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        heads = page.locator("h2, h3, .sub, .tracks-head").evaluate_all(STAYS)
        assert set(heads) == {"avoid"}
        filled = page.evaluate("document.documentElement.scrollHeight") / PAGE_PX
        printed = len(SHEET.findall(page.pdf(format="A4", margin=dict.fromkeys(SIDES, "12mm"))))
        assert 0.75 * filled < printed < 1.5 * filled  # what does not fit begins on the next sheet


def test_a_script_that_came_in_with_a_scenario_would_not_run(chromium: Browser, report: Path) -> None:
    """The second line of defence: even unescaped, the page's policy stops it."""
    source = report.read_text(encoding="utf-8")
    smuggled = re.sub("</h2>", '</h2><script>document.title = "smuggled"</script>', source, count=1)
    assert smuggled != source
    report.write_text(smuggled, encoding="utf-8")
    with opened(chromium, report, complaints="Content Security Policy") as page:
        assert page.title() != "smuggled"


def test_question_sentence_figure_and_digest_fit_on_a_card(chromium: Browser, tmp_path: Path) -> None:
    tables, manifest = synthetic_run(400, variants=2, replications=2)
    manifest["digest"] = "0123456789abcdef"
    run = Run(tables, manifest, "", summarise(tables, manifest))
    (tmp_path / "card.html").write_text(card(run), encoding="utf-8")
    with opened(chromium, tmp_path / "card.html", 1200, height=630) as page:
        assert page.faults() == []
        shown = page.inner_text("body")
        assert "What does a user feel when the app moves away from the model?" in shown
        assert "run 0123456789ab" in shown
        bottoms = page.locator("main *").evaluate_all("all => all.map(e => e.getBoundingClientRect().bottom)")
        assert 400 < max(bottoms) <= 630
