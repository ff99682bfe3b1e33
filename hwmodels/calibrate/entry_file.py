"""A calibration as a catalogue file that `hardware: {preset: ./file.yaml}` loads."""

from collections.abc import Iterator, Mapping
from math import floor, log10
from typing import Any

import yaml

from e80sim.plain_yaml import Dumper
from hwmodels.calibrate.fit import Calibration, Errors
from hwmodels.calibrate.intervals import FittedValue
from hwmodels.calibrate.step_table import StepTable
from hwmodels.dense import DenseTable, GemmTiles
from hwmodels.entry import load_entry

DIGITS = 6
WHOLE = frozenset({"prefill_tile_tokens"})
DEFAULT_BUDGET = 8192


STATED = "stated when the law was fitted"
NO_PADDING = "its steps were fitted without padding"
MEMORY = ("memory_gb", "kv_pool_tokens")
"""No step time tells of it, and without it nobody knows how many sequences fit."""


def entry_yaml(
    calibration: Calibration,
    title: str,
    *,
    extends: str,
    host_ms: float | None,
    memory: Mapping[str, float] | None = None,
    tensor_parallel: int = 1,
) -> str:
    """As `entry_of`, as text."""
    return as_yaml(
        entry_of(
            calibration,
            title,
            extends=extends,
            host_ms=host_ms,
            memory=memory,
            tensor_parallel=tensor_parallel,
        )
    )


def entry_of(
    calibration: Calibration,
    title: str,
    *,
    extends: str,
    host_ms: float | None,
    memory: Mapping[str, float] | None = None,
    tensor_parallel: int = 1,
) -> dict[str, Any]:
    """`extends` is the entry with everything that no step time tells.

    Its host time stays where `host_ms` is None. What `memory` states of `MEMORY` stands in place of its own.
    The steps are those of one of `tensor_parallel` GPUs, without what they tell each other.
    """
    entry = entry_head(title, reach(calibration.table), extends, memory or {})
    card = entry["values"]
    if tensor_parallel > 1:
        entry["settings"] = {"tensor_parallel": tensor_parallel}
    dense = calibration.step.dense
    if isinstance(dense, DenseTable) and dense.tokens[-1] < DEFAULT_BUDGET:
        card["max_num_batched_tokens"] = _longest_step(calibration, dense.tokens[-1])
    if not card:
        del entry["values"]
    fit = fit_section(calibration, _source(calibration))
    if not calibration.tiles.tokens and "gemm_tile_tokens" in load_entry(extends).values:
        fit["values"]["gemm_tile_tokens"] = {"value": 0, "source": NO_PADDING, "confidence": "derived"}
    if host_ms is not None:
        source = f"{STATED}: host time between steps that its times leave out"
        fit["values"]["t_host_ms"] = {"value": host_ms, "source": source, "confidence": "assumed"}
    if tensor_parallel > 1:
        fit = {"tensor_parallel": tensor_parallel} | fit
    entry["fits"] = [fit]
    return entry


def entry_head(title: str, note: str | None, extends: str, memory: Mapping[str, float]) -> dict[str, Any]:
    """Everything but the fits, and what `memory` states as its values."""
    entry: dict[str, Any] = {"kind": "gpu_iteration", "title": title}
    if note is not None:
        entry["note"] = note
    entry["extends"] = extends
    if memory and "kv_pool_tokens" not in memory:  # else the other card's pool, if it has one, would count
        entry["without"] = ["kv_pool_tokens"]
    entry["values"] = {
        name: {"value": value, "source": STATED, "confidence": "assumed"} for name, value in memory.items()
    }
    return entry


def as_yaml(entry: dict[str, Any]) -> str:
    return yaml.dump(entry, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=110)


def fit_section(calibration: Calibration, source: str) -> dict[str, Any]:
    """One of an entry's `fits`."""
    fit: dict[str, Any] = {"llm": calibration.llm.name, "weights": calibration.weights}
    if calibration.warnings:
        fit["note"] = "Of the fit: " + "; ".join(calibration.warnings) + "."
    fit["values"] = dict(_values(calibration, source))
    fit["values"] |= tile_values(calibration.tiles)
    dense = calibration.step.dense
    if isinstance(dense, DenseTable):
        fit["dense_ms_by_tokens"] = {
            tokens: rounded(ms) for tokens, ms in zip(dense.tokens, dense.times_ms, strict=True)
        }
    return fit


def tile_values(tiles: GemmTiles) -> dict[str, dict[str, Any]]:
    """Of a fit with padding; where there is none, nothing is written."""
    if not tiles.tokens:
        return {}
    source = f"{STATED}, which padded its steps to whole tiles"
    return {
        name: {"value": tokens, "source": source, "confidence": "assumed"}
        for name, tokens in (
            ("gemm_tile_tokens", tiles.tokens),
            ("gemm_tile_above_tokens", tiles.above_tokens),
        )
    }


def reach(table: StepTable) -> str:
    prompt, decodes, context = (
        int(most.max()) for most in (table.new_tokens, table.decodes, table.longest_context)
    )
    return (
        f"Fitted to steps of up to {prompt} prompt tokens, {decodes} decodes and contexts of {context}"
        " tokens; beyond them it extrapolates."
    )


def _values(calibration: Calibration, source: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for estimate in calibration.estimates:
        if estimate.state != "unseen" and not estimate.name.startswith("dense_ms["):
            yield estimate.name, _value(estimate, source)
    if isinstance(calibration.step.dense, DenseTable):
        if "t_fixed_ms" not in calibration.form.names:
            yield (
                "t_fixed_ms",
                {"value": 0, "source": f"in the dense times: {source}", "confidence": "derived"},
            )
        error = rounded(calibration.usual_error.mape or 0.0)
        scale = {"value": 1, "source": f"{source}; the range is its mean error", "confidence": "derived"}
        yield "dense_scale", scale | {"low": rounded(1 - error), "high": rounded(1 + error)}


def _value(estimate: FittedValue, source: str) -> dict[str, Any]:
    whole = estimate.name in WHOLE
    value = round(estimate.value) if whole else rounded(estimate.value)
    body: dict[str, Any] = {"value": value, "source": source, "confidence": "derived"}
    if estimate.alone is not None:
        low, high = (round(end) if whole else rounded(end) for end in estimate.alone)
        body |= {"low": min(low, value), "high": max(high, value)}
    return body


def _source(calibration: Calibration) -> str:
    held = "held-out " if calibration.held_out else ""
    errors = [_error(calibration.usual_error), _error(calibration.error_of("context up to 4k"))]
    return (
        f"fit of {calibration.table.rows} steps in {calibration.table.name} (e80sim calibrate, form"
        f" {calibration.form.name}), {held}error {errors[0]}, {errors[1]} up to 4k of context"
    )


def _error(errors: Errors) -> str:
    return "unknown" if errors.mape is None else f"{100 * errors.mape:.1f} %"


def _longest_step(calibration: Calibration, tokens: int) -> dict[str, Any]:
    source = f"the longest step in {calibration.table.name}: dense times beyond it were not measured"
    return {"value": tokens, "source": source, "confidence": "derived"}


def rounded(number: float) -> float:
    return round(float(number), DIGITS - 1 - floor(log10(abs(number)))) if number else 0.0
