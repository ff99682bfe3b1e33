"""What requests tell of an endpoint: round trip, TTFT by prompt, the time of a token, what a batch costs.

    TTFT   = round trip + fixed + P * per prompt token            of requests that no other was beside
    decode = (n - 1) * step + e * (cached tokens, summed over the steps) + s * (others that decode) * (n - 1)

Only sums are known where nothing tells their parts apart: `warnings` names each such sum.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from hwmodels.calibrate.endpoint.lines import Interval, Line, fit, median
from hwmodels.calibrate.endpoint.seen import NEW, REPEATED, WARM_UP, Floats, Mask, Seen

LEAST_BESIDE = 0.5
"""Others on the mean, before a batch counts as one."""
LEAST_TOGETHER = 3
"""Requests that were in one."""
SHORT_MS = 1e-9
AS_ALONE = 0.05
"""A step of a batch within this share of a lone one costs the same."""
IN_TURN = 0.15
"""A slope within this share of the step itself is sequences that take turns."""
CACHE_HELPS = 0.2
"""Of the time of a prompt: a repeated one that saves more was in a cache."""
TRADED = 0.9
"""Correlation of two terms beyond which only their sum is known well."""
SEGMENTS_BYTES = 14_600
"""Of TCP's first window (10 segments of 1,460 bytes): longer prompts may pay round trips on their way."""
BYTES_PER_TOKEN = 5
NAMES = {
    "rtt_ms": "round trip to whoever ends the connection",
    "set_up_ms": "TLS set-up beyond its round trips",
    "fixed_ms": "each request, whatever its size",
    "prefill_ms_per_token": "a prompt token",
    "decode_step_ms": "a token of a lone answer",
    "decode_ms_per_kv_token": "a step, for each token in the cache",
    "batch_step_ms": "a step, for each other answer in it",
}


@dataclass
class EndpointFit:
    seen: Seen
    values: dict[str, Interval] = field(default_factory=dict)
    """By the names in `NAMES`; what could not be told is left out."""
    warnings: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    rtt_known: bool = False
    batching: str = "unknown"
    """alone, in turn, batch, or unknown where no two answers decoded together."""
    places: int | None = None
    """Answers that decode at once at most, where more were asked for."""
    prefix_cache: bool | None = None
    alone: int = 0
    """Requests that no other was beside."""

    @property
    def law(self) -> dict[str, float]:
        return {name: interval.value for name, interval in self.values.items()}


def fit_endpoint(seen: Seen) -> EndpointFit:
    found = EndpointFit(seen)
    found.remarks += seen.notes
    alone = seen.is_alone & (seen.purpose != WARM_UP)
    found.alone = int(alone.sum())
    _round_trip(found, alone)
    _first_tokens(found, alone)
    _prefix_cache(found, alone)
    _decoding(found, alone)
    _batch(found)
    return found


def _round_trip(found: EndpointFit, alone: Mask) -> None:
    """By TCP's handshake, else by what a new connection adds to a chat."""
    seen = found.seen
    if len(seen.connects_ms):
        rtt = median(seen.connects_ms)
        found.values["rtt_ms"] = rtt
        found.rtt_known = True
        if len(seen.tls_ms):
            found.values["set_up_ms"] = median(seen.tls_ms).plus(rtt, -1.0)
        found.warnings.append(
            "rtt_ms is the way to whoever ends the connection, such as a gateway; the way from there to the "
            "accelerators is part of fixed_ms"
        )
        return
    difference = _cold_less_warm(seen, alone)
    if difference is None:
        found.warnings.append(
            "the network cannot be told from the endpoint's own fixed time: no connection was seen being "
            "set up, so fixed_ms holds the round trip too"
        )
        return
    trips = 2 if seen.https else 1
    found.values["rtt_ms"] = difference.times(1 / trips)
    found.rtt_known = True
    found.remarks.append(
        f"rtt_ms is what a new connection adds to a chat, by {trips} round trip{'s' * (trips > 1)}: the "
        "client did not tell set-ups apart"
    )


def _cold_less_warm(seen: Seen, alone: Mask) -> Interval | None:
    """At prompts alike in length; the length that is left is taken out with the slope."""
    cold = alone & (seen.purpose == NEW)
    if not cold.any():
        return None
    longest = seen.prompt[cold].max() * 1.5
    both = cold | (_fresh(seen, alone) & (seen.prompt <= longest))
    columns = [np.ones(int(both.sum())), cold[both].astype(np.float64)]
    if len(np.unique(seen.prompt[both])) > 1:
        columns.append(seen.prompt[both])
    line = fit(columns, seen.ttft[both]) or fit(columns[:2], seen.ttft[both])
    return None if line is None else line.terms[1]


def _fresh(seen: Seen, alone: Mask) -> Mask:
    """Over a connection that was there (or whose set-up was seen), and in no cache."""
    hidden = (seen.purpose == NEW) & (len(seen.connects_ms) == 0)
    fresh: Mask = alone & (seen.purpose != REPEATED) & ~hidden & (seen.cached == 0)
    return fresh


def _first_tokens(found: EndpointFit, alone: Mask) -> None:
    seen, rows = found.seen, _fresh(found.seen, alone)
    prompt, ttft = seen.prompt[rows], seen.ttft[rows]
    if not len(ttft):
        found.warnings.append(
            "no prompt was answered alone: neither fixed_ms nor prefill_ms_per_token is known"
        )
        return
    ones = np.ones(len(ttft))
    line = fit([ones, prompt], ttft) if np.ptp(prompt) > 0.2 * prompt.max() else None
    if line is None:
        whole = median(ttft)
        found.warnings.append(
            "all prompts are about as long: fixed_ms cannot be told from prefill_ms_per_token, and holds both"
        )
        found.values["fixed_ms"] = _less_trip(found, whole)
        return
    found.values["fixed_ms"] = _less_trip(found, line.terms[0])
    found.values["prefill_ms_per_token"] = line.terms[1]
    found.remarks += _left_out(line, "first tokens")
    found.warnings += _first_token_warnings(found, line, prompt, ttft)


def _less_trip(found: EndpointFit, whole: Interval) -> Interval:
    return whole.plus(found.values["rtt_ms"], -1.0) if found.rtt_known else whole


def _first_token_warnings(found: EndpointFit, line: Line, prompt: Floats, ttft: Floats) -> Iterator[str]:
    yield (
        "fixed_ms is gateway, host work and the fixed part of prefill together: a client sees no "
        "border between them"
    )
    if not line.terms[1].excludes_zero:
        yield "prompts of these lengths do not change TTFT beyond chance: ask longer ones"
    if len(np.unique(np.round(prompt, -1))) >= 3:
        bent = fit([np.ones(len(ttft)), prompt, prompt**2], ttft)
        if bent is not None and bent.terms[2].excludes_zero and _bends(bent, prompt):
            share = bent.terms[2].value * prompt.max() ** 2 / ttft.max()
            yield (
                f"TTFT bends with prompt length ({100 * share:+.0f} % of the longest one is quadratic): the "
                "straight line holds between the lengths that were asked, and not beyond"
            )
    if prompt.max() * BYTES_PER_TOKEN > SEGMENTS_BYTES and found.values.get("rtt_ms"):
        yield (
            f"prompts beyond {SEGMENTS_BYTES // BYTES_PER_TOKEN:,} tokens or so may pay a round trip of "
            "TCP's slow start, which is in prefill_ms_per_token"
        )


def _bends(bent: Line, prompt: Floats) -> bool:
    """By more than a hundredth over the range of prompts."""
    terms = [term.value for term in bent.terms]
    top = float(prompt.max())
    return abs(terms[2]) * top**2 > 0.01 * abs(terms[0] + terms[1] * top + terms[2] * top**2)


def _left_out(line: Line, what: str) -> Iterator[str]:
    if line.left_out:
        rows = line.left_out + line.terms[0].n
        yield f"{line.left_out} of {rows} {what} are far from all others, and left out"


def _prefix_cache(found: EndpointFit, alone: Mask) -> None:
    seen = found.seen
    again = alone & (seen.purpose == REPEATED)
    if not again.any():
        return
    stated = seen.cached[again]
    slope = found.values.get("prefill_ms_per_token")
    if stated.any():
        found.prefix_cache = True
        part = float(np.median(stated / seen.prompt[again]))
        found.remarks.append(f"prefixes are cached: {part:.0%} of a repeated prompt, by usage")
    if slope is None:
        return
    at_trip = found.values["rtt_ms"].value if found.rtt_known else 0.0
    usual = at_trip + found.values["fixed_ms"].value + slope.value * seen.prompt[again]
    saved = float(np.median(usual - seen.ttft[again]))
    helps = saved > CACHE_HELPS * slope.value * float(np.median(seen.prompt[again])) and slope.excludes_zero
    found.prefix_cache = bool(found.prefix_cache) or helps
    if helps:
        found.remarks.append(
            f"a repeated prompt has its first token {saved:.3g} ms sooner: prefixes are cached"
        )


def _decoding(found: EndpointFit, alone: Mask) -> None:
    seen = found.seen
    rows = alone & (seen.gaps > 0) & (seen.decoding > 0)
    whole = int((alone & (seen.gaps > 0) & (seen.decoding <= 0)).sum())
    if whole:
        found.warnings.append(f"{whole} answers came in one piece: their tokens' times are not known")
    if not rows.any():
        found.warnings.append("no answer of two tokens or more was made alone: decode_step_ms is not known")
        return
    gaps, read = seen.gaps[rows], _read(seen)[rows]
    line = fit([gaps, read], seen.decoding[rows]) if rows.sum() > 3 else None
    if (
        line is not None
        and line.terms[1].excludes_zero
        and line.terms[1].value > 0
        and line.terms[0].value > 0
    ):
        found.values["decode_step_ms"], found.values["decode_ms_per_kv_token"] = line.terms
        if abs(line.correlation[0, 1]) > TRADED:
            found.warnings.append(
                f"decode_step_ms and decode_ms_per_kv_token trade off against each other (correlation "
                f"{line.correlation[0, 1]:+.2f}): ask long answers to short and long prompts"
            )
    else:
        line = fit([gaps], seen.decoding[rows])
        assert line is not None
        found.values["decode_step_ms"] = line.terms[0]
        if line.terms[0].n > 3:
            found.remarks.append("no cost of cached tokens shows at these lengths")
    found.remarks += _left_out(line, "answers")


def _read(seen: Seen) -> Floats:
    """Cached tokens, summed over the steps of an answer."""
    read: Floats = seen.gaps * seen.prompt + seen.gaps * (seen.gaps - 1) / 2
    return read


def _batch(found: EndpointFit) -> None:
    """By the others that decoded beside each request, their caches and their prompts taken out."""
    seen, step = found.seen, found.values.get("decode_step_ms")
    shared = seen.shared_ms
    beside = shared.sum(axis=1) / np.maximum(seen.decoding, SHORT_MS)
    rows = (seen.gaps > 0) & (seen.decoding > 0)
    if step is None or (rows & (beside >= LEAST_BESIDE)).sum() < LEAST_TOGETHER:
        _no_batch(found)
        return
    time = seen.decoding - _reading_ms(found, shared)
    columns = [seen.gaps[rows], (seen.gaps * beside)[rows], seen.prompts_beside[rows]]
    line = fit(columns, time[rows]) or fit(columns[:2], time[rows])
    if line is None:
        _no_batch(found)
        return
    slope = found.values["batch_step_ms"] = line.terms[1]
    most = float(beside.max())
    if slope.value * most <= AS_ALONE * step.value or not slope.excludes_zero:
        found.batching = "alone"
        found.remarks.append(f"answers beside each other take their tokens no slower, up to {most + 1:.1f}")
        if slope.value < 0 and slope.excludes_zero:
            found.warnings.append(
                "lone answers were slower than those beside others, which no law here explains: the "
                "endpoint or the client was busier at one time than at another"
            )
    elif abs(slope.value - step.value) <= IN_TURN * step.value:
        found.batching = "in turn"
        found.remarks.append("answers beside each other take turns: each is as many times slower")
    else:
        found.batching = "batch"
    _places(found)


def _reading_ms(found: EndpointFit, shared: Floats) -> Floats:
    """Of the caches of all answers in its steps, where they cost anything."""
    seen, price = found.seen, found.values.get("decode_ms_per_kv_token")
    if price is None:
        return np.zeros(len(seen.sent))
    held = shared @ (seen.prompt + seen.gaps / 2) / np.maximum(seen.decoding, SHORT_MS)
    reading: Floats = price.value * (_read(seen) + seen.gaps * held)
    return reading


def _no_batch(found: EndpointFit) -> None:
    asked, most = found.seen.asked, found.seen.most_decoding
    if asked > most:
        _places(found)
        return
    found.warnings.append(
        f"what a batch costs is not known: {asked} request{'s were' if asked > 1 else ' was'} under way at "
        "once at most; longer answers or a higher rate make them meet"
    )


def _places(found: EndpointFit) -> None:
    """More were asked at once than ever decoded at once: the others waited."""
    asked, most = found.seen.asked, found.seen.most_decoding
    if asked < 2 * most and asked < most + 3:
        return
    found.places = most
    found.warnings.append(
        f"{most} answer{'s' if most > 1 else ''} decoded at once at most, of {asked} requests under way: "
        "nodes and places of a node cannot be told apart"
    )
