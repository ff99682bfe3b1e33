"""The header of a table of step times: which column holds what, under whose name and in which unit."""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from e80sim.mistakes import UserError

COLUMNS: dict[str, tuple[str, ...]] = {
    "iteration_ms": ("iteration_ms", "iteration_us", "latency_ms", "step_ms", "step_us"),
    "prefill_chunk": ("prefill_chunk",),
    "new_tokens_total": ("new_tokens_total",),
    "kv_prefill": ("kv_prefill", "past_kv_tokens"),
    "n_prefill": ("n_prefill", "batch_size"),
    "n_decode": ("n_decode", "decode_batch"),
    "kv_decode": ("kv_decode", "kv_tokens_per_seq"),
    "kv_decode_total": ("kv_decode_total",),
    "dense_ms": ("dense_ms", "nonattn_us"),
}
"""What a column means here, and the names under which tables have it."""
NEEDED = (
    ("iteration_ms",),
    ("prefill_chunk", "new_tokens_total"),
    ("kv_prefill",),
    ("n_decode",),
    ("kv_decode", "kv_decode_total"),
)
"""One of each group must be there."""
MS_PER_UNIT = {"_ms": 1.0, "_us": 1e-3, "_s": 1e3}


class TableError(UserError):
    """A sentence that names the file, and the line where there is one."""


@dataclass(frozen=True, slots=True)
class Layout:
    places: Mapping[str, int]
    """Our name of a column -> where it stands."""
    factors: Mapping[str, float]
    """Our name of a time -> what turns it into ms."""
    kept: tuple[tuple[int, str], ...]
    """Columns and the text that a row must have there."""

    def keeps(self, fields: list[str]) -> bool:
        return all(fields[place] == text for place, text in self.kept)


def layout(path: Path, header: list[str], columns: Mapping[str, str], where: Mapping[str, str]) -> Layout:
    """Raises TableError for a column that is missing or was never there to be named."""
    for ours, theirs in columns.items():
        _require(ours, COLUMNS, f"--column {ours}={theirs}: there is no column {ours!r} to fill")
        _require(theirs, header, f"{path} line 1: no column {theirs!r}")
    for name in where:
        _require(name, header, f"--where {name}=...: {path} has no column {name!r}")
    found = _found(header, columns)
    for group in NEEDED:
        if not any(ours in found for ours in group):
            raise TableError(
                f"{path} line 1: no column {' or '.join(group)}; the header is {','.join(header)[:200]!r}."
                f" Name yours with --column {group[0]}=YOURS"
            )
    return Layout(
        {ours: header.index(name) for ours, name in found.items()},
        {ours: _factor(path, name) for ours, name in found.items() if ours.endswith("_ms")},
        tuple((header.index(name), text) for name, text in where.items()),
    )


def _found(header: list[str], columns: Mapping[str, str]) -> dict[str, str]:
    """Our name -> the file's, for the columns that it has."""
    named = {ours: (columns[ours],) if ours in columns else names for ours, names in COLUMNS.items()}
    return {
        ours: next(name for name in names if name in header)
        for ours, names in named.items()
        if any(name in header for name in names)
    }


def _factor(path: Path, name: str) -> float:
    for suffix, factor in MS_PER_UNIT.items():
        if name.endswith(suffix):
            return factor
    raise TableError(f"{path} line 1: the unit of column {name!r} must end its name: _ms, _us or _s")


def _require(name: str, known: Mapping[str, object] | list[str], sentence: str) -> None:
    if name not in known:
        close = get_close_matches(name, known, n=1, cutoff=0.5)
        hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}"
        raise TableError(f"{sentence}; {hint}")
