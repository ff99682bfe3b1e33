"""The workloads that speed is measured on."""

from pathlib import Path

from sim.scenario.load import load
from sim.scenario.schema import Scenario

GPU = """
name: gpu
models:
  llama:
    id: m
    llm: llama3.1-8b
    # One step after the other and one price of a KV token: what schedules ahead has a row of its own.
    hardware: {preset: h100_vllm, mixed_kv_multiplier: 1, front_end_ms: 0, launch_ms: 0}
    batching: {async_scheduling: false}
    nodes: 4
    context_tokens: 8192
gateway: {overhead_ms: 0.5, concurrency: 64}
network:
  site: aws:us-east-1
  places: {here: {kind: region, region: "aws:us-east-1"}}
traffic:
  chat:
    place: here
    model: llama
    arrivals: {kind: poisson, rate_per_s: 140}  # 70 % of the 200/s that the four nodes carry
    lengths:
      prompt: {kind: lognormal, median: 512, sigma: 0.5, high: 4000}
      output: {kind: lognormal, median: 128, sigma: 0.5, high: 4000}
run: {horizon_s: 70, replications: 1}
"""

ASIC = """
name: asic
models:
  llama:
    id: m
    llm: llama3.1-8b
    hardware: {preset: hc1, kv_pool_tokens: 25000}
    nodes: 8
    context_tokens: 25000
gateway: {overhead_ms: 0.5, concurrency: 64}
network:
  site: aws:us-east-1
  places: {here: {kind: region, region: "aws:us-east-1"}}
traffic:
  chat:
    place: here
    model: llama
    arrivals: {kind: poisson, rate_per_s: 125}  # 70 % of what eight chips carry at 45 ms a request
    lengths:
      prompt: {kind: lognormal, median: 512, sigma: 0.5, high: 4000}
      output: {kind: lognormal, median: 128, sigma: 0.5, high: 4000}
run: {horizon_s: 80, replications: 1}
"""


def scenario(folder: Path, text: str, *settings: str) -> Scenario:
    file = folder / "scenario.yaml"
    file.write_text(text, encoding="utf-8")
    return load(file, settings).base
