"""When an open-loop load client means to send: one schedule, of which each process takes its share."""

from collections.abc import Iterator
from heapq import merge
from itertools import chain, islice
from typing import NamedTuple

import numpy as np

from e80sim.choices import loaded
from traffic.arrivals import ARRIVALS, ArrivalProcess
from traffic.mix import Mix, RequestKind

HORIZON_PS = 10**12 * 86_400 * 30
"""A load client runs until somebody stops it, or for a month."""
RATE_ALONE = ["rate_per_s"]


def arrivals_of_a_rate() -> dict[str, type[ArrivalProcess]]:
    """The kinds of arrivals that need nothing but a rate."""
    known = {kind: loaded(one) for kind, one in ARRIVALS.items()}
    return {kind: one for kind, one in known.items() if _needed(one) == RATE_ALONE}


def _needed(process: type[ArrivalProcess]) -> list[str]:
    return [name for name, field in process.model_fields.items() if field.is_required()]


class Share(NamedTuple):
    """Which of the processes this one is. All of them count from the same instant."""

    number: int
    """From 0."""
    processes: int
    start_unix_ns: int


class Due(NamedTuple):
    offset_ps: int
    """From the start."""
    kind: RequestKind


def agenda(mix: Mix, arrivals: ArrivalProcess | None, seed: int, share: Share) -> Iterator[Due]:
    """The same whole for every process: `arrivals` at which the kinds come by weight, or each kind's own."""
    whole = _by_kind(mix, seed) if arrivals is None else _by_weight(mix, arrivals, seed)
    return islice(whole, share.number, None, share.processes)


def _by_weight(mix: Mix, arrivals: ArrivalProcess, seed: int) -> Iterator[Due]:
    times = _times(arrivals, np.random.default_rng([seed, 0]))
    return (Due(*pair) for pair in zip(times, mix.draw(np.random.default_rng([seed, 1])), strict=False))


def _by_kind(mix: Mix, seed: int) -> Iterator[Due]:
    streams = [_of_kind(kind, np.random.default_rng([seed, number])) for number, kind in enumerate(mix.kinds)]
    return merge(*streams, key=lambda due: due.offset_ps)


def _of_kind(kind: RequestKind, rng: np.random.Generator) -> Iterator[Due]:
    assert kind.arrivals is not None, "asked only of mixes whose kinds all state them"
    return (Due(offset_ps, kind) for offset_ps in _times(kind.arrivals, rng))


def _times(arrivals: ArrivalProcess, rng: np.random.Generator) -> Iterator[int]:
    return chain.from_iterable(arrivals.blocks(rng, HORIZON_PS))
