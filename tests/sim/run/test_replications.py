"""What an interrupt leaves of a run: whole replications, or what the first one reached."""

from collections.abc import Callable

import pytest

from sim.run.replications import SLICES, Task, run_all, simulate
from sim.scenario.load import Plan
from sim.scenario.schema import Scenario
from sim.workers import interrupt

HORIZON_PS = 10 * 10**12


def scenario(count: int = 1) -> Scenario:
    """Requests at 1 s to 9 s, of 2 s each and one at a time: they end at 3 s, 5 s ... and 19 s."""
    asic = {
        "kind": "hardwired_asic",
        "decode_step_ms": 1000.0,
        "prefill_ms_per_token": 1000.0,
        "kv_pool_tokens": 6000,
    }
    fixed = {"kind": "fixed", "tokens": 1}
    return Scenario.model_validate(
        {
            "name": "study",
            "models": {
                "llama": {"id": "llama", "llm": "llama3.1-8b", "hardware": asic, "context_tokens": 6000}
            },
            "network": {"places": {"here": {"kind": "custom", "rtt_ms": 0.0}}, "tls": "none"},
            "traffic": {
                "chat": {
                    "place": "here",
                    "model": "llama",
                    "arrivals": {"kind": "constant", "rate_per_s": 1.0},
                    "lengths": {"prompt": {"kind": "fixed", "tokens": 2}, "output": fixed},
                }
            },
            "run": {"horizon_s": 10.0, "drain_s": 20.0, "replications": count},
        }
    )


def asked_at(look: int) -> Callable[[], bool]:
    """Ctrl-C comes before the look of this number."""
    looks = 0

    def asked() -> bool:
        nonlocal looks
        looks += 1
        return looks >= look

    return asked


def test_an_interrupt_during_the_drain_is_heard_between_two_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """The drain of 20 s is looked at every 100 ms; the 11th look of it comes after 1.1 s."""
    spec = scenario()
    task = Task("base", spec, 1, 0, "fast")
    whole = simulate(task)
    monkeypatch.setattr(interrupt, "asked", asked_at(SLICES - 1 + 11))
    cut = simulate(task)
    assert (whole.complete, cut.complete) == (True, False)
    assert whole.simulated_ps == cut.simulated_ps == HORIZON_PS
    ends = [outcome.tables.requests["outcome"].to_pylist() for outcome in (whole, cut)]
    assert ends[0] == ["completed"] * 9
    assert ends[1] == ["completed"] * 5 + ["unfinished"] * 4


def test_a_replication_cut_in_its_drain_does_not_count_as_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = scenario(2)
    # Before each replication is a look, after all slices but the last of horizon and drain another.
    looks = 1 + 2 * (SLICES - 1) + 1 + (SLICES - 1) + 11
    monkeypatch.setattr(interrupt, "asked", asked_at(looks))
    plan = Plan(spec, {"base": spec})
    results = run_all(plan, jobs=1, engine="fast", tell=lambda _share, _note: None)
    assert (results.replications, results.interrupted, results.measured_ps) == (1, True, HORIZON_PS)
    assert set(results.tables.requests["replication"].to_pylist()) == {0}
    assert results.tables.requests["outcome"].to_pylist() == ["completed"] * 9


def test_where_no_replication_is_whole_the_one_cut_in_its_drain_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spec = scenario()
    monkeypatch.setattr(interrupt, "asked", asked_at(1 + SLICES - 1 + 11))
    results = run_all(Plan(spec, {"base": spec}), jobs=1, engine="fast", tell=lambda _share, _note: None)
    assert (results.replications, results.interrupted, results.measured_ps) == (1, True, HORIZON_PS)
    assert results.tables.requests.num_rows == 9
