from pathlib import Path

import pytest

from reports.statistics import Estimate, Refused
from reports.stored import whole
from sim.run.stopping import next_total, relative_half_width, run_until_precise, target
from sim.scenario.load import Plan
from sim.scenario.schema import PrecisionSection
from sim.scenario.source_map import ScenarioError
from tests.support.study import plan_of

STUDY = """
name: precise
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
    arrivals: {kind: poisson, rate_per_s: 5}
    lengths:
      prompt: {kind: fixed, tokens: 10}
      output: {kind: fixed, tokens: 1}
run: {horizon_s: 60, warm_up_s: 5, replications: 4, seed: 3}
"""


def plan(folder: Path, *settings: str) -> Plan:
    return plan_of(STUDY, folder, settings)


def run(of: Plan, jobs: int = 1) -> tuple[int, tuple[str, ...]]:
    results, notes = run_until_precise(of, jobs=jobs, engine="fast", tell=lambda _share, _note: None)
    return results.replications, notes


def test_the_target_allows_for_the_estimate_in_the_denominator() -> None:
    # Law & Kelton: 0.05 / 1.05
    assert target(0.05) == pytest.approx(0.047619, abs=1e-6)


def test_a_relative_half_width_is_infinite_without_an_interval() -> None:
    assert relative_half_width(Estimate(10.0, 9.0, 11.0, 5)) == pytest.approx(0.1)
    assert relative_half_width(Estimate(10.0, None, None, 5)) == float("inf")
    assert relative_half_width(Refused("too few")) == float("inf")


def test_the_next_round_follows_the_root_of_the_replications() -> None:
    wanted = PrecisionSection(relative=0.05, max_replications=100)
    # 1.2 times too wide at 20: 20 x 1.44 = 28.8, so 29; at twice the target no more than twice as many.
    assert next_total(20, 1.2 * 0.05 / 1.05, wanted) == 29
    assert next_total(20, 0.1, wanted) == 40
    assert next_total(20, float("inf"), wanted) == 40
    # Just missed: a round has at least five; and never beyond the cap.
    assert next_total(20, 0.0477, wanted) == 25
    assert next_total(80, 0.2, wanted) == 100


def test_replications_go_on_until_the_answer_is_precise(tmp_path: Path) -> None:
    replications, (note,) = run(plan(tmp_path, "run.precision={relative: 0.05}"))
    assert 4 < replications < 100
    assert note == (
        f"Precision reached after {replications} replications: felt mean within 0.05 of its value for every "
        "variant and source."
    )


def test_the_cap_ends_a_run_that_does_not_get_there_and_it_says_so(tmp_path: Path) -> None:
    replications, (note,) = run(plan(tmp_path, "run.precision={relative: 0.001, max_replications: 12}"))
    assert replications == 12
    assert note.startswith("Precision not reached within 12 replications")
    assert "callers in base has an interval of ±" in note


def test_the_number_of_replications_does_not_depend_on_the_number_of_processes(tmp_path: Path) -> None:
    of = plan(tmp_path, "run.precision={relative: 0.1}")
    assert run(of, jobs=1) == run(of, jobs=2)


def test_the_rounds_together_are_the_run_in_one_piece(tmp_path: Path) -> None:
    results, _ = run_until_precise(
        plan(tmp_path, "run.precision={relative: 0.05}"), jobs=1, engine="fast", tell=lambda _s, _n: None
    )
    at_once, _ = run_until_precise(
        plan(tmp_path, f"run.replications={results.replications}"),
        jobs=1,
        engine="fast",
        tell=lambda _s, _n: None,
    )
    assert results.tables.requests.equals(whole(at_once.tables.requests))
    assert results.streams == at_once.streams
    assert len(set(results.streams["base"])) == results.replications


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("run={horizon_s: 9, replications: 1, precision: {}}", "replications must be at least 2"),
        ("run.precision={max_replications: 3}", r"max_replications \(3\) is below replications \(4\)"),
        ("run.precision={statistic: p999}", "did you mean `p99`"),
    ],
)
def test_a_precision_that_cannot_be_judged_is_refused(tmp_path: Path, setting: str, sentence: str) -> None:
    with pytest.raises(ScenarioError, match=sentence):
        plan(tmp_path, setting)
