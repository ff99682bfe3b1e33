from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.support.chromium import CHROMIUM, QUIET


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One for all pages of a module: it takes longer to start than to show one of them.

    No longer than that, as its event loop runs meanwhile, and `asyncio.run` of another test would refuse to.
    """
    assert CHROMIUM, "CI must have Chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()
