"""What a request pays on a path as a page: its hops with their evidence, then the arithmetic line by line."""

from collections.abc import Iterable, Iterator
from textwrap import wrap
from typing import NamedTuple, TypedDict

from sim.network.explain import CostLine, Explanation
from sim.network.hops import Hop
from sim.network.keep_alive import KeepAlive
from sim.network.path import Path
from sim.network.regions import Method
from sim.network.transport import Transport

WIDTH = 100


class HopFigures(TypedDict):
    """`method` and `error_ms`, its mean absolute error, only of a pair of regions; no error if measured.

    `low_ms` and `high_ms` bound the floor where its value has a range; of a predicted pair 9 of 10 cases.
    """

    name: str
    kind: str
    rtt_ms: float
    confidence: str
    source: str
    method: Method | None
    error_ms: float | None
    low_ms: float | None
    high_ms: float | None


class LineFigures(TypedDict):
    step: str
    rtts: float
    ms: float


class AnswerFigures(TypedDict):
    """`total_ms`: from the caller's wish to the last byte back."""

    output_tokens: int
    stream: bool
    lines: list[LineFigures]
    total_ms: float


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
    answer: AnswerFigures | None


class JourneyRequest(NamedTuple):
    """What is sent, and over what kind of connection. `output_tokens` absent: only the first byte counts."""

    prompt_tokens: int
    output_tokens: int | None = None
    stream: bool = True
    cold: bool = True


def journey(path: Path, ask: JourneyRequest, keep_alive: KeepAlive, wire: Transport) -> Journey:
    explanation = Explanation(path, ask.prompt_tokens, keep_alive, wire, cold=ask.cold)
    lines = _figures(explanation.first_byte())
    return {
        "prompt_tokens": ask.prompt_tokens,
        "cold": ask.cold,
        "tls": keep_alive.tls,
        "rtt_ms": path.rtt_ms,
        "jitter_mean_ms": path.jitter_mean_ms,
        "loss_per_segment": path.loss_per_segment,
        "confidence": path.confidence,
        "hops": [_hop_figures(hop) for hop in path.hops],
        "lines": lines,
        "total_ms": _ms(lines),
        "answer": None if ask.output_tokens is None else _answer(explanation, ask, ask.output_tokens, lines),
    }


def _answer(
    explanation: Explanation, ask: JourneyRequest, output_tokens: int, before: list[LineFigures]
) -> AnswerFigures:
    lines = _figures(explanation.rest(output_tokens, stream=ask.stream))
    return {
        "output_tokens": output_tokens,
        "stream": ask.stream,
        "lines": lines,
        "total_ms": _ms(before) + _ms(lines),
    }


def _figures(lines: Iterable[CostLine]) -> list[LineFigures]:
    return [{"step": line.step, "rtts": line.rtts, "ms": line.ms} for line in lines]


def _ms(lines: list[LineFigures]) -> float:
    return sum(line["ms"] for line in lines)


def journey_text(found: Journey) -> str:
    connection = f"a new connection with TLS {found['tls']}" if found["cold"] else "an idle connection"
    lines = [
        f"{found['prompt_tokens']:,} prompt tokens over {connection}",
        "",
        *_hop_lines(found["hops"]),
        "",
        f"{'step':<60}{'round trips':>12}{'ms':>12}",
    ]
    lines_back, answer = list[LineFigures](), found["answer"]
    if answer is not None:
        total = _total("until the last byte is back", [*found["lines"], *answer["lines"]])
        lines_back = [*answer["lines"], total]
    rows = [*found["lines"], _total("until the first byte is back", found["lines"]), *lines_back]
    lines += [f"{row['step']:<60}{row['rtts']:>12g}{row['ms']:>12,.3f}" for row in rows]
    lines += ["", *wrap(_caveat(found), WIDTH)]
    return "\n".join(lines)


def _hop_figures(hop: Hop) -> HopFigures:
    pair, floor = hop.pair, hop.floor
    return {
        "name": hop.name,
        "kind": hop.kind,
        "rtt_ms": hop.rtt_floor_ms,
        "confidence": hop.confidence,
        "source": hop.source,
        "method": None if pair is None else pair.method,
        "error_ms": None if pair is None else pair.error_ms,
        "low_ms": None if floor is None else floor.low,
        "high_ms": None if floor is None else floor.high,
    }


def _hop_lines(hops: list[HopFigures]) -> Iterator[str]:
    if not hops:
        yield "No hop: the two are one machine."
        return
    yield f"{'hop':<60}{'round trip ms':>24}"
    for hop in hops:
        yield f"{hop['name']:<60}{hop['rtt_ms']:>24,.3f}"
        yield from wrap(f"floor: {hop['source']}", WIDTH, initial_indent="    ", subsequent_indent=" " * 11)


def _band_ms(found: Journey) -> tuple[float, float]:
    """Of the total, if every predicted pair is at the one or the other end of its band."""
    rtts = sum(line["rtts"] for line in found["lines"])
    bands = [(hop["low_ms"], hop["rtt_ms"], hop["high_ms"]) for hop in found["hops"] if hop["error_ms"]]
    low_ms = sum(low - middle for low, middle, _ in bands if low is not None)
    high_ms = sum(high - middle for _, middle, high in bands if high is not None)
    return found["total_ms"] + rtts * low_ms, found["total_ms"] + rtts * high_ms


def _total(step: str, lines: list[LineFigures]) -> LineFigures:
    return {"step": step, "rtts": sum(line["rtts"] for line in lines), "ms": _ms(lines)}


def _caveat(found: Journey) -> str:
    predicted = [hop for hop in found["hops"] if hop["error_ms"] is not None]
    parts = [
        f"{hop['name']} is predicted: {hop['low_ms']:g} to {hop['high_ms']:g} ms in 9 of 10 such cases, "
        f"wrong by {hop['error_ms']:g} ms on the mean."
        for hop in predicted
    ]
    if predicted:
        low_ms, high_ms = _band_ms(found)
        parts.append(f"The first byte is back after {low_ms:,.0f} to {high_ms:,.0f} ms, by that alone.")
    if found["hops"]:
        parts.append(f"The weakest value behind these figures is {found['confidence']}.")
    parts.append("The server's own time and lost segments are left out.")
    if found["answer"] is not None:
        parts.append("The answer counts as made at once: a slower server hides the time of its bytes.")
    return " ".join(parts)
