"""The step of one rank from that of a GPU that does everything alone, where nobody timed the rank itself.

What matrices, heads and cache weigh is divided exactly; a part of the dense time is not, for norms stay whole
and small matrices use a GPU worse (Amdahl's law, its serial share from kernel tables).
"""

from dataclasses import replace

from hwmodels.dense import DenseTable, SmoothRoofline
from hwmodels.gpu_step import GpuStep
from hwmodels.llm import Llm


def shared(
    step: GpuStep, llm: Llm, rank: Llm, weights: str, kv_cache_dtype: str, serial_share: float
) -> GpuStep:
    """`rank` is the part of `llm` that one GPU holds; launch and host time stay as they are."""

    def left(part: float) -> float:
        return serial_share + (1 - serial_share) * part

    read = _bytes(rank, weights) / _bytes(llm, weights)
    products = rank.active_linear_params / llm.active_linear_params
    return replace(
        step,
        dense=_dense(step.dense, left(read), left(products)),
        pair_ms=step.pair_ms * rank.attention_flops_per_pair / llm.attention_flops_per_pair,
        kv_token_ms=step.kv_token_ms
        * rank.kv_bytes_per_token(kv_cache_dtype)
        / llm.kv_bytes_per_token(kv_cache_dtype),
        sequence_ms=step.sequence_ms * left(rank.vocab_size / llm.vocab_size),
    )


def _bytes(llm: Llm, weights: str) -> float:
    return llm.dense_bytes(weights) + llm.expert_bytes(weights)


def _dense(dense: SmoothRoofline | DenseTable, read: float, products: float) -> SmoothRoofline | DenseTable:
    """A table does not tell reading from multiplying: their shares differ by the router alone."""
    if isinstance(dense, DenseTable):
        return replace(dense, times_ms=tuple(ms * products for ms in dense.times_ms))
    return replace(dense, weights_ms=dense.weights_ms * read, token_ms=dense.token_ms * products)
