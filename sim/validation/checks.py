"""The model against measurements: what is compared, how far it may be off, and how far it is.

The raw tables are not part of the repository; `data` is the folder that holds them.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from hwmodels.calibrate.fit import Calibration, calibrate
from hwmodels.calibrate.read import read_step_table
from hwmodels.dense import GemmTiles
from hwmodels.llm import load_llm
from sim.time.units import PS_PER_S
from sim.validation.bare_node import bare_node
from sim.validation.check import Check
from sim.validation.compare import Comparison, compare
from sim.validation.fitted import fitted_node
from sim.validation.recorded import RecordedRequests, read_recorded
from sim.validation.replay import replay

FORMS = ("r6b", "table")
HOST_MS = (0.0, 0.5, 1.0)
"""The first is the one that is held to bounds; nothing about it was chosen after seeing the errors."""
TILES = GemmTiles(tokens=128, above_tokens=256)
VLLM_BATCHING = {
    "max_num_seqs": 128,
    "max_num_batched_tokens": 2048,
    "block_size": 16,
    "async_scheduling": True,
}
AT_THE_ENGINE = {"front_end_ms": 0.0, "launch_ms": 0.0}
"""Its times were taken there, and its steps follow each other."""
VLLM_POOL_TOKENS = 530_000
HC1_PRESETS = ("hc1", "hc1_pipelined")
HC1_LATER_FROM_UNIX = 1_788_220_800
"""September 2026: the one row before it comes from a note whose second block looked invented."""
HC1_LEAST_TOKENS = 19


@dataclass(frozen=True, slots=True)
class Evidence:
    fits: dict[str, Calibration]
    """By form, of the RTX PRO 6000's step table."""
    replays: dict[tuple[str, float], list[Comparison]]
    """By form and host time, of the 300 requests that vLLM answered on that GPU."""
    hc1: dict[str, "Hc1Errors"]
    """By preset."""

    @property
    def checks(self) -> list[Check]:
        return [*self._step_checks(), *self._replay_checks(), *self._hc1_checks()]

    def _step_checks(self) -> list[Check]:
        return [
            Check(f"step law, form {form}: mean error, held-out half, context up to 4k", _mape(fit), 0.05)
            for form, fit in self.fits.items()
        ]

    def _replay_checks(self) -> list[Check]:
        checks = []
        for form in self.fits:
            rows = {row.metric: row for row in self.replays[form, HOST_MS[0]]}
            checks += [
                Check(f"replay, form {form}: TPOT, MAPE over requests", rows["tpot"].mape, 0.04),
                Check(f"replay, form {form}: E2E, MAPE over requests", rows["e2e"].mape, 0.04),
                Check(f"replay, form {form}: mean TTFT", rows["ttft"].mean_error, 0.10),
                Check(f"replay, form {form}: TTFT, MAPE over requests", rows["ttft"].mape, 0.09),
            ]
        return checks

    def _hc1_checks(self) -> list[Check]:
        checks = []
        for preset, errors in self.hc1.items():
            checks += [
                Check(f"{preset}: decode time, worst of {errors.rows} rows", errors.worst_decode, 0.03),
                Check(f"{preset}: TTFT, worst of {errors.rows} rows", errors.worst_ttft, 0.15),
            ]
        return checks


@dataclass(frozen=True, slots=True)
class Hc1Errors:
    rows: int
    worst_decode: float
    """Signed, as is the other: of the row that is furthest off."""
    worst_ttft: float


def gather(data: Path) -> Evidence:
    """Fit, replay and compare; FileNotFoundError where `data` lacks a table."""
    folder = data / "calibration"
    steps = read_step_table(folder / "llmservingsim_llama31_8b_rtxpro6000_iteration.csv")
    recorded = read_recorded(folder / "vllm_requests_llama31_8b_rtxpro6000.csv")
    fits = {form: calibrate(steps, load_llm("llama3.1-8b"), form=form, tiles=TILES) for form in FORMS}
    with TemporaryDirectory() as scratch:
        replays = {
            (form, host_ms): _replayed(Path(scratch), fit, recorded, host_ms)
            for form, fit in fits.items()
            for host_ms in HOST_MS
        }
    hc1 = folder / "taalas_hc1_chatjimmy_measured.csv"
    return Evidence(fits, replays, {preset: _hc1_errors(hc1, preset) for preset in HC1_PRESETS})


def _mape(fit: Calibration) -> float:
    errors = fit.error_of("context up to 4k")
    assert errors.mape is not None
    return errors.mape


def _replayed(
    scratch: Path, fit: Calibration, recorded: RecordedRequests, host_ms: float
) -> list[Comparison]:
    server = fitted_node(
        scratch,
        fit,
        extends="rtx_pro_6000_vllm",
        stated={"kv_pool_tokens": VLLM_POOL_TOKENS, **AT_THE_ENGINE},
        llm="llama3.1-8b",
        context_tokens=recorded.longest_tokens,
        batching=VLLM_BATCHING,
        host_ms=host_ms,
    )
    return compare(replay(server, recorded))


# HC1: times on the chip, each request alone


def _hc1_errors(path: Path, preset: str) -> Hc1Errors:
    rows = _hc1_rows(path)
    recorded = RecordedRequests(
        path.name,
        tuple(range(0, len(rows) * PS_PER_S, PS_PER_S)),
        tuple(int(row["prefill_tokens"]) for row in rows),
        tuple(int(row["decode_tokens"]) for row in rows),
        {},
    )
    # The service counts its own time, 2 to 4 ms, outside of the two that it reports for the chip.
    hardware: Mapping[str, Any] = {"preset": preset, "request_overhead_ms": 0.0}
    simulated = replay(bare_node(hardware, context_tokens=6144), recorded).simulated_ms
    ttft_ms = np.array([1e3 * float(row["ttft_s"]) for row in rows])
    decode_ms = np.array([1e3 * (float(row["total_time_s"]) - float(row["ttft_s"])) for row in rows])
    decode = (simulated["e2e"] - simulated["ttft"]) / decode_ms - 1
    ttft = simulated["ttft"] / ttft_ms - 1
    return Hc1Errors(len(rows), max(decode.tolist(), key=abs), max(ttft.tolist(), key=abs))


def _hc1_rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return [
            row
            for row in csv.DictReader(file)
            if float(row["created_at_unix"]) >= HC1_LATER_FROM_UNIX
            and int(row["decode_tokens"]) >= HC1_LEAST_TOKENS
        ]
