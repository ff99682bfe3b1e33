"""What a table of steps shows of the tiles in which matrix products work, and where it cannot show them."""

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from hwmodels.calibrate.forms import predicted_ms
from hwmodels.calibrate.step_table import StepTable
from hwmodels.dense import DenseTable, GemmTiles
from hwmodels.gpu_step import GpuStep
from hwmodels.llm import Llm

USUAL = GemmTiles(128)
NEAR = 0.25
"""Of a tile: steps nearer than that to an edge are compared across it."""
JUMP = 0.03
"""By which a time grows more than the tokens do: work in proportion to tokens cannot."""
FEW = 3
"""Edges and more, before their mean jump has an interval."""


class Jump(NamedTuple):
    """The mean step over the edge of a tile, as a share of the step's time."""

    edges: int
    mean: float
    low: float
    """With `high` a 95 % interval over the edges."""
    high: float


def jump(table: StepTable, step: GpuStep, llm: Llm, tiles: GemmTiles = USUAL) -> Jump | None:
    """How much longer steps just above an edge take than those just below it, beyond what `step` says.

    A law of the right tiles leaves nothing; a smooth law leaves the jump. None without steps on both sides of
    three edges.
    """
    beyond = table.step_ms / predicted_ms(step, table, llm) - 1
    last = int(table.tokens.max()) // tiles.tokens
    found = []
    for edge in tiles.tokens * np.arange(1, last + 1):
        if edge < tiles.above_tokens:
            continue
        near = NEAR * tiles.tokens
        below = (table.tokens <= edge) & (table.tokens > edge - near)
        above = (table.tokens > edge) & (table.tokens <= edge + near)
        if below.any() and above.any():
            found.append(float(np.median(beyond[above]) - np.median(beyond[below])))
    if len(found) < FEW:
        return None
    mean, error = float(np.mean(found)), float(np.std(found, ddof=1) / len(found) ** 0.5)
    return Jump(len(found), mean, mean - 1.96 * error, mean + 1.96 * error)


def tile_warnings(table: StepTable, step: GpuStep, llm: Llm) -> Iterator[str]:
    """Sentences about tiles that the fit leaves out, and about dense times between which a tile ends."""
    if not step.tiles.tokens:
        found = jump(table, step, llm)
        if found is not None and found.low > 0 and found.mean > JUMP:
            yield (
                f"steps just above a multiple of {USUAL.tokens} tokens take {_share(found.mean)} longer than "
                f"those just below, beyond the law ({_share(found.low)} to {_share(found.high)} over "
                f"{found.edges} edges): --gemm-tile-tokens {USUAL.tokens} fits tiles"
            )
    if isinstance(step.dense, DenseTable):
        yield from _untimed(table, step.tiles) if step.tiles.tokens else _across(step.dense)


def _across(dense: DenseTable) -> Iterator[str]:
    """The widest rise that only a jump explains."""
    points = list(zip(dense.tokens, dense.times_ms, strict=True))
    rises = [
        (after_ms / before_ms - max(1.0, after / before) - JUMP, before, after)
        for (before, before_ms), (after, after_ms) in pairwise(points)
        if after > before + 1
    ]
    jumps = [rise for rise in rises if rise[0] > 0]
    if jumps:
        _, before, after = max(jumps)
        yield (
            f"dense times jump between {len(jumps)} pairs of counts, most from {before:,} to {after:,}: "
            "steps in between are interpolated across the jump; time both sides, or state --gemm-tile-tokens"
        )


def _untimed(table: StepTable, tiles: GemmTiles) -> Iterator[str]:
    """Tiles in between of which no step was timed."""
    timed = np.unique(tiles.padded(table.tokens[table.tokens > tiles.above_tokens]))
    if not timed.size:
        return
    every = round((timed[-1] - timed[0]) / tiles.tokens) + 1
    if every > len(timed):
        yield (
            f"no step was timed in {every - len(timed)} of the {every} tiles of {tiles.tokens} tokens from "
            f"{timed[0]:,.0f} to {timed[-1]:,.0f}: their dense times are interpolated"
        )


def _share(share: float) -> str:
    return f"{100 * share:.1f} %"
