"""Which steps are asked of the kernel tables, as a table that a law can be fitted to."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from hwmodels.aiconfigurator.kernels import Kernels, NoDataError, Step
from hwmodels.calibrate.step_table import StepTable

TOKENS = tuple(
    sorted(
        {1, 2, 4, 8, 16, 17, 32, 33, 48, 64, 65, 96, 128, 129, 192, 256, 257, 384}
        | {edge + beyond for edge in range(512, 4097, 256) for beyond in (0, 1)}
        | {6144, 8192, 8193, 12_288, 16_384}
    )
)
"""Of one prompt: on both sides of where matrix kernels change their tiles, since times jump there."""
PROMPT_BATCHES = (2, 4, 8, 16, 32)
PROMPT_LENGTHS = (16, 64, 128, 256, 512, 1024, 2048, 4096, 8192)
CHUNKS = (64, 256, 512, 1024, 2048, 4096)
PASTS = (1024, 4096, 8192, 16_384, 32_768)
DECODES = (1, 2, 4, 8, 16, 32, 64, 96, 128, 192, 256, 384, 512)
CONTEXTS = (128, 512, 1024, 2048, 4096, 8192, 16_384, 32_768)
MIXED = tuple(
    (new, past, decodes, context)
    for new in (128, 500, 512, 1024, 2048, 8000)
    for past in (0, 2048, 8192)
    for decodes in (8, 32, 128)
    for context in (512, 2048, 8192)
)
LONGEST_STEP = 16_384


class _Row(NamedTuple):
    step: Step
    decodes: int
    context: int
    prompts: int
    new: int
    past: int


class Steps(NamedTuple):
    table: StepTable
    lacking: int
    """Steps for which the tables hold nothing."""


def steps(name: str, kernels: Kernels, *, most_kv_tokens: float, longest: int) -> Steps:
    """All steps of sequences up to `longest` tokens whose KV fits in `most_kv_tokens`."""
    rows: list[_Row] = []
    lacking = 0
    for decodes, context, prompts, new, past in _shapes(most_kv_tokens, longest):
        try:
            if not prompts:
                step = kernels.decodes(decodes, context)
            elif not decodes:
                step = kernels.prompts(prompts, new, past)
            else:
                step = kernels.mixed(new, past, decodes, context)
        except NoDataError:
            lacking += 1
        else:
            rows.append(_Row(step, decodes, context, prompts, new, past))
    return Steps(_table(name, rows), lacking)


def _shapes(most_kv_tokens: float, longest: int) -> Iterator[tuple[int, int, int, int, int]]:
    """Decodes, the context of each; prompts, new and cached tokens of each."""
    every = [
        *((0, 0, 1, new, 0) for new in TOKENS),
        *((0, 0, prompts, new, 0) for prompts in PROMPT_BATCHES for new in PROMPT_LENGTHS),
        *((0, 0, 1, new, past) for new in CHUNKS for past in PASTS),
        *((decodes, context, 0, 0, 0) for decodes in DECODES for context in CONTEXTS),
        *((decodes, context, 1, new, past) for new, past, decodes, context in MIXED),
    ]
    for decodes, context, prompts, new, past in every:
        kv_tokens = decodes * context + prompts * (new + past)
        fits = prompts * new + decodes <= LONGEST_STEP and max(context + 1, new + past) <= longest
        if fits and kv_tokens <= most_kv_tokens:
            yield decodes, context, prompts, new, past


def _table(name: str, rows: list[_Row]) -> StepTable:
    def column(values: Iterator[float]) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
        return np.fromiter(values, np.float64, len(rows))

    prompts = column(row.prompts for row in rows)
    with_prompts = np.flatnonzero(prompts)
    return StepTable(
        name=name,
        step_ms=column(row.step.ms for row in rows),
        decodes=column(row.decodes for row in rows),
        kv_tokens=column(row.decodes * row.context for row in rows),
        dense_ms=column(row.step.dense_ms for row in rows),
        chunk_step=with_prompts,
        chunk_new=column(row.new for row in rows)[with_prompts],
        chunk_past=column(row.past for row in rows)[with_prompts],
        chunk_count=prompts[with_prompts],
    )
