"""A calibration for people, and as plain data for scripts."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from hwmodels.calibrate.fit import Calibration, Errors
from hwmodels.dense import DenseTable


def as_data(calibration: Calibration) -> dict[str, Any]:
    """Errors are shares, not per cent."""
    data: dict[str, Any] = {
        "table": calibration.table.name,
        "steps": calibration.table.rows,
        "llm": calibration.llm.name,
        "weights": calibration.weights,
        "form": calibration.form.name,
        "gemm_tile_tokens": calibration.tiles.tokens,
        "gemm_tile_above_tokens": calibration.tiles.above_tokens,
        "coefficients": [asdict(estimate) for estimate in calibration.estimates],
        "warnings": list(calibration.warnings),
        "errors": [asdict(errors) for errors in calibration.errors],
        "held_out": [asdict(errors) for errors in calibration.held_out],
    }
    dense = calibration.step.dense
    if isinstance(dense, DenseTable):
        data["dense_ms_by_tokens"] = dict(zip(dense.tokens, dense.times_ms, strict=True))
    return data


def as_text(calibration: Calibration) -> str:
    return "\n".join(_lines(calibration))


def _lines(calibration: Calibration) -> Iterator[str]:
    table = calibration.table
    tiles = calibration.tiles
    padded = f", in tiles of {tiles.tokens} tokens above {tiles.above_tokens}" if tiles.tokens else ""
    yield (
        f"{table.name}: {table.rows:,} steps of {calibration.llm.name} in {calibration.weights},"
        f" form {calibration.form.name}{padded}"
    )
    yield ""
    yield f"{'coefficient':<22}{'value':>13}   95 % interval"
    for estimate in calibration.estimates:
        interval = estimate.state
        if estimate.low is not None and estimate.high is not None:
            interval = f"{_number(estimate.low)} to {_number(estimate.high)}"
        yield f"{estimate.name:<22}{_number(estimate.value):>13}   {interval}"
    dense = calibration.step.dense
    if isinstance(dense, DenseTable) and not calibration.form.knots:
        yield f"and {len(dense.tokens)} measured dense times, {dense.tokens[0]} to {dense.tokens[-1]} tokens"
    yield ""
    yield from _errors("Held-out error", calibration.held_out)
    yield from _errors("Error on the fitted steps", calibration.errors)
    for warning in calibration.warnings:
        yield f"Warning: {warning}"


def _errors(title: str, rows: tuple[Errors, ...]) -> Iterator[str]:
    if not rows:
        return
    yield f"{title:<26}{'steps':>8}{'mean':>9}{'P95':>9}"
    for row in rows:
        cells = ("-", "-") if row.mape is None or row.p95 is None else (_percent(row.mape), _percent(row.p95))
        yield f"  {row.part:<24}{row.steps:>8,}{cells[0]:>9}{cells[1]:>9}"
    yield ""


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _number(value: float) -> str:
    return f"{value:.5g}"
