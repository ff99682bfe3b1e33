"""Asks and the attempts that their clients made of them: how many, how they went, and whether they stormed.

An ask counts in the window in which its first attempt was meant; its attempts count with it, whenever they
were sent. Over time each attempt stands where it was meant itself.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any, NamedTuple

import numpy as np

from reports.arrays import distinct
from reports.columns import Columns, Floats, Mask, rows_numbered
from reports.levels import Grid
from reports.metrics import Window
from reports.record import PS_PER_S
from reports.statistics import Answer, Refused, ratio_of
from reports.words import amount, as_chosen, in_seconds, plural, rounded, share

STORM = 2.0
"""Attempts for each ask that comes at the same time, or more."""
STORM_LASTS = 0.05
"""Of the run, at least."""
STORM_FAILS = 0.5
"""Of its attempts, more than this share."""
STORM_ATTEMPTS = 20
"""In that time, of a replication: a handful proves nothing."""
DIGITS = 6


class Storm(NamedTuple):
    """The longest one."""

    began_s: float
    ended_s: float
    per_ask: float
    """Attempts over asks of that time; all of them where none came."""
    failed: float
    """Share of its attempts."""


@dataclass(frozen=True, slots=True)
class Attempts:
    """Of one source whose clients retry or hedge, or of all, in one variant. Made by `of`."""

    asks: Columns
    """Meant in the window."""
    grid: Grid
    asked: Floats
    """Number by (replication, bin), of the whole run; so are the others."""
    sent: Floats
    failed: Floats
    answered: Floats

    @classmethod
    def of(cls, requests: Columns, asks: Columns, window: Window, replications: Sequence[int]) -> "Attempts":
        """`requests` that belong to none of the asks count for nothing."""
        grid = Grid.of(window.end_ps, replications)
        mine = requests.take(rows_numbered(asks, requests, "ask") >= 0)
        lost = ~mine.outcome("completed") & ~mine.outcome("unfinished") & ~mine.outcome("cancelled")

        def number(columns: Columns, at: str, rows: Mask | None = None) -> Floats:
            kept = columns if rows is None else columns.take(rows)
            return grid.counts(kept[at], kept["replication"])

        return cls(
            asks.take(window.offered(asks)),
            grid,
            number(asks, "intended_ps"),
            number(mine, "intended_ps"),
            number(mine, "intended_ps", lost),
            number(asks, "ended_ps", asks.outcome("completed")),
        )

    @property
    def per_ask(self) -> Answer:
        """Amplification."""
        if not len(self.asks):
            return Refused("Nobody asked in the measured window.")
        return ratio_of(self._total("attempts"), self._total(None))

    def counts(self) -> dict[str, int]:
        """Of the asks meant in the window."""
        return {
            "asks": len(self.asks),
            "attempts": int(self.asks["attempts"].sum()),
            "hedges": int(self.asks["hedges"].sum()),
            "answered": int(self.asks.outcome("completed").sum()),
        }

    def _total(self, column: str | None) -> Floats:
        row = np.searchsorted(self.grid.replications, self.asks["replication"])
        weights = None if column is None else self.asks[column].astype(np.float64)
        return np.bincount(row, weights, len(self.grid.replications)).astype(np.float64)

    def storm(self) -> Storm | None:
        """The longest time made of parts of STORM_LASTS with STORM attempts an ask, most of which failed."""
        counts = [one.sum(axis=0) for one in (self.asked, self.sent, self.failed)]
        width = ceil(STORM_LASTS * len(counts[0]))
        asked, sent, failed = (np.convolve(one, np.ones(width), "valid") for one in counts)
        enough = sent >= STORM_ATTEMPTS * len(self.grid.replications)
        parts = enough & (sent >= STORM * asked) & (failed > STORM_FAILS * sent)
        inside = np.convolve(parts, np.ones(width)) > 0
        first, end = max(_stretches(inside), key=lambda one: one[1] - one[0], default=(0, 0))
        if first == end:
            return None
        of_asks, of_attempts, of_failures = (float(one[first:end].sum()) for one in counts)
        return Storm(*self._edges(first, end), of_attempts / max(of_asks, 1.0), of_failures / of_attempts)

    def _edges(self, first: int, end: int) -> tuple[float, float]:
        edges = self.grid.edges_ps / PS_PER_S
        return float(edges[first]), float(edges[end])


@dataclass(frozen=True, slots=True)
class RetriedSources:
    """All sources of a variant whose clients retry or hedge. Made by `of`."""

    together: Attempts
    by_source: Mapping[str, Attempts]

    @classmethod
    def of(
        cls, requests: Columns, asks: Columns, window: Window, replications: Sequence[int]
    ) -> "RetriedSources | None":
        """None where nobody asked."""
        if not len(asks):
            return None

        def of_source(name: str) -> Attempts:
            own = asks.take(asks.labelled("source", name))
            return Attempts.of(requests, own, window, replications)

        names = [asks.names["source"][code] for code in distinct(asks["source"]).tolist()]
        return cls(
            Attempts.of(requests, asks, window, replications), {name: of_source(name) for name in names}
        )

    def sentences(self) -> Iterator[str]:
        counts = self.together.counts()
        asks, attempts, hedges = (counts[name] for name in ("asks", "attempts", "hedges"))
        if not asks:
            return
        copies = f"{hedges:,} of them copies, " if hedges else ""
        yield (
            f"{plural(asks, 'ask')} made {plural(attempts, 'request')} ({copies}{amount(attempts / asks)} "
            f"for each), and {share(counts['answered'] / asks)} of the asks were answered."
        )
        for name, one in self.by_source.items():
            storm, of = one.storm(), f" of {name}" if len(self.by_source) > 1 else ""
            if storm is not None:
                yield (
                    f"Retry storm{of}: from {as_chosen(storm.began_s)} to {in_seconds(storm.ended_s)} there "
                    f"were {amount(storm.per_ask)} requests for each ask that came, and "
                    f"{share(storm.failed)} of them failed."
                )

    def as_json(self) -> dict[str, Any]:
        found = self.together
        rates = {"asks_per_s": found.asked, "attempts_per_s": found.sent, "answered_per_s": found.answered}
        attempts = found.asks["attempts"].astype(np.int64)
        return {
            **found.counts(),
            "amplification": found.per_ask.as_json(),
            "asks_by_attempts": np.bincount(attempts, minlength=2)[1:].tolist(),
            "sources": [
                {"source": name, **one.counts(), "storm": None if storm is None else storm._asdict()}
                for name, one in self.by_source.items()
                for storm in [one.storm()]
            ],
            "series": {
                name: _over_replications(counts / found.grid.widths_s) for name, counts in rates.items()
            },
        }


def answers(asks: Columns, requests: Columns) -> Columns:
    """The attempts that answered `asks`, as if each had been meant when its ask was.

    What went before, other attempts and the waits between them, thereby is the sender's: client wait.
    """
    done = asks.take(asks.outcome("completed"))
    row = rows_numbered(requests, done, "answered_by")
    found = requests.take(row)
    return Columns({**found.values, "intended_ps": done["intended_ps"]}, found.names)


def _stretches(found: Mask) -> Iterator[tuple[int, int]]:
    """(first, end) of each run of bins."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], found, [False])).astype(np.int8)))
    yield from zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)


def _over_replications(values: Floats) -> dict[str, list[float]]:
    found = {"mean": values.mean(axis=0)}
    if len(values) > 1:
        found |= {"low": values.min(axis=0), "high": values.max(axis=0)}
    return {name: [rounded(value, DIGITS) for value in row.tolist()] for name, row in found.items()}


def retries_json(attempts: RetriedSources | None) -> Mapping[str, Any]:
    """An entry of its own, where there are clients that retry or hedge."""
    return {} if attempts is None else {"retries": attempts.as_json()}
