"""Requests as a client saw them, as arrays: of `e80sim probe`, or of any load tool whose file is known.

A load tool does not tell connections apart: the way to the endpoint is then part of what all requests pay.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from e80sim.measured import read_measured
from e80sim.mistakes import UserError

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
PROBE, REQUESTS, TRIPS = "probe.json", "requests.jsonl", "round_trips.jsonl"
"""Of a probe's directory."""
REPEATED, NEW, WARM_UP = "repeat", "new_connection", "warm_up"
TOGETHER_MS = 1e-3
"""Who begins so soon after another one has ended was not beside it."""


@dataclass(frozen=True, eq=False)
class Seen:
    """A row per answered request, in order of sending; times in ms. At least one."""

    name: str
    model: str
    https: bool
    sent: Floats
    first: Floats
    """Like `sent` and `last` from the first request on; a set-up that was seen is left out."""
    last: Floats
    prompt: Floats
    output: Floats
    cached: Floats
    purpose: npt.NDArray[np.str_]
    """Of a probe; empty otherwise."""
    connects_ms: Floats
    """TCP set-ups, wherever one was seen."""
    tls_ms: Floats
    asked: int
    """Most requests under way at once."""
    notes: tuple[str, ...] = ()

    @property
    def ttft(self) -> Floats:
        return self.first - self.sent

    @property
    def gaps(self) -> Floats:
        """Tokens after the first one."""
        return self.output - 1

    @property
    def decoding(self) -> Floats:
        return self.last - self.first

    @property
    def is_alone(self) -> Mask:
        """No other request was under way at any time of it."""
        ended_before = np.maximum.accumulate(self.last)
        alone = np.ones(len(self.sent), np.bool_)
        alone[1:] &= self.sent[1:] >= ended_before[:-1] - TOGETHER_MS
        alone[:-1] &= self.sent[1:] >= self.last[:-1] - TOGETHER_MS
        return alone

    @property
    def shared_ms(self) -> Floats:
        """For each request (row) and other one (column) how long both decoded."""
        ends = np.minimum(self.last[:, None], self.last[None, :])
        begins = np.maximum(self.first[:, None], self.first[None, :])
        shared: Floats = np.maximum(ends - begins, 0.0)
        np.fill_diagonal(shared, 0.0)
        return shared

    @property
    def prompts_beside(self) -> Floats:
        """Prompt tokens of others whose first token came while a request decoded."""
        came = (self.first > self.first[:, None]) & (self.first <= self.last[:, None])
        beside: Floats = came.astype(np.float64) @ self.prompt
        return beside

    @property
    def most_decoding(self) -> int:
        """At once."""
        return _most(self.first, self.last)


def _most(begin: Floats, end: Floats) -> int:
    times = np.concatenate([begin, end - TOGETHER_MS])
    change = np.concatenate([np.ones(len(begin)), -np.ones(len(end))])
    return int(np.cumsum(change[np.lexsort((change, times))]).max())


def read_seen(path: Path) -> Seen:
    """A probe's directory, or a file of measured requests. UserError."""
    return _probed(path) if path.is_dir() else _measured(path)


def is_probe(path: Path) -> bool:
    return path.is_dir() and (path / PROBE).is_file()


def _measured(path: Path) -> Seen:
    found = read_measured(path)
    rows = [
        {
            "arrival_s": row.arrival_s,
            "input_tokens": row.input_tokens,
            "output_tokens": row.output_tokens,
            "ttft_ms": row.ttft_ms,
            "last_token_ms": row.e2e_ms,
            "cached_tokens": row.cached_tokens,
        }
        for row in found.answered
    ]
    return _seen(found.name, "", False, rows, [], found.notes)


def _probed(directory: Path) -> Seen:
    if not is_probe(directory):
        raise UserError(f"{directory} is no directory of `e80sim probe`: it has no {PROBE}")
    about = json.loads((directory / PROBE).read_text(encoding="utf-8"))
    chats, trips = (list(_lines(directory / name)) for name in (REQUESTS, TRIPS))
    https = str(about["base_url"]).startswith("https:")
    return _seen(directory.name, str(about["model"]), https, chats, trips, ())


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    for number, line in enumerate(text.splitlines(), 1):
        try:
            found = json.loads(line)
        except ValueError:
            raise UserError(f"{path} line {number}: {line[:60]!r} is not JSON") from None
        if not isinstance(found, dict):
            raise UserError(f"{path} line {number}: {line[:60]!r} is not a JSON object")
        yield found


def _seen(
    name: str,
    model: str,
    https: bool,
    rows: list[dict[str, Any]],
    trips: list[dict[str, Any]],
    notes: tuple[str, ...],
) -> Seen:
    good = [row for row in rows if _is_whole(row)]
    if not good:
        raise UserError(
            f"{name} has no answered request with sizes, TTFT and E2E: nothing can be fitted to it"
        )
    good.sort(key=lambda row: float(row["arrival_s"]))
    set_up = np.array([_of(row, "connect_ms") + _of(row, "tls_ms") for row in good])
    sent = np.array([1e3 * float(row["arrival_s"]) for row in good]) + set_up
    first, last = (
        sent + np.array([float(row[key]) for row in good]) - set_up for key in ("ttft_ms", "last_token_ms")
    )
    prompt, output, cached = (
        np.array([_of(row, key) for row in good])
        for key in ("input_tokens", "output_tokens", "cached_tokens")
    )
    connects, tls = (
        np.array([row[key] for row in rows + trips if row.get(key)], np.float64)
        for key in ("connect_ms", "tls_ms")
    )
    return Seen(
        name=name,
        model=model,
        https=https,
        sent=sent,
        first=first,
        last=last,
        prompt=prompt,
        output=output,
        cached=cached,
        purpose=np.array([str(row.get("purpose", "")) for row in good]),
        connects_ms=connects,
        tls_ms=tls,
        asked=_most(sent, last),
        notes=notes,
    )


def _is_whole(row: Mapping[str, Any]) -> bool:
    needed = ("input_tokens", "output_tokens", "ttft_ms", "last_token_ms")
    return not row.get("error") and all(row.get(key) for key in needed) and row.get("arrival_s") is not None


def _of(row: Mapping[str, Any], key: str) -> float:
    value = row.get(key)
    return float(value) if value else 0.0
