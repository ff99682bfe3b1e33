"""Every number of the schema has two bounds, and at both of them everything gives an answer or says why not.

An answer is a run whose summary is finite and a served request that ends; a refusal is one sentence with file
and line, before any work. What would take too long to run here is checked and served.
"""

import asyncio
import json
import math
import re
from collections.abc import Iterator
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from api_shim.testing import VirtualPlatform
from reports.summary import summarise
from sim.network.catalogue import bounds_of, network_facts
from sim.run.estimate import estimate
from sim.run.manifest import manifest
from sim.scenario.load import Plan, load
from sim.scenario.source_map import ScenarioError
from tests.support.live import Wire
from tests.support.schema_numbers import Number, numbers
from tests.support.study import results_of

TRACE = "arrived_at,num_prefill_tokens,num_decode_tokens\n0.0,5,3\n0.4,4,2\n0.9,6,1\n"
SESSIONS = """\
{"session_id": "a", "turn": "0", "prompt_tokens": 5, "output_tokens": 3, "start_ps": 0}
{"session_id": "a", "turn": "1", "prompt_tokens": 5, "output_tokens": 3, "after": ["0"]}
{"session_id": "b", "turn": "0", "prompt_tokens": 5, "output_tokens": 3, "start_ps": 400000000000}
"""
BASE = """
name: bounds
models:
  m:
    id: m
    llm: llama3.1-8b
    hardware: {kind: hardwired_asic, prefill_ms_per_token: 1, decode_step_ms: 10, kv_pool_tokens: 2000}
    context_tokens: 2000
network:
  places:
    here: {kind: custom, rtt_ms: 10}
    edge: {kind: edge}
apps:
  a: {place: edge, model: m, calls: 2}
traffic:
  s:
    place: here
    model: m
    arrivals: {kind: constant, rate_per_s: 20}
    lengths: {prompt: {kind: fixed, tokens: 5}, output: {kind: fixed, tokens: 3}}
  u:
    place: here
    app: a
    arrivals: {kind: constant, rate_per_s: 4}
    lengths: {prompt: {kind: fixed, tokens: 5}, output: {kind: fixed, tokens: 3}}
run: {horizon_s: 1, drain_s: 1, replications: 1}
"""
SCENARIO = yaml.safe_load(BASE)
ON_OFF = {"kind": "on_off", "on_s": 0.2, "off_s": 0.2, "on_rate_per_s": 20}
SEGMENT = {"until_s": 0.5, "rate_per_s": 20}
CURVE = ("traffic.s.arrivals", {"kind": "modulated", "rate": ON_OFF})
GPU = {"kind": "gpu_iteration", "preset": "generic_vllm", "kv_pool_tokens": 4000}
GPU |= {"t_weights_ms": 5.0, "ms_per_token": 0.01, "ms_per_attn_pair": 1e-6, "ms_per_kv_token": 1e-5}
GPU |= {
    "t_fixed_ms": 1.0,
    "t_host_ms": 0.5,
    "ms_per_sequence": 0.01,
    "prefill_tile_tokens": 16,
    "p_norm": 4.0,
}

CHATS = {"kind": "chats", "turns": {"kind": "fixed", "count": 2}, "think": {"kind": "fixed", "s": 0.1}}
AGENT = {"place": "edge", "model": "m", "steps": {"go": {"kind": "ask"}}}
TENTH = {"kind": "fixed", "s": 0.1}
THEN = {"then": {"end": 1.0}}
FAN = {"go": {"kind": "fan_out", "branches": {"x": 2}}, "x": {"kind": "ask"}}

ONCE = {"at_s": 0.2, "for_s": 0.1}
CRASH = {"kind": "node_crash", "model": "m", "nodes": [0], "requests": "requeue", **ONCE}
SLOW = {"kind": "slow_node", "model": "m", "nodes": [0], "factor": 2, **ONCE}
OUTAGE = {"kind": "hop_outage", "hop": "custom", **ONCE}
CUT = {"kind": "region_cut", "place": "here", **ONCE}
LOSS = {"kind": "packet_loss", "hop": "custom", "loss_per_segment": 0.1, **ONCE}
SCALED = {"max_nodes": 3, "start_up_s": 0.1, "every_s": 0.2}

COMPUTE = {"cpu_mhz": 3000, "warm_instances": 0, "cold_start_ms": 5, "idle_timeout_s": 0.1}
COMPUTE |= {"memory_size_mb": 512, "memory_at_rest_mb": 12, "memory_per_request_mb": 5}

BUCKETS = {"kind": "histogram", "buckets": [{"up_to": 5, "share": 1}, {"up_to": 10, "share": 1}]}
PRICES = {"input_usd_per_1m_tokens": 1, "output_usd_per_1m_tokens": 2}

WHERE: dict[str, tuple[str, Any]] = {
    "HistogramLength": ("traffic.s.lengths.prompt", BUCKETS),
    "LengthBucket": ("traffic.s.lengths.prompt", BUCKETS),
    "Objectives": ("slo", {"tiers": {"gold": {}}}),
    "PricesSection": ("models.m.prices", PRICES),
    "Samples": ("sweep", {"samples": {"count": 2, "ranges": {"models.m.nodes": "1..4"}}}),
    "ComputeSection": ("apps.a.compute", COMPUTE),
    "NodeCrash": ("faults.f", CRASH),
    "SlowNode": ("faults.f", SLOW),
    "HopOutage": ("faults.f", OUTAGE),
    "RegionCut": ("faults.f", CUT),
    "PacketLoss": ("faults.f", LOSS),
    "QueueScaling": ("models.m.scaling", SCALED | {"kind": "queue", "out_above": 2, "cool_down_s": 0.1}),
    "UtilisationScaling": (
        "models.m.scaling",
        SCALED | {"kind": "utilisation", "out_above": 0.5, "in_below": 0.1, "cool_down_s": 0.1},
    ),
    "ScheduleScaling": (
        "models.m.scaling",
        SCALED | {"kind": "schedule", "steps": [{"at_s": 0.2, "nodes": 2}]},
    ),
    "ScheduleStep": ("models.m.scaling", SCALED | {"kind": "schedule", "steps": [{"at_s": 0.2, "nodes": 2}]}),
    "SandboxSection": ("sandboxes", {}),
    "EdgeSection": ("edge", {}),
    "AppSection": ("apps.a", None),
    "Batching": ("models.m.batching", {}),
    "LoadSignals": ("models.m.load_signals", {}),
    "Affinity": ("models.m.affinity", {}),
    "Disaggregated": ("models.m.disaggregated", {}),
    "Serve": ("serve", None),
    "Clients": ("traffic.s.clients", {"count": 4}),
    "PrefixGroups": (
        "traffic.s.prefix",
        {"kind": "groups", "groups": 4, "tokens": {"kind": "fixed", "tokens": 5}},
    ),
    "Ask": ("apps.a", AGENT | {"steps": {"go": {"kind": "ask", **THEN}}}),
    "Tool": (
        "apps.a",
        AGENT | {"steps": {"go": {"kind": "tool", "time": TENTH, **THEN}}},
    ),
    "Sandbox": (
        "apps.a",
        AGENT | {"steps": {"go": {"kind": "sandbox", "run": TENTH, **THEN}}},
    ),
    "FanOut": ("apps.a", AGENT | {"steps": FAN}),
    "RampArrivals": ("traffic.s.arrivals", {"kind": "ramp", "users": 4}),
    "JoiningStep": ("traffic.s.arrivals", {"kind": "steps", "steps": [{"at_s": 0.2, "users": 2}]}),
    "FixedCount": ("traffic.s.callers", CHATS),
    "GeometricCount": ("traffic.s.callers", CHATS | {"turns": {"kind": "geometric", "mean": 2}}),
    "FixedDuration": ("traffic.s.callers", CHATS),
    "ExponentialDuration": ("traffic.s.callers", CHATS | {"think": {"kind": "exponential", "mean": 0.1}}),
    "LognormalDuration": (
        "traffic.s.callers",
        CHATS | {"think": {"kind": "lognormal", "median": 0.1, "sigma": 1}},
    ),
    "ConstantArrivals": ("traffic.s.arrivals", {"kind": "constant", "rate_per_s": 20}),
    "PoissonArrivals": ("traffic.s.arrivals", {"kind": "poisson", "rate_per_s": 20}),
    "GammaArrivals": ("traffic.s.arrivals", {"kind": "gamma", "rate_per_s": 20, "cv": 2}),
    "ModulatedArrivals": CURVE,
    "ProfileArrivals": ("traffic.s.arrivals", {"kind": "profile", "name": "azure-2023-conv"}),
    "TraceArrivals": ("traffic.s.arrivals", {"kind": "trace", "path": "trace.csv"}),
    "RecordingArrivals": ("traffic.s.arrivals", {"kind": "recording", "path": "sessions.jsonl"}),
    "Recorded": ("traffic.s.callers", {"kind": "recorded", "path": "sessions.jsonl"}),
    "Resample": ("traffic.s.arrivals", {"kind": "trace", "path": "trace.csv"}),
    "OnOffCurve": ("traffic.s.arrivals", {"kind": "modulated", "rate": ON_OFF}),
    "RateSegment": (
        "traffic.s.arrivals",
        {"kind": "modulated", "rate": {"kind": "piecewise", "repeat": True, "segments": [SEGMENT]}},
    ),
    "WindowsCurve": (
        "traffic.s.arrivals",
        {
            "kind": "modulated",
            "rate": {"kind": "windows", "rate_per_s": 20, "window_s": 0.1, "factors": [1, 2]},
        },
    ),
    "DiurnalCurve": (
        "traffic.s.arrivals",
        {"kind": "modulated", "rate": {"kind": "diurnal", "rate_per_s": 20, "amplitude": 0.5}},
    ),
    "FixedLength": ("traffic.s.lengths.prompt", {"kind": "fixed", "tokens": 5}),
    "LognormalLength": ("traffic.s.lengths.prompt", {"kind": "lognormal", "median": 5, "sigma": 1}),
    "GeometricLength": ("traffic.s.lengths.prompt", {"kind": "geometric", "mean": 5}),
    "TraceLengths": ("traffic.s.lengths", {"kind": "trace", "path": "trace.csv"}),
    "CustomPlace": ("network.places.here", None),
    "GammaJitter": ("network.places.here.jitter", {"kind": "gamma", "scale_ms": 5}),
    "LognormalJitter": ("network.places.here.jitter", {"kind": "lognormal", "median_ms": 5, "sigma": 1}),
    "GatewaySection": ("gateway", {}),
    "GpuIteration": ("models.m.hardware", GPU),
    "HardwiredAsic": ("models.m.hardware", None),
    "Limits": ("models.m.limits", {"requests_per_minute": 60, "tokens_per_minute": 6000}),
    "Rates": (
        "models.m.limits",
        {
            "requests_per_minute": 60,
            "tokens_per_minute": 6000,
            "batch": {"requests_per_minute": 60, "tokens_per_minute": 6000},
        },
    ),
    "SharedRates": ("models.m.limits", {"tokens_per_minute": 6000, "also": [{"requests_per_minute": 60}]}),
    "FlowControlSection": ("models.m.flow_control", {"max_concurrency": 2}),
    "PriorityBand": ("models.m.flow_control", {"max_concurrency": 2, "bands": [{"priority": 0}]}),
    "Model": ("models.m", None),
    "NetworkSection": ("network", None),
    "PrecisionSection": ("run.precision", {"max_replications": 3}),
    "Roofline": ("models.m.hardware", {"kind": "roofline", "preset": "h100", "kv_pool_tokens": 4000}),
    "RunPlan": ("run", None),
    "Slo": ("slo", {}),
    "Retry": ("traffic.s.retry", {"like": "openai-python", "statuses": [429]}),
    "BackoffSection": ("traffic.s.retry", {"max_retries": 2, "backoff": {"first_ms": 10, "factor": 2}}),
    "RetryAfterSection": ("traffic.s.retry", {"max_retries": 2, "retry_after": {"up_to_s": 60}}),
    "HedgeSection": ("traffic.s.hedge", {"after_ms": 20}),
    "Source": ("traffic.s", None),
}
"""Where a section stands in the scenario, and what stands there instead (None: what BASE has)."""

INSIDE = {
    "LengthBucket": "buckets.1",
    "Objectives": "tiers.gold",
    "Samples": "samples",
    "Rates": "batch",
    "SharedRates": "also.0",
    "PriorityBand": "bands.0",
    "Resample": "resample",
    "OnOffCurve": "rate",
    "RateSegment": "rate.segments.0",
    "WindowsCurve": "rate",
    "DiurnalCurve": "rate",
    "Ask": "steps.go",
    "Tool": "steps.go",
    "Sandbox": "steps.go",
    "FanOut": "steps.go",
    "JoiningStep": "steps.0",
    "ScheduleStep": "steps.0",
    "FixedCount": "turns",
    "GeometricCount": "turns",
    "FixedDuration": "think",
    "ExponentialDuration": "think",
    "LognormalDuration": "think",
    "BackoffSection": "backoff",
    "RetryAfterSection": "retry_after",
}
"""From there to the section."""

ROOFLINE_TERMS = ("t_weights_ms", "ms_per_token", "p_norm")
TABLED: dict[str, Any] = {f"models.m.hardware.{term}": None for term in ROOFLINE_TERMS}
TABLED |= {"models.m.batching": {"max_num_batched_tokens": 1}}
RARE = {"traffic.s.arrivals.rate_per_s": 1e-5, "traffic.u.arrivals.rate_per_s": 1e-6}
BESIDE: dict[str, dict[str, Any]] = {
    "Limits.quantum_s least": {"models.m.limits.algorithm": "quantised"},
    "Limits.quantum_s most": {"models.m.limits.algorithm": "quantised", "models.m.limits.window_s": 86400.0},
    "RunPlan.horizon_s most": RARE,
    "RunPlan.warm_up_s most": RARE,
    "PrecisionSection.relative least": {"run.replications": 2},
    "PrecisionSection.relative most": {"run.replications": 2},
    "PrecisionSection.max_replications least": {"run.replications": 2},
    "PrecisionSection.max_replications most": {"run.replications": 2},
    "AppSection.most_steps least": {"apps.a": AGENT},
    "AppSection.most_steps most": {"apps.a": AGENT},
    "ComputeSection.memory_size_mb least": {
        "apps.a.compute.memory_at_rest_mb": 0,
        "apps.a.compute.memory_per_request_mb": 5e-324,
    },
    "ComputeSection.memory_per_request_mb most": {
        "apps.a.compute.memory_at_rest_mb": 0,
        "apps.a.compute.memory_size_mb": 1_048_576,
    },
    "ComputeSection.warm_instances most": {"apps.a.compute.instances": 1000},
    "AppSection.calls most": {"traffic.u.arrivals.rate_per_s": 1},
    "GpuIteration.dense_ms_by_tokens.* least": TABLED,
    "GpuIteration.dense_ms_by_tokens.* most": TABLED,
    "GpuIteration.dense_scale least": TABLED | {"models.m.hardware.dense_ms_by_tokens": {"1": 5.0}},
    "GpuIteration.dense_scale most": TABLED | {"models.m.hardware.dense_ms_by_tokens": {"1": 5.0}},
    "GpuIteration.memory_gb least": {"models.m.hardware.kv_pool_tokens": None},
    "GpuIteration.memory_gb most": {"models.m.hardware.kv_pool_tokens": None},
    "HardwiredAsic.pipeline_depth least": {"models.m.hardware.prefill_ms_per_token": None},
    "HardwiredAsic.pipeline_depth most": {"models.m.hardware.prefill_ms_per_token": None},
    "HardwiredAsic.kv_pool_tokens most": {"models.m.context_tokens": 10_000_000},
    "Batching.max_queue_delay_ms least": {"models.m.batching.admission": "dynamic"},
    "Batching.max_queue_delay_ms most": {"models.m.batching.admission": "dynamic"},
    "Batching.max_num_seqs most": {"models.m.hardware.max_concurrent_sequences": 1_000_000},
    "Clients.busiest_half most": {"traffic.s.clients.count": 1_000_000},
    "PrefixGroups.busiest_half most": {"traffic.s.prefix.groups": 100_000},
    "LognormalLength.low most": {"traffic.s.lengths.prompt.median": 10_000_000},
    "LognormalLength.high least": {"traffic.s.lengths.prompt.median": 1},
    "HedgeSection.after_quantile least": {"traffic.s.hedge.after_ms": None},
    "HedgeSection.after_quantile most": {"traffic.s.hedge.after_ms": None},
    **{
        f"{kind}.{name} {end}": {"faults.f.at_s": None, "faults.f.for_s": None, f"faults.f.{other}": 0.2}
        for kind in ("NodeCrash", "SlowNode", "HopOutage", "RegionCut", "PacketLoss")
        for name, other in (("mtbf_s", "mttr_s"), ("mttr_s", "mtbf_s"))
        for end in ("least", "most")
    },
    **{
        f"Objectives.{name} {end}": {"traffic.s.tier": "gold"}
        for name in ("ttft_ms", "tpot_ms", "tokens_per_s", "e2e_ms", "felt_ms")
        for end in ("least", "most")
    },
    "WindowsCurve.window_s most": {"traffic.s.arrivals.rate.factors": [1]},
    **{
        f"{section} {end}": {"traffic.s.lengths": {"kind": "trace"}}
        for section in ("RecordingArrivals.speed", "RecordingArrivals.limit_rows", "Recorded.limit_rows")
        for end in ("least", "most")
    },
    "RateSegment.rate_per_s least": {
        "traffic.s.arrivals.rate.segments": [SEGMENT, {"until_s": 1, "rate_per_s": 20}]
    },
}
"""Settings without which a cell would only be refused for another reason, or take long."""

MOST_REQUESTS = 20_000
"""Cells that expect more are checked and served: they would take too long here."""

PATIENCE_S = 1e9
"""Virtual seconds, 30 years: hours per token, and jitter with a long tail, add up."""


DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
"""In C where it is there: a thousand files are written."""


class Cell(NamedTuple):
    name: str
    section: str
    setting: str
    value: float


def _cells() -> Iterator[Cell]:
    for number in numbers():
        if number.name == "NetworkSection.values.*":
            continue
        assert number.least is not None
        assert number.most is not None
        least = math.nextafter(number.least, math.inf) if number.above_least else number.least
        most = math.nextafter(number.most, -math.inf) if number.below_most else number.most
        for end, value in (("least", least), ("most", most)):
            whole = int(value) if number.whole else float(value)
            yield Cell(f"{number.name} {end}", number.section, number.setting, whole)


def put(data: Any, path: str, value: object) -> None:
    """`*` is the key of a mapping to tokens; mappings on the way are made."""
    *way, last = [int(key) if key.isdecimal() else key for key in path.replace("*", "1").split(".")]
    for key in way:
        if isinstance(data, dict) and data.get(key) is None:
            data[key] = {}
        data = data[key]
    if isinstance(data, dict) and last == 1:
        last = "1"
    data[last] = value


def scenario_at(cell: Cell, folder: Path) -> Path:
    data = deepcopy(SCENARIO)
    where, instead = WHERE[cell.section]
    if instead is not None:
        put(data, where, deepcopy(instead))
    for path, value in BESIDE.get(cell.name, {}).items():
        put(data, path, value)
    inside = f".{INSIDE[cell.section]}" if cell.section in INSIDE else ""
    if cell.setting == "percentiles.0":
        put(data, "run.percentiles", [50])
    put(data, f"{where}{inside}.{cell.setting}", cell.value)
    return written(data, folder)


def written(data: Any, folder: Path) -> Path:
    (folder / "trace.csv").write_text(TRACE, encoding="utf-8")
    (folder / "sessions.jsonl").write_text(SESSIONS, encoding="utf-8")
    file = folder / "bounds.yaml"
    file.write_text(yaml.dump(data, Dumper=DUMPER, sort_keys=False), encoding="utf-8")
    return file


def checked(file: Path) -> Plan | None:
    """None where a sentence says why not."""
    try:
        return load(file)
    except ScenarioError as error:
        sentence = str(error)
        assert sentence.startswith(f"{file}:"), sentence
        assert sentence.removeprefix(f"{file}:").partition(":")[0].isdecimal(), sentence
        assert "\n" not in sentence
        return None


def run(plan: Plan) -> None:
    results = results_of(plan)
    rows = results.tables.requests.select(["replication", "number"]).to_pylist()
    assert len(rows) == len({(row["replication"], row["number"]) for row in rows})
    made = manifest(plan, results, datetime(2026, 1, 1, tzinfo=UTC), 0.0)
    json.dumps(summarise(results.tables, made), allow_nan=False)


def serve(plan: Plan) -> None:
    ask = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 3}
    with VirtualPlatform(plan.base) as platform:
        wire = Wire(platform)

        async def story() -> int:
            reply = await asyncio.wait_for(wire.send("/v1/chat/completions", ask), PATIENCE_S)
            return reply.status

        assert platform.run(story()) in {200, 400, 429, 503}


def test_every_number_of_the_schema_has_two_bounds() -> None:
    unbounded = [one.name for one in numbers() if one.least is None or one.most is None]
    assert unbounded == ["NetworkSection.values.*"]  # by their names: bounds_of
    for name in network_facts().names:
        least, most = bounds_of(name)
        assert 0 <= least < most < math.inf


@pytest.mark.parametrize("cell", list(_cells()), ids=lambda cell: cell.name)
def test_at_a_bound_check_run_and_serve_give_an_answer_or_say_why_not(cell: Cell, tmp_path: Path) -> None:
    plan = checked(scenario_at(cell, tmp_path))
    if plan is None:
        return
    if estimate(plan, 1).requests <= MOST_REQUESTS and plan.base.run.replications <= 10:
        run(plan)
    serve(plan)


@pytest.mark.parametrize(
    "number", [one for one in numbers() if one.least is not None], ids=lambda one: one.name
)
def test_beyond_a_bound_the_sentence_names_it(number: Number, tmp_path: Path) -> None:
    assert number.least is not None
    assert number.most is not None
    for bound, value in ((number.least, number.least - 1), (number.most, number.most * 2 + 1)):
        cell = Cell(number.name, number.section, number.setting, int(value) if number.whole else float(value))
        with pytest.raises(ScenarioError) as refusal:
            load(scenario_at(cell, tmp_path))
        assert re.match(rf"{tmp_path}/bounds.yaml:\d+: `", str(refusal.value)), refusal.value
        told = f"{bound:,}" if number.whole else f"{bound:,.10g}"
        assert f"it must be {told} or" in str(refusal.value) or f" than {told}" in str(refusal.value)


@pytest.mark.parametrize("end", [0, 1], ids=["least", "most"])
@pytest.mark.parametrize("access", ["fibre", "cable", "dsl", "wifi", "4g", "5g"])
def test_network_values_at_their_bounds_give_an_answer_or_say_why_not(
    access: str, end: int, tmp_path: Path
) -> None:
    data = deepcopy(SCENARIO)
    data["network"]["places"]["here"] = {"kind": "internet", "access": access, "near": "aws:eu-west-1"}
    data["network"]["values"] = {name: bounds_of(name)[end] for name in network_facts().names}
    plan = checked(written(data, tmp_path))
    if plan is not None:
        run(plan)
        serve(plan)
