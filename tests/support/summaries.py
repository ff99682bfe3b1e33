"""Summaries written by hand, so that a test can say what must follow from them."""

from collections.abc import Mapping
from typing import Any

from reports.record import OUTCOMES

Json = dict[str, Any]

CDF_SHARES = [0.0, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99]


def estimate(value: float, half: float | None = None, note: str = "") -> Json:
    if half is None:
        return {"value": value, "low": None, "high": None, "n": 1000} | ({"note": note} if note else {})
    return {"value": value, "low": value - half, "high": value + half, "n": 1000}


def refused(why: str) -> Json:
    return {"refused": why}


def statistics(p95: Json, p50: Json | None = None) -> Json:
    p50 = p50 or estimate(p95.get("value", 0.1) * 0.6, 0.0002)
    return {
        "mean": estimate(p50.get("value", 0.05) * 1.1, 0.0001),
        "p50": p50,
        "p90": p95,
        "p95": p95,
        "p99": estimate(p95.get("value", 0.1) * 1.5, 0.002),
        "p99_9": refused("A p99.9 needs at least 10,000 requests; there are 1,000."),
    }


def phases(**changed: float) -> Json:
    plain = {
        "set_up": 0.0002,
        "network_out": 0.0003,
        "admission": 0.001,
        "overhead": 0.0,
        "queue": 0.005,
        "prefill": 0.004,
        "decode": 0.02,
        "return": 0.0003,
    }
    return {name: estimate(value, value / 100) for name, value in (plain | changed).items()}


def user_phases(**changed: float) -> Json:
    users = {"user_set_up": 0.002, "user_network_out": 0.005, "app_cpu": 0.001, "user_return": 0.005}
    return phases(**(users | changed))


def counts(offered: int = 1000, **others: int) -> Json:
    completed = offered - sum(others.values())
    return {"offered": offered, "in_system_at_end": others.get("unfinished", 0)} | {
        outcome: completed if outcome == "completed" else others.get(outcome, 0) for outcome in OUTCOMES
    }


def group(
    source: str = "agent",
    p95: Json | None = None,
    app_place: str | None = "edge",
    calls: int = 20,
    **changed: Any,
) -> Json:
    felt = statistics(p95 or estimate(0.0612, 0.0004))
    scale = felt["p99"]["value"]
    curve = {"x_s": [scale * (0.2 + share) for share in CDF_SHARES], "p": CDF_SHARES}
    found = {
        "source": source,
        "tenant": "acme",
        "place": "home",
        "model": "llama",
        "app": "agent" if app_place else None,
        "app_place": app_place,
        "calls": calls if app_place else 1,
        "counts": counts(),
        "attainment": estimate(0.984, 0.004),
        "metrics": {
            "ttft": statistics(estimate(0.0021, 0.0001)),
            "tpot": statistics(estimate(0.00084, 0.00001)),
            "e2e": statistics(estimate(0.031, 0.0003)),
            "queue": statistics(estimate(0.009, 0.0008)),
            "felt": felt,
        },
        "phases": phases(),
        "cdf": {"ttft": curve, "e2e": curve, "felt": curve},
    }
    if app_place:
        found["felt_phases"] = user_phases()
    return found | changed


def band(*values: float) -> Json:
    return {"mean": list(values), "low": [v * 0.9 for v in values], "high": [v * 1.1 for v in values]}


def course() -> Json:
    """Over four bins: the load comes, stays and goes."""
    everyone = {
        "offered_per_s": band(10, 10, 10, 0),
        "carried_per_s": band(8, 10, 10, 2),
        "rejected_per_s": band(0, 0, 0, 0),
        "in_system": band(2, 3, 3, 0.5),
    }
    model = {
        "waiting": band(0.5, 1, 1, 0),
        "prefilling": band(0.5, 0.5, 0.5, 0),
        "decoding": band(1, 1.5, 1.5, 0.5),
        "kv_tokens": band(500, 900, 900, 100),
        "utilisation": band(0.5, 0.7, 0.7, 0.2),
    }
    return {"all": everyone, "models": {"llama": model}}


def costs() -> Json:
    bounds = {"refused": "The idle power is not stated.", "at_least": 1.0, "at_most": 4.0}
    return {
        "model": "llama",
        "facts": {"busy_w": {"value": 200, "confidence": "published", "source": "a data sheet"}},
        "power_w": bounds,
        "joules_per_request": bounds,
        "joules_per_1m_output_tokens": bounds,
        "usd_per_request": refused("The price is not stated."),
        "usd_per_1m_output_tokens": refused("The price is not stated."),
    }


def gaps() -> Json:
    values = {
        name: estimate(value, 0.0001) for name, value in (("mean", 0.009), ("p50", 0.008), ("p95", 0.02))
    }
    return {"model": "llama", "gaps": 120_000, **values, "p99": estimate(0.06, 0.001)}


def variant(*groups: Json, state: str = "stable", why: str = "It carried 9.9 of 9.9 requests/s.") -> Json:
    return {
        "verdict": {"state": state, "why": why},
        "counts": counts(1000 * len(groups)),
        "rates": {
            "offered_per_s": estimate(10.0, 0.3),
            "carried_per_s": estimate(9.9, 0.3),
            "rejected_per_s": estimate(0.1, 0.05),
            "asked_per_s": estimate(10.0, 0.3),
            "goodput_per_s": estimate(9.7, 0.3),
            "attainment": estimate(0.984, 0.004),
            "output_tokens_per_s": estimate(1280.0, 40.0),
        },
        "little": {"in_system": 2.38, "arrival_rate_times_time": 2.37, "relative_difference": 0.0042},
        "nodes": [
            {
                "model": "llama",
                "nodes": 2,
                "utilisation": estimate(0.61, 0.02),
                "batch": estimate(4.2, 0.1),
                "preemptions": estimate(0.0, 0.0),
            }
        ],
        "groups": list(groups) or [group()],
        "costs": [costs()],
        "itl": [gaps()],
        "series": course(),
    }


def difference(p95: Json, source: str = "agent", variance_reduction: float | None = 35.0) -> Json:
    one = p95 | {"variance_reduction": variance_reduction}
    entry = dict.fromkeys(("mean", "p50", "p95", "p99"), one)
    return {"source": source, "metric": {metric: dict(entry) for metric in ("felt", "ttft", "e2e")}}


ASSUMED = {
    "what": "gateway overhead",
    "value": 1.0,
    "unit": "ms",
    "source": "no measurement is public",
    "confidence": "assumed",
    "model": "llama",
}


READING = {
    "model": "llama",
    "used": "hc1",
    "other": "hc1_pipelined",
    "ttft": [
        {"prompt_tokens": 100, "used_s": 0.00865, "other_s": 0.0043324},
        {"prompt_tokens": 10_000, "used_s": 0.568, "other_s": 0.0261478},
    ],
}


def summary(
    variants: Mapping[str, Json], differences: Mapping[str, list[Json]] | None = None, **changed: Any
) -> Json:
    """The first variant is the baseline."""
    titles = {"edge": "On the Edge", "aws": "In aws:us-east-1"}
    sources = {
        name: [
            {"name": g["source"], "mode": "sequential" if g["app"] else None, "arrivals": "poisson"}
            for g in one["groups"]
        ]
        for name, one in variants.items()
    }
    facts = {
        "variants": [{"name": name, "title": titles.get(name, name)} for name in variants],
        "sources": next(iter(sources.values())),
        "sources_by_variant": sources,
        "places": {
            "home": {"label": "home fibre, Paris", "kind": "internet", "rtt_ms": 24.0},
            "edge": {"label": "Edge", "kind": "edge", "rtt_ms": 0.3},
            "aws": {"label": "aws:us-east-1", "kind": "region", "rtt_ms": 1.8},
        },
        "models": {"llama": {"id": "llama-3.1-8b", "hardware": "hc1", "nodes": 2, "context_tokens": 6144}},
        "slo": {"ttft_s": 0.25, "tpot_s": None, "e2e_s": None, "felt_s": 1.0},
        "assumed": [ASSUMED],
        "readings": [dict(READING)],
    }
    return {
        "format": 2,
        "scenario": "edge-vs-cloud",
        "title": "Where should the assistant run?",
        "question": "What does a user feel when the app moves away from the model?",
        "seed": 7,
        "replications": 10,
        "horizon_s": 300.0,
        "warm_up_s": 30.0,
        "interrupted": False,
        "notes": [],
        "facts": facts,
        "interval": {"level": 0.95, "between": "replications"},
        "series_edges_s": [0.0, 75.0, 150.0, 225.0, 300.0],
        "variants": dict(variants),
        "differences": dict(differences or {}),
    } | changed


def edge_and_aws(p95_difference: Json | None = None, **changed: Any) -> Json:
    """Two places for an app that makes 20 calls; the farther one costs 14.3 ± 0.4 ms at p95."""
    far = group(
        app_place="aws",
        p95=estimate(0.0755, 0.0006),
        felt_phases=user_phases(network_out=0.0103, **{"return": 0.0103}, user_return=0.001),
    )
    apart = difference(p95_difference or estimate(0.0143, 0.0004))
    return summary({"edge": variant(group()), "aws": variant(far)}, {"aws": [apart]}, **changed)
