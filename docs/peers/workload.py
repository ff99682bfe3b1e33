"""The one workload that all peers simulate: recorded requests for four GPU nodes, in each one's format."""

import json
from pathlib import Path

import numpy as np

from hwmodels.node_hardware import NodeHardware
from sim.scenario.load import load
from traffic.traces import Trace, write_trace
from traffic.units import PS_PER_S, IntArray

NODES = 4
RATE_PER_S = 140.0
"""Poisson; the four nodes carry about 165/s."""
PROMPT_TOKENS, OUTPUT_TOKENS, SIGMA = 512, 128, 0.5
"""Means of lognormal lengths, and the standard deviation of their logarithms."""
SEED = 20_261_129
MAX_NUM_SEQS, MAX_NUM_BATCHED_TOKENS, BLOCK_TOKENS = 256, 8192, 16

SCENARIO = f"""\
name: peers
models:
  gpt:
    id: m
    llm: llama3.1-8b
    hardware: {{preset: h100}}
    batching:
      max_num_seqs: {MAX_NUM_SEQS}
      max_num_batched_tokens: {MAX_NUM_BATCHED_TOKENS}
      block_size: {BLOCK_TOKENS}
    nodes: {NODES}
    context_tokens: 64000
    routing: round_robin
network:
  site: aws:us-east-1
  places: {{here: {{kind: region, region: "aws:us-east-1"}}}}
traffic:
  chat:
    place: here
    model: gpt
    arrivals: {{kind: trace, path: requests.csv}}
    lengths: {{kind: trace}}
run: {{horizon_s: HORIZON, replications: 1}}
"""


def drawn(requests: int) -> Trace:
    """The same requests in every run of `make peers`."""
    rng = np.random.default_rng(SEED)
    gaps_s = rng.exponential(1 / RATE_PER_S, requests)
    gaps_s[0] = 0  # times count from the first request
    arrival_ms = np.rint(np.cumsum(gaps_s) * 1000)  # the coarsest clock of all formats
    return Trace(
        "drawn",
        (arrival_ms * (PS_PER_S // 1000)).astype(np.int64),
        _tokens(rng, PROMPT_TOKENS, requests),
        _tokens(rng, OUTPUT_TOKENS, requests),
    )


def _tokens(rng: np.random.Generator, mean: float, requests: int) -> IntArray:
    drawn = rng.lognormal(np.log(mean) - SIGMA**2 / 2, SIGMA, requests)
    return np.maximum(1, np.rint(drawn)).astype(np.int64)


def write_formats(trace: Trace, folder: Path) -> NodeHardware:
    """Fill the new `folder` with what the commands read; returns what each of the nodes is."""
    folder.mkdir(parents=True)
    write_trace(trace, folder / "requests.csv", "azure_csv")
    write_trace(trace, folder / "mooncake.jsonl", "mooncake_jsonl")
    (folder / "rows.json").write_text(json.dumps(rows(trace)), encoding="utf-8")
    horizon_s = trace.span_ps // PS_PER_S + 1000
    scenario = folder / "scenario.yaml"
    scenario.write_text(SCENARIO.replace("HORIZON", str(horizon_s)), encoding="utf-8")
    hardware = load(scenario).base.models["gpt"].build_hardware()
    write_step_times(hardware, folder / "step_times.npz")
    return hardware


def rows(trace: Trace) -> list[dict[str, float]]:
    """For peers whose own readers of files cannot keep the times or cannot divide them among nodes."""
    return [
        {"timestamp": at_ps / PS_PER_S, "prompt_tokens": prompt, "output_tokens": output}
        for at_ps, prompt, output in trace
    ]


BESIDE, BESIDE_CONTEXT = 64, 640
"""Sequences of a usual step, and the tokens that each has cached."""


def write_step_times(hardware: NodeHardware, file: Path) -> None:
    """Our step times as the table that ai-dynamo's mocker looks them up in.

    It adds the time of a step's prompt tokens to that of its decodes, each from the nearest entry. So prompt
    tokens have the price here that they have in a usual step: what they add to it.
    """
    usual_ms = _step_ms(hardware, 0, BESIDE, BESIDE * BESIDE_CONTEXT)
    new = np.unique(
        np.concatenate([np.arange(0, 1024, 16), np.arange(1024, MAX_NUM_BATCHED_TOKENS + 1, 128)])
    )
    context = np.unique(np.geomspace(16, 4096, 96).astype(np.int64))
    cached = np.linspace(0, hardware.kv_pool_tokens, 512).astype(np.int64)
    np.savez(
        file,
        prefill_isl=new.astype(float),
        prefill_ttft_ms=[
            _step_ms(hardware, tokens, BESIDE, BESIDE * BESIDE_CONTEXT) - usual_ms for tokens in new.tolist()
        ],
        decode_active_kv_tokens=cached.astype(float),
        decode_context_length=context.astype(float),
        decode_itl=[
            [_step_ms(hardware, 0, max(1, round(held / each)), held) for each in context.tolist()]
            for held in cached.tolist()
        ],
    )


def _step_ms(hardware: NodeHardware, prompt_tokens: int, decodes: int, cached_tokens: int) -> float:
    chunks = [(prompt_tokens, 0)] if prompt_tokens else []
    return hardware.step_time.step_ps(chunks, decodes, cached_tokens) * 1000 / PS_PER_S
