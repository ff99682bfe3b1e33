"""One H100 at four rates: requests that a vLLM server answered, with one set of numbers for all of them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import log
from pathlib import Path
from typing import Any

from hwmodels.calibrate.fit import Calibration, calibrate
from hwmodels.calibrate.read import read_step_table
from hwmodels.llm import load_llm
from sim.scenario.schema import Scenario
from sim.validation.check import Check
from sim.validation.compare import QUANTILES, TITLES, Comparison, compare
from sim.validation.fitted import fitted_node
from sim.validation.recorded import RecordedRequests, read_recorded
from sim.validation.replay import replay

RATES = (2, 6, 8, 12)
"""Requests per second."""
HIGHEST = RATES[-1]
BATCHING = {"max_num_seqs": 256, "max_num_batched_tokens": 8192}
POOL_TOKENS = 288_608
BUILT = False
"""Whether the engine schedules a step ahead and the law knows tiles, which the bounds ask for."""


@dataclass(frozen=True, slots=True)
class RateEvidence:
    fit: Calibration
    as_composed: dict[int, list[Comparison]]
    """By rate, with nothing but the law of the composed steps."""
    replays: dict[int, list[Comparison]]
    """By rate, with the numbers of `STATED`."""
    capacity_error: float
    """Of the rate at which the simulated mean E2E is that measured at the highest rate."""

    @property
    def checks(self) -> list[Check]:
        found = [check for rate, rows in self.replays.items() for check in _checks(rate, rows)]
        what = f"H100, {HIGHEST}/s: capacity, as the rate with the measured E2E"
        return [*found, Check(what, self.capacity_error, 0.03, enforced=BUILT)]


def _checks(rate: int, rows: list[Comparison]) -> Iterator[Check]:
    by_metric = {row.metric: row for row in rows}
    for metric, bound in (("ttft", 0.10), ("tpot", 0.015), ("e2e", 0.015)):
        what = f"H100, {rate}/s: {TITLES[metric]}, MAPE over requests"
        yield Check(what, by_metric[metric].mape, bound, enforced=BUILT)
    ttft = by_metric["ttft"]
    yield Check(f"H100, {rate}/s: mean TTFT", ttft.mean_error, 0.04, enforced=BUILT)
    for quantile, error in zip(QUANTILES, ttft.quantile_errors, strict=True):
        yield Check(f"H100, {rate}/s: TTFT, p{quantile}", error, 0.06, enforced=BUILT)


def gather_rates(data: Path, scratch: Path) -> RateEvidence:
    """FileNotFoundError where `data` lacks a table; `scratch` takes the files of the fits."""
    llm = str(data / "qwen3-14b.yaml")
    steps = read_step_table(data / "aic_composed_iteration_qwen3_14b_h100.csv")
    fit = calibrate(steps, load_llm(llm))
    recorded = {rate: read_recorded(data / f"vllm_requests_qwen3_14b_h100_{rate}rps.csv") for rate in RATES}
    longest = max(requests.longest_tokens for requests in recorded.values())

    def server(stated: dict[str, Any]) -> Scenario:
        stated = {"kv_pool_tokens": POOL_TOKENS, **stated}
        return fitted_node(
            scratch,
            fit,
            extends="h100_vllm",
            stated=stated,
            llm=llm,
            context_tokens=longest,
            batching=BATCHING,
        )

    plain, told = server({}), server({})
    replays = {rate: compare(replay(told, requests)) for rate, requests in recorded.items()}
    return RateEvidence(
        fit,
        {rate: compare(replay(plain, requests)) for rate, requests in recorded.items()},
        replays,
        _capacity_error(told, recorded[HIGHEST], _lateness(replays[HIGHEST])),
    )


def _capacity_error(server: Scenario, recorded: RecordedRequests, as_recorded: float) -> float:
    """How much faster the same requests must come for the simulated mean E2E to be the measured one.

    A second replay is a tenth away, and the logarithm of the E2E is taken as linear in the rate.
    """
    speed = 1.1 if as_recorded < 0 else 1 / 1.1
    arrival_ps = tuple(round(at_ps / speed) for at_ps in recorded.arrival_ps)
    there = _lateness(compare(replay(server, replace(recorded, arrival_ps=arrival_ps))))
    return as_recorded / (as_recorded - there) * (speed - 1)


def _lateness(rows: list[Comparison]) -> float:
    """Logarithm of the simulated mean E2E over the measured one."""
    (e2e,) = (row for row in rows if row.metric == "e2e")
    return log(1 + e2e.mean_error)
