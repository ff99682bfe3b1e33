"""The two forms of a GPU's law as functions of a vector of coefficients, with bounds and a start."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from hwmodels.calibrate.step_table import FloatArray, StepTable
from hwmodels.dense import DenseTable, GemmTiles, SmoothRoofline
from hwmodels.gpu_step import GpuStep
from hwmodels.llm import Llm

INFINITE = float("inf")
TILE_TOKENS = 256.0
"""A start: fits on two GPUs found tiles of 208 to 340 rows."""
MOST_KNOTS = 24


@dataclass(frozen=True, slots=True)
class Coefficient:
    """`scale` is the size of a step that matters; the bounds are those of the catalogue."""

    name: str
    start: float
    scale: float
    low: float = 0.0
    high: float = INFINITE


@dataclass(frozen=True, slots=True)
class Form:
    name: str
    coefficients: tuple[Coefficient, ...]
    step: Callable[[FloatArray], GpuStep]
    """The law that a vector of coefficients, in their order, stands for."""
    knots: tuple[int, ...] = ()
    """Token counts of a table whose times are coefficients too, the last of them."""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(coefficient.name for coefficient in self.coefficients)


def predicted_ms(step: GpuStep, table: StepTable, llm: Llm) -> FloatArray:
    """As `GpuStep.law` charges it, sliding windows included, for all steps at once."""
    window_tokens = llm.window_share * llm.sliding_window_tokens
    full_share = 1 - llm.window_share
    pairs = full_share * table.pairs(step.prefill_tile_tokens) + window_tokens * table.new_tokens
    kv_price = np.where(table.is_mixed, step.mixed_kv_multiplier, 1.0) * full_share
    kv_tokens = kv_price * table.kv_tokens + window_tokens * table.decodes
    return (
        step.fixed_ms
        + step.dense_ms(table.tokens, llm)
        + step.pair_ms * pairs
        + step.kv_token_ms * kv_tokens
        + step.sequence_ms * (table.chunks + table.decodes)
        + step.prompts_ms * (table.chunks > 0)
    )


def r6b(table: StepTable, llm: Llm, weights: str, tiles: GemmTiles) -> Form:
    """A smooth roofline of the tokens, in whole tiles, and the attention law."""
    linear = _linear_start(table)
    half, token = linear.constant / 2, linear.token
    coefficients = (
        Coefficient("t_fixed_ms", half, linear.constant),
        Coefficient("t_weights_ms", half, linear.constant),
        Coefficient("ms_per_token", token, token),
        Coefficient("p_norm", 2.0, 1.0, 1.0, 10.0),
        *_attention(linear),
    )
    share = llm.dense_share(weights)

    def step(x: FloatArray) -> GpuStep:
        return _step(x[0], SmoothRoofline(x[1], share, x[2], x[3]), x[4:], tiles)

    return Form("r6b", coefficients, step)


def dense_table(table: StepTable, llm: Llm, weights: str, tiles: GemmTiles) -> Form:
    """Dense times by token count, and the attention law.

    Where the table has the dense part apart, its means are taken as they are and a constant is fitted beside
    them. Otherwise the dense times at some token counts are fitted with the rest. With tiles the counts are
    those of whole tiles, and the law puts both sides of a jump where they are.
    """
    del llm, weights
    linear = _linear_start(table)
    if table.dense_ms is not None:
        return _with_measured_dense(table, linear, tiles)
    knots = _knots(tiles.padded(table.tokens))
    times = tuple(
        Coefficient(f"dense_ms[{k}]", linear.constant + linear.token * k, linear.constant, 1e-6)
        for k in knots
    )

    def step(x: FloatArray) -> GpuStep:
        return _step(0.0, DenseTable(knots, tuple(x[5:].tolist())), x, tiles)

    return Form("table", (*_attention(linear), *times), step, knots)


def _with_measured_dense(table: StepTable, linear: "_Linear", tiles: GemmTiles) -> Form:
    dense = measured_dense(table, tiles)

    def step(x: FloatArray) -> GpuStep:
        return _step(x[0], dense, x[1:], tiles)

    fixed = Coefficient("t_fixed_ms", 0.01 * linear.constant, linear.constant)
    return Form("table", (fixed, *_attention(linear)), step)


def measured_dense(table: StepTable, tiles: GemmTiles) -> DenseTable:
    """The mean of each token count, of which a tile takes the median.

    Profiles are often interpolated right behind an edge: a mean over the tile would be too low there.
    """
    assert table.dense_ms is not None
    tokens, group = np.unique(table.tokens, return_inverse=True)
    means = np.bincount(group, table.dense_ms) / np.bincount(group)
    if tiles.tokens:
        whole, tile = np.unique(tiles.padded(tokens), return_inverse=True)
        means = np.array([np.median(means[tile == index]) for index in range(len(whole))])
        tokens = whole
    keep = _thinned(tokens, means)
    return DenseTable(tuple(tokens[keep].astype(int).tolist()), tuple(np.round(means[keep], 6).tolist()))


def kernels(table: StepTable, llm: Llm, weights: str, tiles: GemmTiles) -> Form:
    """As a dense table, and a time of its own for steps that hold prompts, whose kernels have a least one."""
    base = dense_table(table, llm, weights, tiles)
    scale = 0.1 * float(np.median(table.step_ms))

    def step(x: FloatArray) -> GpuStep:
        return replace(base.step(x[:-1]), prompts_ms=float(x[-1]))

    prompts = Coefficient("t_prompts_ms", 0.1 * scale, scale)
    return Form("kernels", (*base.coefficients, prompts), step, base.knots)


FORMS: dict[str, Callable[[StepTable, Llm, str, GemmTiles], Form]] = {
    "r6b": r6b,
    "table": dense_table,
    "kernels": kernels,
}


def _step(
    fixed_ms: float, dense: SmoothRoofline | DenseTable, attention: FloatArray, tiles: GemmTiles
) -> GpuStep:
    pair_ms, rows, kv_token_ms, mixed, sequence_ms = attention[:5]
    return GpuStep(fixed_ms, dense, pair_ms, kv_token_ms, mixed, sequence_ms, rows, tiles=tiles)


def _attention(linear: "_Linear") -> tuple[Coefficient, ...]:
    return (
        Coefficient("ms_per_attn_pair", linear.pair, linear.pair),
        Coefficient("prefill_tile_tokens", TILE_TOKENS, TILE_TOKENS, 0.0, 4096.0),
        Coefficient("ms_per_kv_token", linear.kv, linear.kv),
        Coefficient("mixed_kv_multiplier", 1.5, 1.0, 1.0, 10.0),
        Coefficient("ms_per_sequence", linear.sequence, linear.sequence),
    )


# Where to start


@dataclass(frozen=True, slots=True)
class _Linear:
    """A linear law of the same steps. No term is nothing: each is at least a hundredth of a usual step."""

    constant: float
    token: float
    pair: float
    kv: float
    sequence: float


def _linear_start(table: StepTable) -> _Linear:
    from scipy.optimize import nnls  # noqa: PLC0415  (0.2 s that only a fit should pay)

    sequences = table.chunks + table.decodes
    features = [np.ones(table.rows), table.tokens, table.pairs(TILE_TOKENS), table.kv_tokens, sequences]
    sizes = [float(np.median(f[f > 0])) if (f > 0).any() else 1.0 for f in features]
    columns = np.stack([f / size / table.step_ms for f, size in zip(features, sizes, strict=True)], axis=1)
    found, _ = nnls(columns, np.ones(table.rows))
    least = 0.01 * float(np.median(table.step_ms))
    return _Linear(*(max(float(x), least) / size for x, size in zip(found, sizes, strict=True)))


def _knots(tokens: FloatArray) -> tuple[int, ...]:
    """Token counts for a table: all of them while they are few, else spread over the range."""
    counts = np.unique(tokens)
    if len(counts) > MOST_KNOTS:
        wanted = np.geomspace(counts[0], counts[-1], MOST_KNOTS)
        counts = np.unique(counts[np.abs(counts[None, :] - wanted[:, None]).argmin(axis=1)])
    return tuple(counts.astype(int).tolist())


def _thinned(tokens: FloatArray, means: FloatArray) -> list[int]:
    """The points that a straight line between their neighbours would miss by more than 0.5 %.

    Of those in between, the one furthest off is kept until none is (Ramer, Douglas and Peucker).
    """
    keep = {0, len(tokens) - 1}
    spans = [(0, len(tokens) - 1)]
    while spans:
        first, last = spans.pop()
        between = slice(first + 1, last)
        line = np.interp(tokens[between], tokens[[first, last]], means[[first, last]])
        off = np.abs(means[between] / line - 1)
        if off.size and off.max() > 0.005:
            worst = first + 1 + int(off.argmax())
            keep.add(worst)
            spans += [(first, worst), (worst, last)]
    return sorted(keep)
