import re
from pathlib import Path
from typing import Any

import pytest

from reports import open_run
from sim.__main__ import COMMANDS
from sim.scenario.load import load

README = Path(__file__).parents[2] / "README.md"
TEXT = README.read_text(encoding="utf-8")


def test_the_scenario_of_the_readme_is_valid(tmp_path: Path) -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    file = tmp_path / "my.yaml"
    file.write_text(block, encoding="utf-8")
    assert list(load(file).variants) == ["edge", "aws"]


def test_the_readme_names_only_commands_and_files_that_exist() -> None:
    commands = set(re.findall(r"e80sim (\w+)", TEXT))
    assert commands <= set(COMMANDS), commands - set(COMMANDS)
    for scenario in re.findall(r"scenarios/[\w-]+\.yaml", TEXT):
        assert (README.parent / scenario).exists()
    for link in re.findall(r"\]\(([\w/.]+)\)", TEXT):
        assert (README.parent / link).exists(), link


def test_make_has_the_targets_that_the_readme_names() -> None:
    makefile = (README.parent / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"\$ make (\w+)", TEXT):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_the_columns_of_the_readme_are_in_the_records(tmp_path: Path) -> None:
    from sim.__main__ import main

    (block,) = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    file, out = tmp_path / "my.yaml", tmp_path / "run"
    file.write_text(block, encoding="utf-8")
    arguments = ["--horizon", "10", "--replications", "1", "--jobs", "1", "--quiet"]
    assert main(["run", str(file), "--out", str(out), *arguments]) == 0
    requests = open_run(out).requests
    means = requests.groupby("variant", observed=True)[["first_ps", "last_ps"]].mean()
    assert (means["first_ps"] < means["last_ps"]).all()


def test_the_agent_of_the_readme_meets_its_objective() -> None:
    blocks: list[str] = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    code = next(block for block in blocks if "virtual_client" in block)
    names: dict[str, Any] = {}
    exec(code, names)
    names["test_my_agent_answers_within_400_ms_on_the_edge"]()


@pytest.mark.parametrize("name", ["report.html", "summary.json", "requests.parquet", "manifest.json"])
def test_the_readme_lists_what_a_run_leaves(name: str) -> None:
    assert f"`{name}`" in TEXT
