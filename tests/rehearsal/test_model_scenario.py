"""A measured application as a scenario: it runs, and its users feel what they felt of the code."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from api_shim.edge.manifest import read_app_folder
from api_shim.rehearsal.compared import quantile
from api_shim.rehearsal.model_scenario import scenario_text
from api_shim.rehearsal.part import Part
from api_shim.rehearsal.rehearsals import rehearse
from sim.run.replications import Task, simulate
from sim.scenario.load import Plan, load
from sim.scenario.shipped import DOCUMENTED_PLATFORM
from tests.rehearsal.test_rehearsals import TWO_CALLS, app_folder
from tests.support.cli import e80sim

CHAT = Path(__file__).parents[2] / "examples" / "chat"
PS_PER_MS = 10**9
PLACES = ("edge", "internet")


def felt_ms(plan: Plan, variant: str) -> list[float]:
    tables = simulate(Task(variant, plan.variants[variant], 7, 0, "fast")).tables
    assert tables.user_requests is not None
    rows = tables.user_requests.to_pylist()
    assert {row["outcome"] for row in rows} == {"completed"}
    return [(row["ended_ps"] - row["intended_ps"]) / PS_PER_MS for row in rows]


@pytest.mark.realtime
def test_the_model_of_two_calls_takes_what_one_works_out(tmp_path: Path) -> None:
    """11 tokens of prompt and a second of the answer make 21 ms; 1 ms of work is 2 at half of a core.

    10 to the app, 2, twice 21 + 2, 10 back: 68, as the code takes with its connection open.
    """
    folder = app_folder(tmp_path, TWO_CALLS, cpu_mhz=1500, memory_size_mb=512)
    file = tmp_path / "model.yaml"
    options = ["--scenario", f"{folder}/platform.yaml", "--users-at", "away", "--repeat", "3"]
    command = ["compare", str(folder), *options, "--places", "here", "away", "--write-scenario", str(file)]
    done = e80sim("edge", command)
    assert done.exit_code == 0, done.stderr
    plan = load(file)
    app, source = plan.base.apps["tried"], plan.base.traffic["users"]
    assert (app.calls, app.mode, app.cpu_ms, app.cpu_per_call_ms) == (2, "sequential", 1, 1)
    assert app.connections == "pooled"
    assert app.compute is not None
    assert (app.compute.cpu_mhz, app.compute.reference_mhz, app.compute.memory_size_mb) == (1500, 3000, None)
    assert app.compute.cold_start_ms is not None
    assert app.compute.cold_start_ms > 50  # no interpreter with a web framework is quicker
    assert source.place == "away"
    assert np.median(felt_ms(plan, "here")) == 68
    assert np.median(felt_ms(plan, "away")) == 2 + 2 * (10 + 21 + 10 + 2)
    text = file.read_text()
    assert re.search(r"cpu_ms: 1\.0  # of a whole core, stated: 1 ms for each", text)
    assert "# memory_size_mb: 512 stated, but" in text
    again = e80sim("edge", command)
    assert (again.exit_code, again.stdout) == (2, "")
    assert again.stderr == f"e80sim: --write-scenario {file} exists already: choose another name\n"
    assert file.read_text() == text


def test_the_model_of_the_chat_is_near_to_what_its_code_does_at_each_place(tmp_path: Path) -> None:
    """Within a tenth at p50. What remains: a stream is read while it comes, which the model does after it."""
    part = Part(
        folder=str(CHAT),
        requests=str(CHAT / "requests.jsonl"),
        scenario=str(DOCUMENTED_PLATFORM),
        variant=None,
        settings=[],
        place="",
        users_at="internet",
        concurrency=10,
        repeat=20,
        pause_s=1,
        patience_s=60,
        rate_per_s=None,
        app_cpu_ms=1.0,
        sandbox_run_ms=30.0,
        content="synthetic",
        seed=None,
    )
    measured = rehearse([replace(part, place=place) for place in PLACES])
    platform = load(DOCUMENTED_PLATFORM).variant(None)
    file = tmp_path / "chat.yaml"
    file.write_text(scenario_text(read_app_folder(CHAT), platform, part, measured, None))
    plan = load(file)
    assert list(plan.variants) == ["edge", "internet"]
    assert plan.base.apps["chat"].connections == "per_request"  # openai closes that of each stream
    for variant, place in zip(plan.variants, measured, strict=True):
        code = quantile([visit.felt_ms for visit in place.visits], 0.5)
        assert quantile(felt_ms(plan, variant), 0.5) == pytest.approx(code, rel=0.1), variant
    assert "# cold_start_ms: its process did not start by itself" in file.read_text()
