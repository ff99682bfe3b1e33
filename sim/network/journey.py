"""What a request pays on a path as a page: its hops with their evidence, then the arithmetic line by line."""

from collections.abc import Iterator
from textwrap import wrap
from typing import TypedDict

from sim.network.explain import explain
from sim.network.hops import Hop
from sim.network.keep_alive import KeepAlive
from sim.network.path import Path
from sim.network.regions import Method, RttEstimate, rtt_between

WIDTH = 100


class HopFigures(TypedDict):
    """`method` and `error_ms`, its mean absolute error, only of a pair of regions; no error if measured."""

    name: str
    kind: str
    rtt_ms: float
    confidence: str
    source: str
    method: Method | None
    error_ms: float | None


class LineFigures(TypedDict):
    step: str
    rtts: float
    ms: float


class Journey(TypedDict):
    """`total_ms`: from the caller's wish to the first byte back, the server's own time left out."""

    prompt_tokens: int
    cold: bool
    tls: str
    rtt_ms: float
    jitter_mean_ms: float
    loss_per_segment: float
    confidence: str
    hops: list[HopFigures]
    lines: list[LineFigures]
    total_ms: float


def journey(path: Path, prompt_tokens: int, keep_alive: KeepAlive, *, cold: bool) -> Journey:
    lines = explain(path, prompt_tokens, keep_alive, cold=cold)
    return {
        "prompt_tokens": prompt_tokens,
        "cold": cold,
        "tls": keep_alive.tls,
        "rtt_ms": path.rtt_ms,
        "jitter_mean_ms": path.jitter_mean_ms,
        "loss_per_segment": path.loss_per_segment,
        "confidence": path.confidence,
        "hops": [_hop_figures(hop) for hop in path.hops],
        "lines": [{"step": line.step, "rtts": line.rtts, "ms": line.ms} for line in lines],
        "total_ms": sum(line.ms for line in lines),
    }


def journey_text(found: Journey) -> str:
    connection = f"a new connection with TLS {found['tls']}" if found["cold"] else "an idle connection"
    lines = [
        f"{found['prompt_tokens']:,} prompt tokens over {connection}",
        "",
        *_hop_lines(found["hops"]),
        "",
        f"{'step':<60}{'round trips':>12}{'ms':>12}",
    ]
    rows = [*found["lines"], _total(found)]
    lines += [f"{row['step']:<60}{row['rtts']:>12g}{row['ms']:>12,.3f}" for row in rows]
    lines += ["", *wrap(_caveat(found), WIDTH)]
    return "\n".join(lines)


def _hop_figures(hop: Hop) -> HopFigures:
    estimate = _estimate(hop)
    return {
        "name": hop.name,
        "kind": hop.kind,
        "rtt_ms": hop.rtt_floor_ms,
        "confidence": hop.confidence,
        "source": hop.source,
        "method": estimate.method if estimate else None,
        "error_ms": estimate.error_ms if estimate else None,
    }


def _estimate(hop: Hop) -> RttEstimate | None:
    """Hops between regions are named after their pair."""
    a, _, b = hop.name.partition(" to ")
    return rtt_between(a, b) if hop.kind == "inter_region" else None


def _hop_lines(hops: list[HopFigures]) -> Iterator[str]:
    if not hops:
        yield "No hop: the two are one machine."
        return
    yield f"{'hop':<60}{'round trip ms':>24}"
    for hop in hops:
        yield f"{hop['name']:<60}{hop['rtt_ms']:>24,.3f}"
        yield from wrap(f"floor: {hop['source']}", WIDTH, initial_indent="    ", subsequent_indent=" " * 11)


def _total(found: Journey) -> LineFigures:
    rtts = sum(line["rtts"] for line in found["lines"])
    return {"step": "until the first byte is back", "rtts": rtts, "ms": found["total_ms"]}


def _caveat(found: Journey) -> str:
    predicted = [hop for hop in found["hops"] if hop["error_ms"] is not None]
    parts = [f"{hop['name']} is predicted, wrong by {hop['error_ms']:g} ms on the mean." for hop in predicted]
    if found["hops"]:
        parts.append(f"The weakest value behind these figures is {found['confidence']}.")
    return " ".join([*parts, "The server's own time and lost segments are left out."])
