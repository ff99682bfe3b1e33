"""The page of places in a real browser: light, dark, on a phone, and by everybody."""

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, sync_playwright

from api_shim.rehearsal.breakdown import PARTS
from api_shim.rehearsal.compared_page import render_places
from api_shim.rehearsal.measured import Bar, MeasuredCall, MeasuredPlace, MeasuredVisit
from tests.support.chromium import CHROMIUM, IN_CHROMIUM, QUIET

pytestmark = IN_CHROMIUM
AXE = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
HOSTILE = "POST /<script>document.title='smuggled'</script>" + "x" * 200


def visit(call_ms: float) -> MeasuredVisit:
    """20 ms out and back, 1 ms in the app before and after, and one call between."""
    ends = (20, 21, 21 + call_ms, 22 + call_ms, 42 + call_ms)
    parts = ("user_out", "app", "call_out", "app", "user_back")
    bars: list[Bar] = [
        (part, began, ended) for part, began, ended in zip(parts, (0, *ends), ends, strict=False)
    ]
    spent = dict.fromkeys(PARTS, 0.0)
    for part, began, ended in bars:
        spent[part] += ended - began
    call = MeasuredCall(HOSTILE, 200, True, [("call_out", 21, 21 + call_ms)])
    return MeasuredVisit(0, 0, 200, "", ends[-1], ends[-1], spent, [call], 1, bars)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    places = [
        MeasuredPlace(name, f"The place {name}", "tried", [visit(ms)], 1, 2.0, 0.1, {}, ["a <b>note</b>"])
        for name, ms in (("edge", 5.0), ("internet", 80.0))
    ]
    path = tmp_path_factory.mktemp("page") / "places.html"
    path.write_text(render_places("Tried in 2 places", ["About it."], places), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    assert CHROMIUM, "CI must have Chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


@pytest.mark.parametrize("width", [1200, 360])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_read_by_everybody_and_fits(
    browser: Browser, page: Path, scheme: Literal["light", "dark"], width: int
) -> None:
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 900})
    tab = context.new_page()
    complaints: list[str] = []
    tab.on("console", lambda message: complaints.append(message.text))
    tab.goto(page.as_uri())
    assert tab.title() == "Tried in 2 places"
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    bars = tab.locator(".waterfall li:first-child .track > span")
    assert bars.count() == 2 * 5
    widths = [bars.nth(n).evaluate("bar => bar.getBoundingClientRect().width") for n in (2, 7)]
    assert widths[1] == pytest.approx(16 * widths[0], rel=0.05)  # 80 ms and 5, on one scale
    assert complaints == []
    tab.evaluate(AXE)
    found: dict[str, Any] = tab.evaluate("axe.run()")
    assert [violation["id"] for violation in found["violations"]] == []
    context.close()
