"""Who is compared, what each models, and how it is told to simulate the workload of `docs.peers.workload`."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq

from docs.peers.workload import BLOCK_TOKENS, MAX_NUM_BATCHED_TOKENS, MAX_NUM_SEQS, NODES
from hwmodels.node_hardware import NodeHardware

DRIVERS = Path(__file__).parent / "drivers"
Command = list[str | Path]
PS_PER_MS = 10**9
PARAMETERS, BYTES_PER_PARAMETER = 8_030_000_000, 2
"""Of Llama 3.1 8B in bf16."""


class Outcome(NamedTuple):
    """What a run says of the requests, by which to see that all did the same work."""

    requests: int
    """Those that were answered to the end."""
    output_tokens: int
    span_s: float
    """From the first arrival to the last token."""
    mean_ttft_ms: float
    """From the arrival at the platform to the first token there: the network of the caller left out."""
    mean_e2e_ms: float


class Job(NamedTuple):
    """One run of one row."""

    python: Path
    folder: Path
    """With the workload in each format."""
    out: Path
    """A new folder."""
    hardware: NodeHardware
    """Of each node, as ours has it."""


@dataclass(frozen=True, slots=True)
class Row:
    """A way to run a peer."""

    name: str
    package: str
    """A requirement of pip; empty for this project."""
    command: Callable[[Job], Command]
    outcome: Callable[[Path], Outcome]
    """From what was left in `Job.out`."""
    remark: str
    models: Mapping[str, str] = field(default_factory=dict)
    """By the words of `ASPECTS`; empty for a second way to run the same peer."""


ASPECTS = (
    "step by step",
    "chunked prefill",
    "KV blocks, preemption",
    "prefix cache",
    "routing",
    "network of callers",
    "gateway, rate limits",
    "faults, retries, scaling",
    "table of requests",
    "report",
)


def _ours(*options: str) -> Callable[[Job], Command]:
    def command(job: Job) -> Command:
        options_of_job: Command = ["--jobs", "1", "--quiet", "--out", job.out / "run"]
        return [job.python, "-m", "sim", "run", job.folder / "scenario.yaml", *options_of_job, *options]

    return command


def _outcome_of_ours(out: Path) -> Outcome:
    columns = ["arrived_ps", "first_ps", "last_ps", "output_tokens"]
    table = pq.read_table(out / "run" / "requests.parquet", columns=columns)
    arrived, first, last, tokens = (table[name].to_numpy() for name in columns)
    return Outcome(
        table.num_rows,
        int(tokens.sum()),
        float(last.max() - arrived.min()) / PS_PER_MS / 1000,
        float(np.mean(first - arrived)) / PS_PER_MS,
        float(np.mean(last - arrived)) / PS_PER_MS,
    )


def _dynamo(*options: str, our_step_times: bool) -> Callable[[Job], Command]:
    def command(job: Job) -> Command:
        engine: dict[str, object] = {
            "engine_type": "vllm",
            "num_gpu_blocks": job.hardware.kv_pool_tokens // BLOCK_TOKENS,
            "block_size": BLOCK_TOKENS,
            "max_num_seqs": MAX_NUM_SEQS,
            "max_num_batched_tokens": MAX_NUM_BATCHED_TOKENS,
            "enable_prefix_caching": False,
            "enable_chunked_prefill": True,
        }
        if our_step_times:
            engine["planner_profile_data"] = str(job.folder / "step_times.npz")
        words = (
            *("--num-workers", str(NODES)),
            *("--router-mode", "round_robin"),
            *("--extra-engine-args", json.dumps(engine)),
            *("--report-json", str(job.out / "report.json")),
            *(word.replace("OUT", str(job.out)) for word in options),
        )
        return [job.python, "-m", "dynamo.replay", job.folder / "mooncake.jsonl", *words]

    return command


def _outcome_of_dynamo(out: Path) -> Outcome:
    told = json.loads((out / "report.json").read_text(encoding="utf-8"))
    return Outcome(
        told["completed_requests"],
        told["total_output_tokens"],
        told["duration_ms"] / 1000,
        told["mean_ttft_ms"],
        told["mean_e2e_latency_ms"],
    )


def _driven(driver: str, settings: Callable[[NodeHardware], dict[str, object]]) -> Callable[[Job], Command]:
    def command(job: Job) -> Command:
        told = json.dumps(settings(job.hardware))
        return [job.python, DRIVERS / driver, job.folder, job.out / "outcome.json", told]

    return command


def _outcome_of_driver(out: Path) -> Outcome:
    return Outcome(**json.loads((out / "outcome.json").read_text(encoding="utf-8")))


def _for_sched_sim(hardware: NodeHardware) -> dict[str, object]:
    """Its own form of a step time, with the prices of ours: a KV token, a prompt token, the shortest step."""
    law, kv_bytes = hardware.step_time, hardware.kv_bytes_per_token
    assert kv_bytes is not None
    bytes_per_ps = kv_bytes / law.kv_ps
    token_ps = (law.dense(MAX_NUM_BATCHED_TOKENS) - law.dense(1024)) / (MAX_NUM_BATCHED_TOKENS - 1024)
    weights = PARAMETERS * BYTES_PER_PARAMETER
    pool_bytes = hardware.kv_pool_tokens * kv_bytes
    return {
        "nodes": NODES,
        "max_num_seqs": MAX_NUM_SEQS,
        "max_num_batched_tokens": MAX_NUM_BATCHED_TOKENS,
        "hardware": {
            "memory_bandwidth_gb_s": bytes_per_ps * 1000,
            "fp16_tflops": 2 * PARAMETERS / token_ps,
            "tensor_core_efficiency": 1.0,
            "kernel_launch_overhead_ms": (law.dense(1) - weights / bytes_per_ps) / PS_PER_MS,
            "vram_gb": (weights + pool_bytes) / 2**30 + 0.5,  # half a GB it keeps free
            "parameter_count_billions": PARAMETERS / 1e9,
            "num_layers": 32,
            "num_kv_heads": 8,
            "head_dim": 128,
            "dtype_bytes": BYTES_PER_PARAMETER,
        },
    }


def _for_fleet_sim(_hardware: NodeHardware) -> dict[str, object]:
    return {"nodes": NODES, "max_ctx": 8192}


YES, NO = "yes", "no"
OURS = "e80sim"
ROWS = (
    Row(
        OURS,
        "",
        _ours(),
        _outcome_of_ours,
        "a table of all requests, a summary and the report",
        dict.fromkeys(ASPECTS, YES) | {"step by step": "exact, without a step each"},
    ),
    Row(
        "e80sim, no report",
        "",
        _ours("--no-report"),
        _outcome_of_ours,
        "the same without the report",
    ),
    Row(
        "ai-dynamo, our step times",
        "ai-dynamo==1.4.2",
        _dynamo(our_step_times=True),
        _outcome_of_dynamo,
        "written in Rust; the same steps as ours, from a table of our step times",
        {
            "step by step": YES,
            "chunked prefill": YES,
            "KV blocks, preemption": YES,
            "prefix cache": YES,
            "routing": "round robin, KV-aware",
            "network of callers": NO,
            "gateway, rate limits": NO,
            "faults, retries, scaling": "scaling",
            "table of requests": "on request",
            "report": "means and quantiles",
        },
    ),
    Row(
        "ai-dynamo, a line for each request",
        "ai-dynamo==1.4.2",
        _dynamo("--report-jsonl", "OUT/requests.jsonl", our_step_times=True),
        _outcome_of_dynamo,
        "the same with a line of JSON for each request",
    ),
    Row(
        "ai-dynamo, its own step times",
        "ai-dynamo==1.4.2",
        _dynamo(our_step_times=False),
        _outcome_of_dynamo,
        "steps three times as long, so a third of them",
    ),
    Row(
        "vllm-sr-sim",
        "vllm-sr-sim==0.1.0.dev20260713123629",
        _driven("fleet_sim_requests.py", _for_fleet_sim),
        _outcome_of_driver,
        "an event for each request, no steps and no batches, by its classes: not the same work",
        {
            "step by step": NO,
            "chunked prefill": NO,
            "KV blocks, preemption": "by request",
            "prefix cache": NO,
            "routing": "several, among pools",
            "network of callers": NO,
            "gateway, rate limits": NO,
            "faults, retries, scaling": NO,
            "table of requests": "in memory",
            "report": NO,
        },
    ),
    Row(
        "sched-sim",
        "sched-sim==0.2.1",
        _driven("sched_sim_requests.py", _for_sched_sim),
        _outcome_of_driver,
        "four engines one after the other, by its classes; our prices in its law, whose steps are shorter",
        {
            "step by step": YES,
            "chunked prefill": YES,
            "KV blocks, preemption": YES,
            "prefix cache": YES,
            "routing": NO,
            "network of callers": NO,
            "gateway, rate limits": NO,
            "faults, retries, scaling": NO,
            "table of requests": "in memory",
            "report": "means and quantiles",
        },
    ),
)
NO_PEERS = {
    "vidur 0.0.26": "simulates steps, but fetches their times from a hub of data sets as it starts",
    "aisimulate 0.13.0": "fetches itself from an index of its maker as it is installed",
    "ai-dynamo 1.6.1": "needs aisimulate",
    "kavier 0.5.3": "prices each request by a formula: no arrivals, no queue, no batches",
    "aiconfigurator 0.12.0": "composes the time of a step, and rates settings by formulas: no requests",
    "genz-llm 0.0.16": "rates hardware by formulas: no requests",
    "xpyd-sim 0.5.0": "answers HTTP in real time",
}
"""Looked at -> why there is no row: on the machine of the table only the registry could be reached."""
