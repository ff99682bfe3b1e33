"""A run's headlines as hypotheses: what supports them, what refutes them, what does not decide them."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api_shim.probe.against.decide import Span, interval, level_of_each, verdict
from api_shim.probe.against.perform import dues, plan_of, told_before, warm_up_cells
from api_shim.probe.against.prediction import Decided, Prediction, decide, prediction, worst
from api_shim.probe.design import TRAFFIC
from api_shim.probe.ledger import Ledger
from api_shim.probe.verdicts import REFUTED, SUPPORTED, UNDECIDED
from api_shim.testing import VirtualPlatform
from e80sim.mistakes import UserError
from reports.run_directory import Run
from sim.gate.simulated import simulated
from sim.scenario.load import Plan
from sim.scenario.schema import Scenario
from tests.support.live import LLAMA, scenario
from tests.support.probing import probe_of

LENGTHS = {"prompt": {"kind": "geometric", "mean": 100}, "output": {"kind": "geometric", "mean": 20}}


def loaded(**llama: object) -> Scenario:
    """2 requests a second on two nodes: a third of their time."""
    source = {"place": "away", "model": "llama", "arrivals": {"kind": "poisson", "rate_per_s": 2.0}}
    return scenario(
        traffic={"chat": {**source, "lengths": LENGTHS}},
        run={"horizon_s": 400.0, "warm_up_s": 20.0, "replications": 4},
        llama=llama,
    )


@cache
def run() -> Run:
    """Too short for a file of its rows."""
    plan = loaded()
    return simulated(Plan(plan, {"base": plan}), Path("none"), jobs=1)


@cache
def predicted() -> Prediction:
    return prediction(run(), Path("runs/chat"), None, LLAMA, 0.2)


def answered(served: Scenario, most: int) -> list[Decided]:
    found = predicted()
    traffic = found.traffic[:most]
    plan = plan_of(found, traffic, "http://e80sim.invalid/v1", LLAMA, None, None)
    with VirtualPlatform(served) as platform:
        probe = probe_of(platform, rate=plan.rate_per_s, burst=plan.burst)
        platform.run(probe.replay(dues(traffic), warm_up_cells(traffic)))
    assert probe.stopped is None, probe.stopped
    return decide(found, [row for row in probe.chats if row.purpose == TRAFFIC], found.rate_per_s)


def test_a_platform_that_is_as_the_run_says_refutes_none_of_its_hypotheses() -> None:
    found = answered(loaded(), 160)
    assert REFUTED not in {one.verdict for one in found}
    assert [one.verdict for one in found].count(SUPPORTED) >= 3


def test_a_platform_with_slower_tokens_refutes_what_they_make_longer() -> None:
    asic = {
        "kind": "hardwired_asic",
        "decode_step_ms": 16.0,
        "prefill_ms_per_token": 1.0,
        "kv_pool_tokens": 2000,
    }
    found = answered(loaded(hardware=asic), 100)
    assert worst(found) == REFUTED
    told = {(one.hypothesis.metric, one.hypothesis.statistic): one for one in found}
    assert told["tpot", "mean"].verdict == REFUTED
    assert told["tpot", "mean"].value_ms == pytest.approx(16.0)
    assert "lies in 8 to 12 ms; measured 16 ms" in told["tpot", "mean"].sentence


def test_too_few_requests_leave_it_undecided_and_that_is_said_before() -> None:
    """30 requests have no interval for a p95: its upper end lies beyond all of them."""
    found = predicted()
    decided = answered(loaded(), 30)
    p95 = next(one for one in decided if one.hypothesis.statistic == "p95")
    assert p95.verdict == UNDECIDED
    assert "30 requests are too few for its interval" in p95.sentence
    told = told_before(found, found.traffic[:30])
    assert any(line.startswith("H3 is not likely to be decided: it needs about ") for line in told)


def test_a_limit_keeps_the_plan_within_it_and_a_rate_below_the_runs_is_refused() -> None:
    found = predicted()
    few = found.within(Ledger(None, 2_000), None)
    assert sum(one.prompt_tokens + one.output_tokens for one in few) <= 2_000
    assert len(found.within(Ledger(), 29)) == 29  # which decide nothing
    most = max(one.needs for one in found.asked if one.needs is not None and one.needs <= 400)
    assert sum(one.source == "chat" for one in found.within(Ledger(), 400)) == most
    with pytest.raises(UserError, match=r"--rate 1 is below the run's \d\.\d* a second"):
        plan_of(found, few, "http://x", LLAMA, 1.0, None)


def test_answers_of_another_length_decide_nothing_on_the_whole_time() -> None:
    found = predicted()
    from api_shim.probe.record import ProbedRequest

    rows = [
        ProbedRequest(
            i, i / 2, 100, 10, 120.0, 300.0, 10.0, cell="chat", purpose=TRAFFIC, asked_output_tokens=20
        )
        for i in range(100)
    ]
    told = {(one.hypothesis.metric, one.hypothesis.statistic): one for one in decide(found, rows, 2.0)}
    assert told["e2e", "mean"].verdict == UNDECIDED
    assert "answers had 10 tokens on the mean, and the run's 20" in told["e2e", "mean"].sentence


spans = st.tuples(st.floats(0, 100), st.floats(0, 100)).map(lambda ends: Span(min(ends), max(ends)))


@given(spans, spans)
def test_a_verdict_is_supported_only_inside_and_refuted_only_beside(found: Span, band: Span) -> None:
    inside = band.low <= found.low <= found.high <= band.high
    apart = found.high < band.low or band.high < found.low
    assert verdict(found, band) == (SUPPORTED if inside else REFUTED if apart else UNDECIDED)
    assert verdict(None, band) == UNDECIDED


@pytest.mark.theory
@pytest.mark.parametrize(("statistic", "truth"), [("mean", 1.0), ("p50", np.log(2)), ("p95", np.log(20))])
def test_intervals_hold_the_truth_of_independent_requests_as_often_as_they_say(
    statistic: str, truth: float
) -> None:
    """400 samples of 200 exponential values: 95 % would be 380, and 366 is two and a half deviations less."""
    rng = np.random.default_rng(7)
    found = [interval(rng.exponential(1.0, 200), statistic, 0.95) for _ in range(400)]
    held = [one.low <= truth <= one.high for one in found if one is not None]
    assert len(held) == 400
    assert sum(held) >= 366


@settings(max_examples=20)
@given(st.integers(1, 30))
def test_the_level_is_split_among_the_hypotheses(hypotheses: int) -> None:
    assert 1 - level_of_each(hypotheses) == pytest.approx(0.05 / hypotheses)
