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


@dataclass(frozen=True, slots=True)
class Numbers:
    """What composed steps do not tell of a server. Tiles of 128 tokens and the step ahead have no number."""

    front_end_ms: float
    launch_ms: float
    mixed_kv_multiplier: float
    token_factor: float
    """Of the price of a prompt token, over that of the composed steps."""
    weights_factor: float
    """Of the time to read the weights, likewise."""

    def stated(self, fit: Calibration) -> dict[str, Any]:
        """As a scenario states it over the entry of the fit."""
        fitted = {estimate.name: estimate.value for estimate in fit.estimates}
        return {
            "gemm_tile_tokens": 128,
            "gemm_tile_above_tokens": 256,
            "front_end_ms": self.front_end_ms,
            "launch_ms": self.launch_ms,
            "mixed_kv_multiplier": self.mixed_kv_multiplier,
            "ms_per_token": self.token_factor * fitted["ms_per_token"],
            "t_weights_ms": self.weights_factor * fitted["t_weights_ms"],
        }


ALL_RUNS = Numbers(3.3, 3.4, 2.24, 1.0438, 0.9656)
"""Fitted to the four runs together: half the MAPE of TTFT, and those of TPOT and E2E, means of the runs."""
WITHOUT_HIGHEST = Numbers(3.3, 3.51, 2.087, 1.0405, 0.9676)
"""Fitted to the other three."""
AS_COMPOSED = {"gemm_tile_tokens": 0, "front_end_ms": 0.0, "launch_ms": 0.0}


@dataclass(frozen=True, slots=True)
class RateEvidence:
    fit: Calibration
    as_composed: dict[int, list[Comparison]]
    """By rate, with nothing but the law of the composed steps, and each step formed after the one before."""
    replays: dict[int, list[Comparison]]
    """By rate, with the numbers of all runs."""
    predicted: list[Comparison]
    """At the highest rate, with numbers that know nothing of it."""
    capacity_error: float
    """Of the rate at which the simulated mean E2E is that measured at the highest rate."""

    @property
    def checks(self) -> list[Check]:
        found = [check for rate, rows in self.replays.items() for check in _checks(rate, rows)]
        what = f"H100, {HIGHEST}/s: capacity, as the rate with the measured E2E"
        return [*found, Check(what, self.capacity_error, 0.03)]


def _checks(rate: int, rows: list[Comparison]) -> Iterator[Check]:
    by_metric = {row.metric: row for row in rows}
    for metric, bound in (("ttft", 0.10), ("tpot", 0.015), ("e2e", 0.015)):
        what = f"H100, {rate}/s: {TITLES[metric]}, MAPE over requests"
        yield Check(what, by_metric[metric].mape, bound)
    ttft = by_metric["ttft"]
    yield Check(f"H100, {rate}/s: mean TTFT", ttft.mean_error, 0.04)
    for quantile, error in zip(QUANTILES, ttft.quantile_errors, strict=True):
        yield Check(f"H100, {rate}/s: TTFT, p{quantile}", error, 0.06)


def gather_rates(data: Path, scratch: Path) -> RateEvidence:
    """FileNotFoundError where `data` lacks a table; `scratch` takes the files of the fits."""
    llm = str(data / "qwen3-14b.yaml")
    steps = read_step_table(data / "aic_composed_iteration_qwen3_14b_h100.csv")
    fit = calibrate(steps, load_llm(llm))
    recorded = {rate: read_recorded(data / f"vllm_requests_qwen3_14b_h100_{rate}rps.csv") for rate in RATES}
    longest = max(requests.longest_tokens for requests in recorded.values())

    def server(stated: dict[str, Any], *, ahead: bool) -> Scenario:
        return fitted_node(
            scratch,
            fit,
            extends="h100_vllm",
            stated={"kv_pool_tokens": POOL_TOKENS, **stated},
            llm=llm,
            context_tokens=longest,
            batching=BATCHING | {"async_scheduling": ahead},
        )

    def replayed(node: Scenario) -> dict[int, list[Comparison]]:
        return {rate: compare(replay(node, requests)) for rate, requests in recorded.items()}

    told = server(ALL_RUNS.stated(fit), ahead=True)
    others = server(WITHOUT_HIGHEST.stated(fit), ahead=True)
    replays = replayed(told)
    return RateEvidence(
        fit,
        replayed(server(AS_COMPOSED, ahead=False)),
        replays,
        compare(replay(others, recorded[HIGHEST])),
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
