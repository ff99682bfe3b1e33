"""Two GPUs with one model between them: requests that vLLM answered at tensor-parallel width 2."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwmodels.calibrate.fit import calibrate
from hwmodels.calibrate.read import read_step_table
from hwmodels.dense import GemmTiles
from hwmodels.llm import load_llm
from sim.validation.check import Check
from sim.validation.compare import Comparison, compare
from sim.validation.fitted import fitted_node
from sim.validation.recorded import read_recorded
from sim.validation.replay import replay

TILES = GemmTiles(tokens=128, above_tokens=256)
BATCHING = {"max_num_seqs": 128, "max_num_batched_tokens": 2048, "async_scheduling": True}
AT_THE_ENGINE = {"front_end_ms": 0.0, "launch_ms": 0.0}
"""As of one such GPU: its times were taken there, and its steps follow each other."""
POOL_TOKENS = 457_824
LINKS: dict[str, Mapping[str, Any]] = {
    "`pcie5_host`: all-reduces that vLLM 0.19 was timed with on this card": {"link": "pcie5_host"},
    "`pcie5`: as vLLM 0.24 was timed with, peer to peer": {"link": "pcie5"},
    "formula, peak of PCIe 5.0 x16 (63 GB/s), 2.1 us a message": {
        "link_bandwidth_gb_per_s": 63.0,
        "link_latency_us": 2.1,
    },
    "none: ranks that tell each other nothing": {"link_bandwidth_gb_per_s": 1e9, "link_latency_us": 0.0},
}
"""The first is held to the bound: of the two tables it is that of the recorded engine's version."""


@dataclass(frozen=True, slots=True)
class ParallelEvidence:
    rows: dict[str, list[Comparison]]
    """By what connects the two."""

    @property
    def checks(self) -> list[Check]:
        held = next(iter(self.rows.values()))
        (e2e,) = (row for row in held if row.metric == "e2e")
        return [Check("Qwen3-32B, two GPUs: E2E, MAPE over requests", e2e.mape, 0.05)]


def gather_parallel(data: Path, scratch: Path) -> ParallelEvidence:
    """FileNotFoundError where `data` lacks a table; `scratch` takes the file of the fit."""
    llm = "qwen3-32b"
    steps = read_step_table(data / "llmservingsim_qwen3_32b_tp2_rtxpro6000_iteration.csv")
    fit = calibrate(steps, load_llm(llm), tiles=TILES)
    recorded = read_recorded(data / "vllm_requests_qwen3_32b_tp2_rtxpro6000.csv")

    def replayed(link: Mapping[str, Any]) -> list[Comparison]:
        server = fitted_node(
            scratch,
            fit,
            extends="rtx_pro_6000_vllm",
            stated={"kv_pool_tokens": POOL_TOKENS, **AT_THE_ENGINE, **link},
            llm=llm,
            context_tokens=recorded.longest_tokens,
            batching=BATCHING,
            tensor_parallel=2,
        )
        return compare(replay(server, recorded))

    return ParallelEvidence({name: replayed(link) for name, link in LINKS.items()})
