"""The notebook runs from top to bottom, as a person would run it from the checkout's root."""

import json
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_the_notebook_runs_and_shows_what_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    cells = json.loads((ROOT / "docs" / "exploring-a-run.ipynb").read_text(encoding="utf-8"))["cells"]
    names: dict[str, Any] = {}
    shown = [_run("".join(cell["source"]), names) for cell in cells if cell["cell_type"] == "code"]
    started, head, quantiles, differences, figures, figure, verdict = shown
    assert started == 0
    assert {"variant", "intended_ps", "ttft_s"} <= set(head.columns)
    assert quantiles.loc[("at_home", "one_call"), "e2e_s"] > quantiles.loc[("edge", "one_call"), "e2e_s"]
    assert differences["edge"] == 0
    assert "where-the-time-goes" in figures
    assert figure.data
    assert verdict["state"]


def _run(source: str, names: dict[str, Any]) -> Any:
    """As a notebook does: all lines, and the value of the last where it is an expression."""
    *before, last = source.split("\n")
    try:
        compiled = compile(last, "<cell>", "eval")
    except SyntaxError:
        exec(source, names)  # our own notebook
        return None
    exec("\n".join(before), names)
    return eval(compiled, names)
