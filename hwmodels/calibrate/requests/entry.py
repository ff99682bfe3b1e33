"""A fit to requests as changes of the values of an entry: of the catalogue's, or of one fitted to steps."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from pydantic import ValidationError

from e80sim.mistakes import UserError
from hwmodels.calibrate.entry_file import rounded, tile_values
from hwmodels.calibrate.requests.decoding import MIXED, Told
from hwmodels.calibrate.requests.fit import RequestFit
from hwmodels.dense import GemmTiles
from hwmodels.entry import first_error
from hwmodels.gpu_iteration import GpuIteration
from hwmodels.gpu_step import GpuStep
from hwmodels.llm import Llm
from hwmodels.spec import SCHEDULER
from hwmodels.value import Value

FACTORS: dict[str, tuple[str, ...]] = {
    "weights_factor": ("t_fixed_ms", "t_weights_ms"),
    "token_factor": ("ms_per_token",),
    "dense_factor": ("t_fixed_ms", "dense_scale"),
}
"""What is multiplied by each."""


class CatalogueLaw(NamedTuple):
    """Of an entry of the catalogue, as a base for what requests tell."""

    step: GpuStep
    weights: str
    section: dict[str, Any]
    """One of an entry's `fits`."""


def catalogue_law(extends: str, llm: Llm, weights: str | None, budget: int, tiles: GemmTiles) -> CatalogueLaw:
    """`tiles` replaces the entry's where it has any. Host time becomes part of the other terms.

    UserError where the entry has no law for the LLM.
    """
    try:
        spec = GpuIteration.model_validate({"preset": extends, "weights": weights, "t_host_ms": 0})
    except ValidationError as error:
        raise UserError(first_error(error)) from None
    entry = spec.entry()
    stored = spec.stored(llm, entry)
    fitted = entry.fit(llm.name, stored.weights, stored.kv_cache_dtype)
    step = spec.step(llm, budget)
    values = {} if fitted is None else {name: _plain(value) for name, value in fitted.values.items()}
    for name in sorted({name for names in FACTORS.values() for name in names} - set(values)):
        if name in entry.values:
            values[name] = _plain(entry.values[name])
    if tiles.tokens:
        step = replace(step, tiles=tiles)
        values |= tile_values(tiles)
    section: dict[str, Any] = {"llm": llm.name, "weights": stored.weights}
    section |= {"kv_cache_dtype": stored.kv_cache_dtype, "values": values}
    if fitted is not None and fitted.dense_ms_by_tokens is not None:
        section["dense_ms_by_tokens"] = dict(fitted.dense_ms_by_tokens)
    return CatalogueLaw(step, stored.weights, section)


def _plain(value: Value) -> dict[str, Any]:
    told = {"value": value.value, "source": value.source, "confidence": value.confidence}
    return told if value.low is None else told | {"low": value.low, "high": value.high}


def adjusted(section: dict[str, Any], fit: RequestFit) -> dict[str, Any]:
    """One of an entry's `fits`, its values as the requests have them."""
    values = {name: dict(value) for name, value in section["values"].items()}
    for told in fit.decoding.told:
        if told.name == MIXED:
            values[MIXED] = _value(told.value, told, _source(fit))
        for name in FACTORS.get(told.name, ()):
            if name in values:
                values[name] = _multiplied(values[name], told, fit)
    values["t_host_ms"] = {
        "value": 0,
        "source": f"in the other terms: {_source(fit)}",
        "confidence": "derived",
    }
    notes = [section["note"]] if "note" in section else []
    if fit.warnings:
        notes.append(f"Of the fit to requests: {'; '.join(fit.warnings)}.")
    return section | {"values": values} | ({"note": " ".join(notes)} if notes else {})


def around(fit: RequestFit, default_ahead: bool) -> dict[str, dict[str, Any]]:
    """Values of the host, as far as a GPU has them.

    Where requests cannot tell, the default says whether it schedules ahead.
    """
    first = fit.first_tokens
    if not first.front_end_ms:
        return {}
    ahead = default_ahead if first.async_scheduling is None else first.async_scheduling
    source = _source(fit)
    how = source if first.async_scheduling is not None else f"not told by the {source}: the default"
    values: dict[str, dict[str, Any]] = {
        "async_scheduling": {"value": ahead, "source": how, "confidence": "derived"}
    }
    for name, means in (("front_end_ms", first.front_end_ms), ("launch_ms", first.launch_ms)):
        if ahead in means:
            mean = means[ahead]
            value = max(0.0, mean.value)
            values[name] = _value(value, Told(name, value, max(0.0, mean.low), max(0.0, mean.high)), source)
    known = set(GpuIteration.model_fields) | SCHEDULER
    return {name: value for name, value in values.items() if name in known}


def _value(value: float, told: Told, source: str) -> dict[str, Any]:
    low, high = min(told.low, value), max(told.high, value)
    return {
        "value": rounded(value),
        "source": source,
        "confidence": "derived",
        "low": min(rounded(low), rounded(value)),
        "high": max(rounded(high), rounded(value)),
    }


def _multiplied(value: Mapping[str, Any], told: Told, fit: RequestFit) -> dict[str, Any]:
    """The range of the value that it had, or of the factor where it had none."""
    source = f"{told.value:.4g} times ({told.name}, {_source(fit)}) {value['value']:g}: {value['source']}"
    new = dict(value) | {
        "value": rounded(value["value"] * told.value),
        "source": source,
        "confidence": "derived",
    }
    ends = (value.get("low"), value.get("high"))
    low, high = (value["value"] if end is None else end for end in ends)
    factors = (told.value, told.value) if ends[0] is not None else (told.low, told.high)
    new["low"] = min(rounded(low * factors[0]), new["value"])
    new["high"] = max(rounded(high * factors[1]), new["value"])
    return new


def _source(fit: RequestFit) -> str:
    return (
        f"fit to {fit.decoding.answers:,} requests in {', '.join(fit.names)} (e80sim calibrate --requests),"
        f" error {100 * fit.decoding.error:.2f} %"
    )
