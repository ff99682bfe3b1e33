from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sim.run.manifest import manifest
from sim.scenario.load import Plan
from sim.scenario.source_map import ScenarioError
from tests.support.study import plan_of, results_of

STUDY = """
name: starts-empty
models:
  m:
    id: m
    llm: llama3.1-8b
    hardware: {kind: hardwired_asic, prefill_ms_per_token: 10, decode_step_ms: 5, kv_pool_tokens: 2000}
    context_tokens: 2000
network:
  places:
    here: {kind: custom, rtt_ms: 0}
traffic:
  callers:
    place: here
    model: m
    arrivals: {kind: poisson, rate_per_s: 9}
    lengths:
      prompt: {kind: fixed, tokens: 10}
      output: {kind: fixed, tokens: 1}
run: {horizon_s: 200, warm_up_s: auto, replications: 10, seed: 3}
"""


def manifest_of(plan: Plan) -> dict[str, Any]:
    return manifest(plan, results_of(plan), datetime(2026, 1, 1, tzinfo=UTC), 0.0)


def test_a_queue_that_fills_up_slowly_gets_a_warm_up_of_its_relaxation_time(tmp_path: Path) -> None:
    # At load 0.9 an M/D/1 queue relaxes in about D (1 + sqrt(0.9))^2 / (2 x 0.1^2) = 0.1 x 3.8 / 0.02 = 19 s.
    found = manifest_of(plan_of(STUDY, tmp_path))
    warm_up_s = found["warm_up_s"]
    assert isinstance(warm_up_s, float)
    assert 2 < warm_up_s < 80
    assert f"The warm-up of {warm_up_s:g} s is two autocorrelation times" in str(found["notes"])


def test_an_overloaded_variant_is_named_and_does_not_choose(tmp_path: Path) -> None:
    variants = "variants={calm: {set: {traffic.callers.arrivals.rate_per_s: 2}}, flooded: {set: "
    plan = plan_of(
        STUDY, tmp_path, [variants + "{traffic.callers.arrivals.rate_per_s: 30}}}", "run.replications=8"]
    )
    notes = str(manifest_of(plan)["notes"])
    assert "s (calm " in notes
    assert "no steady state to be seen in flooded" in notes
    assert "seen in calm" not in notes


def test_variants_share_the_longest_warm_up_that_any_of_them_asks_for(tmp_path: Path) -> None:
    variants = "variants={calm: {set: {traffic.callers.arrivals.rate_per_s: 2}}, busy: {}}"
    found = manifest_of(plan_of(STUDY, tmp_path, [variants, "run.replications=8"]))
    (note,) = [note for note in found["notes"] if note.startswith("The warm-up")]
    each = [float(part.split()[1]) for part in note[note.index("(") + 1 : note.index(")")].split(", ")]
    assert found["warm_up_s"] == max(each)


@pytest.mark.parametrize(
    "arrivals",
    [
        "{kind: profile, name: azure-2023-conv}",
        "{kind: modulated, rate: {kind: on_off, on_rate_per_s: 9, off_rate_per_s: 1, on_s: 5, off_s: 5}}",
    ],
)
def test_traffic_that_changes_has_no_warm_up_to_find(tmp_path: Path, arrivals: str) -> None:
    with pytest.raises(ScenarioError, match=r"`auto` needs traffic whose rate does not change.*`callers`"):
        plan_of(STUDY, tmp_path, [f"traffic.callers.arrivals={arrivals}"])


def test_any_other_word_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"run\.warm_up_s"):
        plan_of(STUDY, tmp_path, ["run.warm_up_s=soon"])
