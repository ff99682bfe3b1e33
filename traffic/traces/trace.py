"""The arrays of a recorded trace, whatever file they came from."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from traffic.request import Prefix
from traffic.traces.prefix_blocks import BlockRows, PrefixBlocks
from traffic.traces.words import TraceError
from traffic.units import PS_PER_S, IntArray

MAX_SPAN_PS = 2**63 - 1


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """At least one row; times count from the first and never decrease. The arrays are read-only."""

    name: str
    arrival_ps: IntArray
    """As the file has them: rows may share a time."""
    prompt_tokens: IntArray
    output_tokens: IntArray
    blocks: PrefixBlocks | None = None
    """None where the file names none."""
    notes: tuple[str, ...] = ()
    """What was done to the rows on their way here, in sentences."""
    prefixes: tuple[Prefix, ...] | None = None
    """How the prompt of each row begins, where the file says that otherwise than by blocks."""

    def __post_init__(self) -> None:
        columns = (self.arrival_ps, self.prompt_tokens, self.output_tokens)
        assert {len(column) for column in columns} == {self.rows}, "columns of one length"
        assert self.blocks is None or len(self.blocks.starts) == self.rows + 1, "blocks of these rows"
        assert self.prefixes is None or len(self.prefixes) == self.rows, "a prefix for each row"
        assert self.rows, "at least one row"
        for column in columns:
            column.flags.writeable = False

    def __iter__(self) -> Iterator[tuple[int, int, int]]:
        """Rows: arrival in ps, prompt tokens, output tokens."""
        columns = (self.arrival_ps, self.prompt_tokens, self.output_tokens)
        return zip(*(column.tolist() for column in columns), strict=True)

    @property
    def rows(self) -> int:
        return len(self.arrival_ps)

    @property
    def span_ps(self) -> int:
        """From the first row to the last."""
        return int(self.arrival_ps[-1])


class TraceRows:
    """Rows on their way into a `Trace`: what every format must hold is checked here, once."""

    def __init__(self, path: Path, block_tokens: int = 0) -> None:
        self._path = path
        self._at_ps: list[int] = []
        self._prompt_tokens: list[int] = []
        self._output_tokens: list[int] = []
        self._blocks = BlockRows(block_tokens)
        self._earliest = self._latest = _Stamp(0, 0, "")
        self._out_of_order = 0
        self._empty: dict[str, list[int]] = {}
        """What a row had none of -> the lines of such rows."""

    def add(
        self,
        line: int,
        stamp: str,
        at_ps: int,
        prompt_tokens: int,
        output_tokens: int,
        hash_ids: Sequence[int] = (),
        *,
        in_order: bool = True,
    ) -> None:
        """`at_ps` counts from any origin; `line` and `stamp` are what the file shows to a person.

        A row without prompt or without output is counted and skipped: nothing was asked, or nothing answered.
        Rows that need not be `in_order` are sorted in the end.
        """
        if not (prompt_tokens and output_tokens):
            self._empty.setdefault("output" if prompt_tokens else "prompt", []).append(line)
            return
        here = _Stamp(at_ps, line, stamp)
        if not self._at_ps:
            self._earliest = self._latest = here
        self._check(here, in_order=in_order)
        self._blocks.add(hash_ids)
        self._at_ps.append(at_ps)
        self._prompt_tokens.append(prompt_tokens)
        self._output_tokens.append(output_tokens)

    def filled(
        self, stamp: str, first_ps: int, after_ps: IntArray, prompt_tokens: IntArray, output_tokens: IntArray
    ) -> Trace:
        """Of all rows of a file, in which what `add` checks is checked already.

        `stamp` is that of the first one, at `first_ps`; `after_ps` counts from there.
        """
        self._earliest = _Stamp(first_ps, 0, stamp)
        return Trace(self._path.name, after_ps, prompt_tokens, output_tokens, notes=tuple(self._shifted()))

    def _check(self, here: "_Stamp", *, in_order: bool) -> None:
        if here.at_ps < self._latest.at_ps:
            if in_order:
                raise TraceError(
                    f"{self._path} line {here.line}: {here.text} is before {self._latest.text} of line "
                    f"{self._latest.line}, but the rows of a trace must be in order of time"
                )
            self._out_of_order += 1
            if here.at_ps < self._earliest.at_ps:
                self._earliest = here
        else:
            self._latest = here
        span_ps = self._latest.at_ps - self._earliest.at_ps
        if span_ps > MAX_SPAN_PS:
            days = span_ps // (86_400 * PS_PER_S)
            raise TraceError(
                f"{self._path} line {here.line}: {self._latest.text} is {days} days after the first row, "
                f"but a trace can span at most 106 days"
            )

    def trace(self, notes: Sequence[str] = ()) -> Trace:
        """`notes`: what else the reader did."""
        if not self._at_ps:
            skipped = " ".join(self._skipped())
            raise TraceError(f"{self._path} holds no rows{f' to replay. {skipped}' if skipped else ''}")
        at_ps = [at_ps - self._earliest.at_ps for at_ps in self._at_ps]
        columns = [
            np.array(column, dtype=np.int64) for column in (at_ps, self._prompt_tokens, self._output_tokens)
        ]
        blocks = self._blocks.blocks()
        if self._out_of_order:
            order = np.argsort(columns[0], kind="stable")
            columns = [column[order] for column in columns]
            blocks = None if blocks is None else blocks.in_order(order)
        arrival_ps, prompt_tokens, output_tokens = columns
        told = (*self._shifted(), *self._skipped(), *self._sorted(), *notes)
        return Trace(self._path.name, arrival_ps, prompt_tokens, output_tokens, blocks, told)

    def _shifted(self) -> Iterator[str]:
        if self._earliest.at_ps:
            yield f"Times count from the first row, whose stamp is {self._earliest.text}."

    def _skipped(self) -> Iterator[str]:
        for what, lines in self._empty.items():
            rows = "1 row" if len(lines) == 1 else f"{len(lines):,} rows"
            first = f"{'' if len(lines) == 1 else 'the first '}in line {lines[0]}"
            yield f"{rows} with 0 {what} tokens skipped ({first})."

    def _sorted(self) -> Iterator[str]:
        if self._out_of_order:
            yield f"Rows sorted by time: {self._out_of_order:,} stood after a later one."


@dataclass(frozen=True, slots=True)
class _Stamp:
    at_ps: int
    line: int
    text: str
