"""A law for one model on one GPU: fitted to its kernels, or derived by bytes where a precision has none."""

from itertools import product
from typing import Any, NamedTuple

import numpy as np

from e80sim.mistakes import UserError
from hwmodels.aiconfigurator.kernels import KV_CACHES, USUAL, WEIGHTS, Kernels, NoDataError, TableKernels
from hwmodels.aiconfigurator.package import System, engine_version, release
from hwmodels.aiconfigurator.steps import steps
from hwmodels.calibrate.entry_file import fit_section, rounded
from hwmodels.calibrate.fit import Calibration, calibrate
from hwmodels.calibrate.forms import predicted_ms
from hwmodels.entry import nearest
from hwmodels.llm import KV_CACHE_DTYPES, Llm

ENGINE_SHARE = 0.9
"""Of the memory, as vLLM takes it: no step holds more KV tokens than are left of it."""
MOST_UNPACKING = 1.5
"""Times as long as in bf16, where weights are unpacked before they are multiplied; nobody timed it here."""


class Node(NamedTuple):
    """What a law is asked for."""

    system: System
    model: str
    llm: Llm
    width: int
    """GPUs that share each layer."""


class Errors(NamedTuple):
    """Of the fitted law on the composed steps, as shares of their times."""

    steps: int
    median: float
    p95: float
    most: float
    held_out: float
    """The mean on steps that a first fit did not see."""


class Law(NamedTuple):
    section: dict[str, Any]
    """One of an entry's `fits`."""
    calibration: Calibration
    errors: Errors
    lacking: int
    """Steps that the tables have nothing for."""
    derived: str | None
    """What came from bytes, and of which kernels."""


def law(node: Node, weights: str, kv_cache_dtype: str, form: str = "kernels") -> Law:
    """UserError where the package has no kernels that the law could be derived from."""
    node.llm.precision(weights)
    if kv_cache_dtype not in KV_CACHE_DTYPES:
        raise UserError(nearest("KV cache in", kv_cache_dtype, KV_CACHE_DTYPES))
    base, kv_base, kernels = _nearest(node, weights, kv_cache_dtype)
    return fitted(node, kernels, base, kv_base, weights, kv_cache_dtype, form)


def fitted(
    node: Node, kernels: Kernels, base: str, kv_base: str, weights: str, kv_cache_dtype: str, form: str
) -> Law:
    """`kernels` are those of weights in `base` and of a cache in `kv_base`."""
    composed = steps(
        f"{node.system.name} kernels",
        kernels,
        most_kv_tokens=_pool(node, base, kv_base),
        longest=node.llm.max_position_embeddings,
    )
    table = composed.table
    # By bytes only the part of the roofline that reads weights changes, so there has to be one.
    calibration = calibrate(
        table,
        node.llm,
        weights=base if base in node.llm.weights else None,
        form=form if base == weights else "r6b",
    )
    errors = _errors(calibration)
    section = fit_section(calibration, _source(node, calibration, errors))
    # Sums of kernels cannot tell what a KV token costs in a mixed step: the engine's value counts.
    section["values"].pop("mixed_kv_multiplier", None)
    section["weights"] = weights
    section = _with_cache(section, kv_cache_dtype)
    derived = []
    if base != weights:
        derived.append(f"weights in {weights} from those in {base}")
        _fewer_weight_bytes(section, node, base, weights)
    if kv_base != kv_cache_dtype:
        derived.append(f"a KV cache in {kv_cache_dtype} from one in {kv_base}")
        _fewer_kv_bytes(section, node, kv_base, kv_cache_dtype)
    return Law(section, calibration, errors, composed.lacking, " and ".join(derived) or None)


def _nearest(node: Node, weights: str, kv_cache_dtype: str) -> tuple[str, str, Kernels]:
    """Kernels in the precisions asked for, else in those that the law can be derived from."""
    refused = ""
    for base, kv_base in product(dict.fromkeys((weights, "bf16")), dict.fromkeys((kv_cache_dtype, USUAL))):
        if base in WEIGHTS and kv_base in KV_CACHES:
            try:
                return (
                    base,
                    kv_base,
                    TableKernels(node.system.name, node.model, node.llm, base, kv_base, node.width),
                )
            except NoDataError as error:
                refused = refused or str(error)
    raise UserError(f"aiconfigurator-core has no kernels for {node.model} on {node.system.name}: {refused}")


def _pool(node: Node, weights: str, kv_cache_dtype: str) -> float:
    left = ENGINE_SHARE * node.system.memory_gb * node.width * 1e9 - node.llm.resident_bytes(weights)
    tokens = left / node.llm.kv_bytes_per_token(kv_cache_dtype)
    if tokens < 1:
        raise UserError(
            f"{node.llm.name} in {weights} takes {node.llm.resident_bytes(weights) / 1e9:.1f} GB, more than "
            f"{node.width} x {node.system.name} have: raise --tp, or choose smaller --weights"
        )
    return tokens


def _errors(calibration: Calibration) -> Errors:
    table = calibration.table
    absolute = np.abs(predicted_ms(calibration.step, table, calibration.llm) / table.step_ms - 1)
    median, p95, most = np.percentile(absolute, [50, 95, 100])
    held_out = calibration.held_out[0].mape or 0.0
    return Errors(table.rows, float(median), float(p95), float(most), held_out)


def _source(node: Node, calibration: Calibration, errors: Errors) -> str:
    width = "" if node.width == 1 else f", tensor-parallel width {node.width}"
    return (
        f"fit of {errors.steps} steps of {node.model} composed from aiconfigurator-core {release()} kernels "
        f"(vLLM {engine_version(node.system.name)} on {node.system.name}{width}; form "
        f"{calibration.form.name}); error median {100 * errors.median:.1f} %, p95 {100 * errors.p95:.1f} %, "
        f"max {100 * errors.most:.1f} %, mean on held-out steps {100 * errors.held_out:.1f} %"
    )


def _with_cache(section: dict[str, Any], kv_cache_dtype: str) -> dict[str, Any]:
    return {"llm": section["llm"], "weights": section["weights"], "kv_cache_dtype": kv_cache_dtype} | {
        key: value for key, value in section.items() if key not in {"llm", "weights"}
    }


# By bytes: what is not moved saves its time at the peak of the memory. At least the measured time of as many
# bytes is left, and at most nothing is saved.


def _fewer_weight_bytes(section: dict[str, Any], node: Node, base: str, weights: str) -> None:
    before, after = (_step_bytes(node, precision) for precision in (base, weights))
    values = section["values"]
    saved_ms = (before - after) / (node.system.bandwidth_gb_per_s * 1e6)
    for name in ("t_weights_ms", "t_fixed_ms"):
        if name in values:
            told = values[name]
            told_ms = told["value"]
            told["value"] = rounded(max(told_ms - saved_ms, told_ms * after / before))
            saved_ms = max(0.0, saved_ms - (told_ms - told["value"]))
            _state_derived(told, told_ms, after / before, f"weights in {weights}", base)
    token = values.get("ms_per_token")
    if token is not None:
        token |= {"confidence": "assumed", "high": rounded(token["value"] * MOST_UNPACKING)}
        token["source"] = (
            f"as in {base}, in which it is multiplied; unpacking untimed. From the {token['source']}"
        )


def _fewer_kv_bytes(section: dict[str, Any], node: Node, kv_base: str, kv_cache_dtype: str) -> None:
    before, after = (node.llm.kv_bytes_per_token(kept) for kept in (kv_base, kv_cache_dtype))
    told = section["values"]["ms_per_kv_token"]
    told_ms = told["value"]
    saved_ms = (before - after) / node.width / (node.system.bandwidth_gb_per_s * 1e6)
    told["value"] = rounded(max(told_ms - saved_ms, told_ms * after / before))
    _state_derived(told, told_ms, after / before, f"a KV cache in {kv_cache_dtype}", kv_base)


def _step_bytes(node: Node, weights: str) -> float:
    return (node.llm.dense_bytes(weights) + node.llm.expert_bytes(weights)) / node.width


def _state_derived(told: dict[str, Any], before_ms: float, share: float, what: str, base: str) -> None:
    told["low"], told["high"] = rounded(before_ms * share), before_ms
    told["source"] = (
        f"no kernels timed: {what}, derived from {base} by the bytes not moved, at the memory's peak; the "
        f"range ends at the timed pace for each byte, and at no gain. From the {told['source']}"
    )
