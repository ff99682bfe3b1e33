"""A fit as sections of a scenario: the hardware that answers as the endpoint did, and the network to it.

What no client can see (memory, nodes, the LLM) is the least that fits.
"""

from typing import Any

import yaml

from e80sim.mistakes import UserError
from hwmodels.calibrate.endpoint.fit import EndpointFit

PLACE, MODEL, SOURCE = "here", "endpoint", "alone"
SHARPEST = 10
"""p_norm by which a step takes the longer of its two parts, nearly."""


def hardware_of(found: EndpointFit) -> dict[str, Any]:
    """UserError where even the lone request is not known."""
    lacking = [name for name in ("fixed_ms", "decode_step_ms") if name not in found.values]
    if lacking:
        raise UserError(
            f"{found.seen.name} does not tell {' and '.join(lacking)}, so there is no hardware to write"
        )
    return _batching(found) if found.batching == "batch" else _one_by_one(found)


def _one_by_one(found: EndpointFit) -> dict[str, Any]:
    law = found.law
    kept = _context(found) * (found.seen.asked if found.batching == "in turn" else 1)
    hardware: dict[str, Any] = {
        "kind": "hardwired_asic",
        "decode_step_ms": _rounded(law["decode_step_ms"]),
        "prefill_ms_per_token": _rounded(max(0.0, law.get("prefill_ms_per_token", 0.0))),
        "request_overhead_ms": _rounded(max(0.0, law["fixed_ms"])),
        "kv_pool_tokens": kept,
    }
    if "decode_ms_per_kv_token" in law:
        hardware["decode_ms_per_kv_token"] = _rounded(law["decode_ms_per_kv_token"])
    if found.batching == "in turn":
        hardware["max_concurrent_sequences"] = found.seen.asked
    return hardware


def _batching(found: EndpointFit) -> dict[str, Any]:
    """A step adds up tokens and sequences; where a prompt token costs more, weights hide those of decodes."""
    law, slope = found.law, found.values["batch_step_ms"].value
    token = max(0.0, law.get("prefill_ms_per_token", 0.0))
    adds = slope >= token
    sequence = slope - token if adds else slope
    base = max(0.0, law["decode_step_ms"] - slope)
    front_end = law["fixed_ms"] - sequence - (base if adds else 0.0)
    if front_end < 0:
        found.warnings.append(
            f"a step of the batch takes longer than fixed_ms: first tokens come {-front_end:.3g} ms too late"
        )
    return {
        "kind": "gpu_iteration",
        "t_host_ms": 0,
        "t_weights_ms": _rounded(base),
        "p_norm": 1 if adds else SHARPEST,
        "ms_per_token": _rounded(token),
        "ms_per_sequence": _rounded(sequence),
        "ms_per_kv_token": _rounded(law.get("decode_ms_per_kv_token", 0.0)),
        "ms_per_attn_pair": 0,
        "mixed_kv_multiplier": 1,
        "prefill_tile_tokens": 0,
        "front_end_ms": _rounded(max(0.0, front_end)),
        "kv_pool_tokens": _context(found) * max(2, found.places or found.seen.asked),
    }


def scenario_of(found: EndpointFit, llm: str, name: str) -> dict[str, Any]:
    """Whole: its traffic are lone requests of the sizes that were measured."""
    seen, hardware = found.seen, hardware_of(found)
    rtt_ms = max(0.0, found.law["rtt_ms"]) if found.rtt_known else 0.0
    model: dict[str, Any] = {"id": seen.model or name, "llm": llm, "hardware": hardware}
    model["nodes"] = _nodes(found)
    model["context_tokens"] = _context(found)
    if found.prefix_cache:
        model["batching"] = {"enable_prefix_caching": True}
    if found.batching == "batch" and found.places is not None:
        model["batching"] = model.get("batching", {}) | {"max_num_seqs": found.places}
    size = {
        what: {"kind": "fixed", "tokens": int(_typical(values))} for what, values in _sizes(found).items()
    }
    lone_s = (float(seen.ttft.mean()) + float(seen.decoding.mean())) / 1e3
    return {
        "name": name,
        "question": f"How does an endpoint that answers as {seen.name} did behave under load?",
        "models": {MODEL: model},
        "network": {
            "tls": "1.3" if seen.https else "none",
            "places": {PLACE: {"kind": "custom", "rtt_ms": _rounded(rtt_ms)}},
        },
        "traffic": {
            SOURCE: {
                "place": PLACE,
                "model": MODEL,
                "arrivals": {"kind": "constant", "rate_per_s": _rounded(max(1e-3, 0.1 / lone_s))},
                "lengths": size,
            }
        },
        "run": {"horizon_s": _rounded(max(10.0, 1000 * lone_s)), "replications": 1},
    }


def sections(found: EndpointFit, llm: str) -> str:
    """To paste: `hardware` into a model, `network` into a scenario."""
    whole = scenario_of(found, llm, "endpoint")
    model = whole["models"][MODEL]
    shown = {"hardware": model["hardware"], "nodes": model["nodes"], "network": whole["network"]}
    return yaml.safe_dump(shown, sort_keys=False, allow_unicode=True, width=110)


def as_yaml(found: EndpointFit, llm: str, name: str) -> str:
    head = [f"# Fitted to {found.seen.name} by `e80sim calibrate`.", *(f"# {one}." for one in found.warnings)]
    body = yaml.safe_dump(scenario_of(found, llm, name), sort_keys=False, allow_unicode=True, width=110)
    return "\n".join([*head, body])


def _nodes(found: EndpointFit) -> int:
    """Each with one place, unless they share steps or turns."""
    if found.batching in {"batch", "in turn"}:
        return 1
    return found.places or max(1, found.seen.most_decoding)


def _context(found: EndpointFit) -> int:
    """The longest that was answered."""
    return int((found.seen.prompt + found.seen.output).max())


def _sizes(found: EndpointFit) -> dict[str, Any]:
    return {"prompt": found.seen.prompt, "output": found.seen.output}


def _typical(values: Any) -> float:  # noqa: ANN401 -- an array
    ordered = sorted(values)
    return float(ordered[len(ordered) // 2])


def _rounded(value: float) -> float:
    return float(f"{value:.5g}")
