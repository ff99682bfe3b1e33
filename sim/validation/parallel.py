"""Two GPUs with one model between them: requests that vLLM answered at tensor-parallel width 2."""

from dataclasses import dataclass
from pathlib import Path

from hwmodels.calibrate.fit import calibrate
from hwmodels.calibrate.read import read_step_table
from hwmodels.llm import load_llm
from sim.validation.check import Check
from sim.validation.compare import Comparison, compare
from sim.validation.fitted import fitted_node
from sim.validation.recorded import read_recorded
from sim.validation.replay import replay

BATCHING = {"max_num_seqs": 128, "max_num_batched_tokens": 2048}
POOL_TOKENS = 457_824
BUILT = False
"""Whether a step can say what its ranks tell each other, which the bound asks for."""


@dataclass(frozen=True, slots=True)
class ParallelEvidence:
    rows: list[Comparison]

    @property
    def checks(self) -> list[Check]:
        (e2e,) = (row for row in self.rows if row.metric == "e2e")
        return [Check("Qwen3-32B, two GPUs: E2E, MAPE over requests", e2e.mape, 0.05, enforced=BUILT)]


def gather_parallel(data: Path, scratch: Path) -> ParallelEvidence:
    """FileNotFoundError where `data` lacks a table; `scratch` takes the file of the fit."""
    llm = str(data / "qwen3-32b.yaml")
    fit = calibrate(
        read_step_table(data / "llmservingsim_qwen3_32b_tp2_rtxpro6000_iteration.csv"), load_llm(llm)
    )
    recorded = read_recorded(data / "vllm_requests_qwen3_32b_tp2_rtxpro6000.csv")
    server = fitted_node(
        scratch,
        fit,
        extends="rtx_pro_6000_vllm",
        stated={"kv_pool_tokens": POOL_TOKENS},
        llm=llm,
        context_tokens=recorded.longest_tokens,
        batching=BATCHING,
    )
    return ParallelEvidence(compare(replay(server, recorded)))
