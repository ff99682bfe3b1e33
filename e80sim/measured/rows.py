"""Requests as somebody measured them, whichever tool it was: one row type for all that compares or fits.

Tools mean different things by the same word. Here all times of a row count from its `arrival_s`, and the time
per output token leaves the first token out, whatever the file does.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from e80sim.mistakes import UserError


class MeasuredError(UserError):
    """A sentence that names the file, the line where there is one, and the offending value."""


@dataclass(frozen=True, slots=True)
class MeasuredRequest:
    """What the file does not say is None. Of a request that failed only the sizes and `error` count."""

    arrival_s: float
    """When it was sent, from the first one of the file."""
    input_tokens: int
    """0 where the file does not say, as tools do of requests that failed."""
    output_tokens: int
    ttft_ms: float | None = None
    tpot_ms: float | None = None
    """(last token - first token) / (output_tokens - 1); None with fewer than two tokens."""
    e2e_ms: float | None = None
    cached_tokens: int | None = None
    """Of the input, found in a prefix cache."""
    itl_ms: tuple[float, ...] = ()
    """Gaps between the chunks that the client read, each of a token or more; empty where there are none."""
    error: str | None = None


@dataclass(frozen=True, slots=True)
class MeasuredRequests:
    """At least one request, in order of arrival; the first one arrives at 0."""

    name: str
    """Of the file."""
    format: str
    rows: tuple[MeasuredRequest, ...]
    notes: tuple[str, ...] = ()
    """What was done to the rows on their way here, and what a reader of them must know, in sentences."""

    @property
    def answered(self) -> tuple[MeasuredRequest, ...]:
        return tuple(row for row in self.rows if row.error is None)


def in_order(
    path: Path,
    format: str,  # noqa: A002 -- the word of the option
    rows: Iterable[MeasuredRequest],
    notes: Sequence[str] = (),
) -> MeasuredRequests:
    """Sorted by arrival, from the first one on. `rows` count from any origin; MeasuredError without any."""
    found = sorted(rows, key=lambda row: row.arrival_s)
    if not found:
        raise MeasuredError(f"{path} holds no requests")
    first_s = found[0].arrival_s
    shifted = (replace(row, arrival_s=row.arrival_s - first_s) for row in found)
    failed = sum(row.error is not None for row in found)
    told = [f"{failed:,} of {len(found):,} requests failed."] if failed else []
    return MeasuredRequests(path.name, format, tuple(shifted), (*notes, *told))


def per_token_ms(ttft_ms: float | None, e2e_ms: float | None, output_tokens: int) -> float | None:
    """The time per output token of an answer whose last token ended it."""
    if ttft_ms is None or e2e_ms is None or output_tokens < 2:
        return None
    return (e2e_ms - ttft_ms) / (output_tokens - 1)
