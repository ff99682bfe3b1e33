"""One of several GPUs that share every layer, as the LLM that it alone holds: tensor parallelism.

Megatron's way, which vLLM goes: heads, columns of the MLP and rows of the vocabulary are dealt out, and what
stays whole on each rank is the hidden state with its norms and, in an MoE, the router.
"""

from dataclasses import replace

from e80sim.mistakes import UserError
from hwmodels.llm import Llm

MOST_RANKS = 64
DEALT = ("num_attention_heads", "intermediate_size")
"""Must divide by the number of ranks: `ModelConfig.verify_with_parallel_config` of vLLM, and its layers."""


def rank_of(llm: Llm, tensor_parallel: int) -> Llm:
    """The share of one rank, to whose costs every formula of `Llm` applies.

    With fewer KV heads than ranks each rank has a copy of one, as in vLLM's models: its KV cache then does
    not get smaller with more ranks. ValueError where vLLM could not deal out the heads.
    """
    if tensor_parallel == 1:
        return llm
    _check(llm, tensor_parallel)
    return replace(
        llm,
        num_attention_heads=llm.num_attention_heads // tensor_parallel,
        num_key_value_heads=max(1, llm.num_key_value_heads // tensor_parallel),
        intermediate_size=llm.intermediate_size // tensor_parallel,
        vocab_size=-(-llm.vocab_size // tensor_parallel),
    )


def widths_of(llm: Llm) -> list[int]:
    """The numbers of ranks, up to `MOST_RANKS`, that can share its layers."""
    return [width for width in range(1, MOST_RANKS + 1) if not _flaw(llm, width)]


def _check(llm: Llm, width: int) -> None:
    flaw = _flaw(llm, width)
    if flaw:
        able = ", ".join(map(str, widths_of(llm)))
        raise UserError(f"tensor_parallel {width} does not suit {llm.name}: {flaw}; choose from {able}")


def _flaw(llm: Llm, width: int) -> str:
    for name in DEALT:
        number = getattr(llm, name)
        if number % width:
            return f"its {number:,} ({name}) do not divide by it"
    kv_heads = llm.num_key_value_heads
    if kv_heads % width and width % kv_heads:
        return f"its {kv_heads} KV heads (num_key_value_heads) can neither be dealt out nor copied evenly"
    return ""
