"""The system's headless Chromium, for tests of pages. It has no network but this machine's."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
IN_CHROMIUM = [
    pytest.mark.browser,
    pytest.mark.skipif(
        CHROMIUM is None and os.environ.get("CI") != "true", reason="needs Chromium, which is not installed"
    ),
]
"""For `pytestmark`."""


LEAST_PX = 11
"""Smaller text is hard to read."""
_FAULTS = (Path(__file__).parent / "layout_faults.js").read_text(encoding="utf-8")
_AXE = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
_SHIFTS = """shifted = 0; new PerformanceObserver(list => {
    for (const entry of list.getEntries()) shifted += entry.value;
}).observe({ type: "layout-shift", buffered: true })"""
_VIOLATIONS = "axe.run().then(found => found.violations.map(one => `${one.id}: ${one.nodes[0].html}`))"


class ReportPage:
    """A page of ours, as Playwright has it, and what is to be asked of all of them."""

    def __init__(self, page: Page) -> None:
        self._page = page

    def __getattr__(self, name: str) -> Any:
        return getattr(self._page, name)

    def faults(self) -> list[str]:
        """What is cut, lies one over the other, or is too small: a sentence each."""
        found: list[str] = self._page.evaluate(_FAULTS, LEAST_PX)
        return found

    def shifted(self) -> float:
        """The page's cumulative layout shift; 0 where nothing moved."""
        found: float = self._page.evaluate("shifted")
        return found

    def violations(self) -> list[str]:
        """Of the rules of axe."""
        self._page.evaluate(_AXE)
        found: list[str] = self._page.evaluate(_VIOLATIONS)
        return found


@contextmanager
def opened(
    chromium: Browser,
    file: Path,
    width: int = 1280,
    theme: str = "light",
    height: int = 800,
    complaints: str = "",
) -> Iterator[ReportPage]:
    """`file` in a window of a system that prefers `theme`, once its charts are drawn.

    It may complain of `complaints` alone, and then must.
    """
    prefers: Any = theme
    context = chromium.new_context(viewport={"width": width, "height": height}, color_scheme=prefers)
    told: list[str] = []
    context.on("console", lambda message: told.append(message.text))
    context.on("weberror", lambda error: told.append(str(error.error)))
    context.on("request", lambda request: told.append(request.url) if file.name not in request.url else None)
    try:
        page = context.new_page()
        page.add_init_script(_SHIFTS)
        page.goto(file.as_uri())
        expect(page.locator(".plot:not(:has(svg.main-svg))")).to_have_count(0, timeout=30_000)
        yield ReportPage(page)
        assert [line for line in told if not complaints or complaints not in line] == []
        assert not complaints or told
    finally:
        context.close()
