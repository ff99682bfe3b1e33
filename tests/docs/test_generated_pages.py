from pathlib import Path

import pytest

from docs.generate import HERE, PAGES


@pytest.mark.parametrize("name", PAGES)
def test_a_generated_page_is_fresh(name: str) -> None:
    fresh = (HERE / name).read_text(encoding="utf-8") == PAGES[name]()
    assert fresh, f"docs/{name} is stale: run `make docs`"


@pytest.mark.parametrize("scenario", sorted((HERE.parent / "scenarios").glob("*.yaml")), ids=lambda p: p.stem)
def test_every_shipped_scenario_says_what_it_shows_and_is_named_after_its_file(scenario: Path) -> None:
    text = scenario.read_text(encoding="utf-8")
    assert text.startswith("# ")
    assert f"\nname: {scenario.stem}\n" in text
