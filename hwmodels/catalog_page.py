"""What the catalogue says about an entry, as plain data."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from pydantic import TypeAdapter, ValidationError

from e80sim.choices import loaded
from e80sim.mistakes import UserError
from hwmodels.entry import LINK, LLM, USUAL_KV, Entry, HeldTo, first_error, load_entry, names
from hwmodels.hardware import HARDWARE, Hardware
from hwmodels.llm import KV_CACHE_DTYPES, Llm, load_llm
from hwmodels.node_hardware import PS_PER_MS, NodeHardware
from hwmodels.parallel.collectives import COLLECTIVES
from hwmodels.parallel.link import load_link
from hwmodels.value import Value

DECODES = ((1, 1024), (32, 1024), (128, 1024), (128, 8192))
"""Illustrative decode batches: (sequences, context of each)."""
PREFILLS = (512, 2048, 8192)
STEP_TOKENS = (1, 4, 8, 16, 64)
WIDTHS = (2, 4, 8, 16)
EXCHANGED_BYTES = (2**14, 2**17, 2**20, 2**23, 2**26)

Page = dict[str, Any]


def index() -> list[Page]:
    """The LLMs first, then each kind of hardware, then what connects GPUs."""
    kinds = (LLM, *HARDWARE, LINK)
    entries = sorted(map(load_entry, names()), key=lambda entry: kinds.index(entry.kind))
    return [{"name": entry.name, "kind": entry.kind, "title": entry.title} for entry in entries]


def page(name: str) -> Page:
    """Everything about one entry; ValueError names the nearest one where there is none."""
    entry = load_entry(name, LLM, *HARDWARE, LINK)
    fits = [
        {
            "llm": fit.llm,
            "weights": fit.weights,
            "kv_cache_dtype": fit.kv_cache_dtype,
            **({} if fit.tensor_parallel == 1 else {"tensor_parallel": fit.tensor_parallel}),
            "note": fit.note,
            "held_to": _held(fit.held_to),
            "values": _rows(fit.values.values()),
            "dense_ms_by_tokens": fit.dense_ms_by_tokens,
        }
        for fit in entry.fits
    ]
    return {
        "name": entry.name,
        "kind": entry.kind,
        "title": entry.title,
        "note": entry.note,
        "held_to": _held(entry.held_to),
        "settings": entry.settings.model_dump(exclude_none=True),
        "values": _rows(entry.values.values()),
        "fits": fits,
        "derived": _derived(name, entry),
        **({"link": entry.link} if entry.link else {}),
    }


def _derived(name: str, entry: Entry) -> list[Page]:
    if entry.kind == LLM:
        return _llm_costs(load_llm(name))
    return _exchanges(name, entry) if entry.kind == LINK else list(_step_times(name, entry))


def _exchanges(name: str, entry: Entry) -> list[Page]:
    """Of each collective and number of GPUs: what it takes, and whether somebody has measured that."""
    link, _, _ = load_link(name)
    measured = {(times.collective, times.gpus): times.source for times in entry.collectives}
    sizes = np.array(EXCHANGED_BYTES, dtype=np.float64)
    return [
        {
            "collective": collective,
            "gpus": gpus,
            "source": measured.get((collective, gpus)),
            "us": dict(zip(EXCHANGED_BYTES, (1e3 * link.ms(collective, gpus, sizes)).tolist(), strict=True)),
        }
        for collective in COLLECTIVES
        for gpus in WIDTHS
    ]


def _held(held: HeldTo | None) -> Page | None:
    return None if held is None else held.model_dump()


def _rows(values: Iterable[Value]) -> list[Page]:
    return [_row(value) for value in values]


def _row(value: Value) -> Page:
    return {
        "name": value.name,
        "value": value.value,
        "unit": value.unit,
        "confidence": value.confidence,
        "low": value.low,
        "high": value.high,
        "source": value.source,
    }


def _llm_costs(llm: Llm) -> list[Page]:
    return [
        {
            "weights": weights,
            "resident_gb": llm.resident_bytes(weights) / 1e9,
            "kv_bytes_per_token": llm.kv_bytes_per_token(),
            "kv_bytes_by_dtype": {dtype: llm.kv_bytes_per_token(dtype) for dtype in KV_CACHE_DTYPES},
            "active_linear_params": llm.active_linear_params,
            "head_params": llm.head_params,
            "attention_flops_per_pair": llm.attention_flops_per_pair,
            "step_gb": {tokens: llm.step_bytes(weights, tokens) / 1e9 for tokens in STEP_TOKENS},
        }
        for weights in llm.weights
    ]


def _step_times(name: str, entry: Entry) -> Iterator[Page]:
    """A row per LLM and weight precision that the entry can run, or the reason why it cannot."""
    for llm, stated in _combinations(entry):
        row: Page = {"llm": llm.name, "weights": None, "kv_cache_dtype": None} | stated
        try:
            yield row | _times(_build(name, llm, stated))
        except ValueError as error:
            yield row | {"refused": str(error)}


def _combinations(entry: Entry) -> Iterator[tuple[Llm, dict[str, Any]]]:
    """The LLMs that it runs, and what a scenario would state of their precision."""
    for llm in map(load_llm, names(LLM)):
        if not entry.runs(llm.name):
            continue
        for fit in entry.fits:
            if fit.llm == llm.name:
                one_of = {} if fit.tensor_parallel == 1 else {"tensor_parallel": fit.tensor_parallel}
                yield llm, {"weights": fit.weights, "kv_cache_dtype": fit.kv_cache_dtype, **one_of}
        if entry.fits:
            continue
        if "weights" in loaded(HARDWARE[entry.kind]).model_fields:
            kept = entry.settings.kv_cache_dtype or USUAL_KV
            yield from ((llm, {"weights": weights, "kv_cache_dtype": kept}) for weights in llm.weights)
        else:
            yield llm, {}


def _build(name: str, llm: Llm, stated: dict[str, Any]) -> NodeHardware:
    raw = {"preset": name} | stated
    try:
        spec = TypeAdapter[Any](Hardware).validate_python(raw)
    except ValidationError as error:
        raise UserError(first_error(error)) from None
    node: NodeHardware = spec.build(llm)
    return node


def _times(node: NodeHardware) -> Page:
    """In ms; None where the batch has more sequences or tokens than the node can hold."""
    return {
        "kv_pool_tokens": node.kv_pool_tokens,
        "max_num_seqs": node.max_num_seqs,
        "max_num_batched_tokens": node.max_num_batched_tokens,
        "request_overhead_ms": node.request_overhead_ps / PS_PER_MS,
        "decode_ms": {f"{batch}x{context}": _decode_ms(node, batch, context) for batch, context in DECODES},
        "prefill_ms": {str(prompt): _prefill_ms(node, prompt) for prompt in PREFILLS},
    }


def _decode_ms(node: NodeHardware, batch: int, context: int) -> float | None:
    if batch > node.max_num_seqs or batch * context > node.kv_pool_tokens:
        return None
    return node.step_time.step_ps((), batch, batch * context) / PS_PER_MS


def _prefill_ms(node: NodeHardware, prompt: int) -> float | None:
    """All steps of a lone prompt, cut into chunks of the node's token budget."""
    if prompt > node.kv_pool_tokens:
        return None
    budget = node.max_num_batched_tokens
    chunks = [(min(budget, prompt - done), done) for done in range(0, prompt, budget)]
    return sum(node.step_time.step_ps((chunk,), 0, 0) for chunk in chunks) / PS_PER_MS
