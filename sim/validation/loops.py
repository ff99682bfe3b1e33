"""Closed loops against published means: TensorRT-LLM at five concurrencies, and a preset as it ships."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from e80sim.measured.files import read_file
from sim.validation.bare_node import bare_node
from sim.validation.check import Check
from sim.validation.closed_loops import (
    ClosedLoop,
    ClosedLoops,
    ComparedLoop,
    compare_loops,
    loop_errors,
    read_closed_loops,
)

TENSORRT_LLM = {
    "kind": "gpu_iteration",
    "t_host_ms": 0.0,  # its scheduler overlaps with the steps
    "mixed_kv_multiplier": 1.03,  # as its composed steps have it
    "prefill_tile_tokens": 0,
    "gemm_tile_tokens": 128,  # as found on this GPU under vLLM
    "front_end_ms": 0.0,
    "launch_ms": 0.0,
    "kv_pool_tokens": 400_000,
}
BATCHING = {"max_num_seqs": 256, "max_num_batched_tokens": 8192, "async_scheduling": True}
"""Its overlap scheduler, which is on by default, forms a step while the one before it is under way."""
COEFFICIENTS = {
    "t_fixed_ms": "t_fixed_ms",
    "t_weights_ms": "t_weights_ms",
    "ms_per_token": "ms_per_token",
    "ms_per_attn_pair": "ms_per_attn_pair",
    "ms_per_kv_token": "ms_per_kv_token",
    "ms_per_seq": "ms_per_sequence",
    "p_norm": "p_norm",
}
"""Columns of the table of coefficients, and what they are called here."""
PRESET, PRESET_LLM = "h100_vllm", "llama3.1-8b"
PUBLISHED = ("docs/performance-lab/qwen3-8b/h100-latency.md", "vllm serve Qwen/Qwen3-8B", "Baseline")
"""Page, command and kind of block of the published means: of the LLM nearest to one that has a law."""


@dataclass(frozen=True, slots=True)
class LoopEvidence:
    tensorrt: list[ComparedLoop]
    preset: list[ComparedLoop]
    """Of a catalogue preset as it ships."""

    @property
    def checks(self) -> list[Check]:
        tpot = loop_errors(self.tensorrt)["tpot"]
        return [
            Check(f"closed loops, TensorRT-LLM: TPOT, MAPE over {tpot.rows} rows", tpot.mape, 0.03),
            Check("closed loops, TensorRT-LLM: TPOT, worst row", tpot.worst, 0.08),
        ]


def gather_loops(data: Path) -> LoopEvidence:
    """FileNotFoundError where `data` lacks a table."""
    silicon = read_closed_loops(
        read_file(data / "aic_silicon_llama8b_h100_trtllm.csv"), {"tpot": "silicon_tpot_ms"}
    )
    hardware = TENSORRT_LLM | _coefficients(data / "gpu_iteration_coefficients.csv")
    server = bare_node(hardware, context_tokens=silicon.longest_tokens, batching=BATCHING)
    published = ClosedLoops("published", tuple(_published(data / "gpustack_serving_bench.csv")))
    preset = bare_node(PRESET, llm=PRESET_LLM, context_tokens=published.longest_tokens)
    return LoopEvidence(compare_loops(server, silicon), compare_loops(preset, published))


def _coefficients(path: Path) -> dict[str, float]:
    with path.open(newline="", encoding="utf-8") as file:
        (row,) = (
            row
            for row in csv.DictReader(file)
            if row["backend"].startswith("trtllm") and "8B" in row["model"]
        )
    return {ours: float(row[theirs]) for theirs, ours in COEFFICIENTS.items()}


def _published(path: Path) -> Iterator[ClosedLoop]:
    """Mean lengths; E2E is what the mean TTFT and TPOT add up to."""
    page, command, block = PUBLISHED
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if (row["source_path"], row["serve_cmd"]) != (page, command) or not row["block"].startswith(
                block
            ):
                continue
            requests = float(row["Successful requests"])
            output = round(float(row["Total generated tokens"]) / requests)
            ttft, tpot = float(row["Mean TTFT (ms)"]), float(row["Mean TPOT (ms)"])
            yield ClosedLoop(
                round(float(row["Total input tokens"]) / requests),
                output,
                round(float(row["Maximum request concurrency"])),
                {"ttft": ttft, "tpot": tpot, "e2e": ttft + tpot * (output - 1)},
            )
