"""What people add runs on the compiled build as on the sources: docs/extending.md, and with numbers of numpy.

Compiled code takes an int for an int, and nothing else: where a user's function answers, it must not matter.
"""

import json
import subprocess
import sys
from typing import Any

import pytest

from e80sim.build import ROOT

S_PS = 10**12
STEP_PS = S_PS // 100


@pytest.fixture(scope="module")
def found(
    environments: dict[str, dict[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """What `numpy_extensions.py` prints, by build."""
    folder = tmp_path_factory.mktemp("tiny")
    page = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
    scenario = page.partition("```yaml\n")[2].partition("```")[0]
    (folder / "tiny.yaml").write_text(scenario, encoding="utf-8")
    command = [sys.executable, "-m", "tests.compiled.numpy_extensions", str(folder)]
    done = {
        kind: subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=250, check=False
        )
        for kind, environment in environments.items()
    }
    assert not any(one.returncode for one in done.values()), [one.stderr for one in done.values()]
    answers = {kind: json.loads(one.stdout) for kind, one in done.items()}
    assert all(answer["build"] == kind for kind, answer in answers.items())
    return {kind: answer["rows"] for kind, answer in answers.items()}


def test_numbers_of_numpy_run_alike_in_both_builds(found: dict[str, Any]) -> None:
    assert found["compiled"] == found["pure"]


def test_numbers_of_numpy_mean_what_ints_mean(found: dict[str, Any]) -> None:
    rows = found["compiled"]
    assert {node for node, *_ in rows["routing"]} == {0, 1, 2, 3}
    assert [intended for _, intended, *_ in rows["arrivals"]] == [k * S_PS for k in range(1, 10)]
    assert rows["order by a tuple"] == rows["order by an int"] != rows["order by a float"]


def test_a_caller_may_draw_its_sizes_and_pauses(found: dict[str, Any]) -> None:
    """Answers of 2, 3 and 4 tokens at 10 ms each, and pauses of as many seconds; then two at once."""
    intended = [0, 2 * S_PS + 2 * STEP_PS, 5 * S_PS + 5 * STEP_PS, *[9 * S_PS + 9 * STEP_PS] * 2]
    tokens = [2, 3, 4, 2, 3]
    assert [[at, end] for _, at, _, end in found["compiled"]["caller"]] == [
        [at, at + size * STEP_PS] for at, size in zip(intended, tokens, strict=True)
    ]


def test_every_example_of_the_page_runs_compiled(environments: dict[str, dict[str, str]]) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/docs/test_extending.py"]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environments["compiled"],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout
