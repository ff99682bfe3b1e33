"""One H100 at four rates: requests that a vLLM server answered, with one set of numbers for all of them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from math import log
from pathlib import Path

from e80sim.measured import MeasuredRequests, read_measured
from hwmodels.calibrate.fit import Calibration, calibrate
from hwmodels.calibrate.read import read_step_table
from hwmodels.calibrate.requests.fit import RequestFit, fit_requests
from hwmodels.calibrate.step_table import StepTable
from hwmodels.calibrate.target import Target
from hwmodels.dense import GemmTiles
from hwmodels.llm import Llm, load_llm
from sim.scenario.schema import Scenario
from sim.validation.bare_node import bare_node
from sim.validation.check import Check
from sim.validation.compare import QUANTILES, TITLES, Comparison, compare
from sim.validation.fitted import fitted_node
from sim.validation.recorded import RecordedRequests, recorded_of
from sim.validation.replay import replay

RATES = (2, 6, 8, 12)
"""Requests per second."""
HIGHEST = RATES[-1]
BATCHING = {"max_num_seqs": 256, "max_num_batched_tokens": 8192}
POOL_TOKENS = 288_608
PRESET = "h100_vllm"
TILES = GemmTiles(tokens=128, above_tokens=256)
PLAIN = {"gemm_tile_tokens": 0, "front_end_ms": 0.0, "launch_ms": 0.0}
"""A law of composed steps, and nothing around it."""


@dataclass(frozen=True, slots=True)
class RateEvidence:
    told: RequestFit
    """What the four runs tell."""
    told_without_highest: RequestFit
    as_composed: dict[int, list[Comparison]]
    """By rate, with nothing but the law of the composed steps, and each step formed after the one before."""
    replays: dict[int, list[Comparison]]
    """By rate, with what the four runs tell."""
    predicted: list[Comparison]
    """At the highest rate, with what the other runs tell."""
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
    """FileNotFoundError where `data` lacks a table; `scratch` takes the entries of the fits."""
    llm_file = str(data / "qwen3-14b.yaml")
    llm = load_llm(llm_file)
    steps = read_step_table(data / "aic_composed_iteration_qwen3_14b_h100.csv")
    runs = {rate: read_measured(data / f"vllm_requests_qwen3_14b_h100_{rate}rps.csv") for rate in RATES}
    recorded = {rate: recorded_of(run) for rate, run in runs.items()}
    longest = max(requests.longest_tokens for requests in recorded.values())

    def replayed(node: Scenario) -> dict[int, list[Comparison]]:
        return {rate: compare(replay(node, requests)) for rate, requests in recorded.items()}

    def told_by(name: str, some: Iterable[MeasuredRequests]) -> tuple[RequestFit, Scenario]:
        fit, entry = _fitted_to(scratch / name, steps, llm, list(some))
        return fit, bare_node(str(entry), llm=llm_file, context_tokens=longest, batching=BATCHING)

    told, node = told_by("all.yaml", runs.values())
    without, other_node = told_by("others.yaml", (runs[rate] for rate in RATES if rate != HIGHEST))
    replays = replayed(node)
    plain = fitted_node(
        scratch,
        calibrate(steps, llm),
        extends=PRESET,
        stated={"kv_pool_tokens": POOL_TOKENS, **PLAIN},
        llm=llm_file,
        context_tokens=longest,
        batching=BATCHING | {"async_scheduling": False},
    )
    return RateEvidence(
        told,
        without,
        replayed(plain),
        replays,
        compare(replay(other_node, recorded[HIGHEST])),
        _capacity_error(node, recorded[HIGHEST], _lateness(replays[HIGHEST])),
    )


def _fitted_to(
    out: Path, steps: StepTable, llm: Llm, runs: list[MeasuredRequests]
) -> tuple[RequestFit, Path]:
    """As `e80sim calibrate TABLE --gemm-tile-tokens 128 --requests RUN ...` does."""
    law: Calibration = calibrate(steps, llm, tiles=TILES)
    told = fit_requests(law.step, llm, runs, BATCHING["max_num_batched_tokens"])
    Target(out, PRESET, {"kv_pool_tokens": POOL_TOKENS}, 0.0).write(law, "H100", told)
    return told, out


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
