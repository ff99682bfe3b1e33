"""Ranks that keep step: each has attention and cache of its own, and all of them share the experts of an MoE.

vLLM's `--data-parallel-size` with `--enable-expert-parallel`. In every layer each token's hidden state goes
to the ranks of its experts and back, so that a step takes as long as that of the slowest rank. Routing is
taken for even, which real routing is not: a rank with popular experts would hold up all others.
"""

from dataclasses import dataclass, replace

import numpy as np

from e80sim.mistakes import UserError
from hwmodels.dense import FloatArray, SmoothRoofline
from hwmodels.llm import BF16_BYTES, Llm
from hwmodels.parallel.link import Link


@dataclass(frozen=True, slots=True)
class ExpertRanks:
    """Of `llm`, the whole one."""

    llm: Llm
    ranks: int
    link: Link
    experts: SmoothRoofline
    """What the experts of one rank take, for the tokens of all."""

    def exchange_ms(self, tokens: FloatArray) -> FloatArray:
        """So many tokens of one rank, to their experts and back."""
        each = self.llm.num_experts_per_tok * self.llm.hidden_size * BF16_BYTES
        both_ways = 2 * self.llm.num_hidden_layers
        return both_ways * self.link.ms("all_to_all", self.ranks, tokens * each)

    def shared_ms(self, most_tokens: int) -> FloatArray:
        """Of the experts, by the tokens of all ranks together from 0 on."""
        return self.experts.ms(np.arange(most_tokens + 1, dtype=np.float64), self.llm)


def share_of(llm: Llm, ranks: int) -> float:
    """The part of the experts on the rank that has most of them."""
    return -(-llm.num_local_experts // ranks) / llm.num_local_experts


def check_ranks(llm: Llm, data_parallel: int, tensor_parallel: int) -> None:
    """ValueError where there is nothing that ranks could share, or no law of how they do."""
    asked = f"data_parallel {data_parallel} does not suit {llm.name}"
    if not llm.is_moe:
        raise UserError(f"{asked}: it has no experts to share, so state nodes: {data_parallel} instead")
    if data_parallel > llm.num_local_experts:
        raise UserError(f"{asked}: it has {llm.num_local_experts} experts, and each rank needs one")
    if tensor_parallel > 1:
        raise UserError(
            f"data_parallel {data_parallel} goes with tensor_parallel 1 alone, not {tensor_parallel}"
        )


def memory_of(llm: Llm, ranks: int) -> Llm:
    """What one rank keeps: all but the experts of others. (Its router is a few megabytes too small.)"""
    return llm if ranks == 1 else replace(llm, num_local_experts=-(-llm.num_local_experts // ranks))


def split(dense: SmoothRoofline, llm: Llm, ranks: int) -> tuple[SmoothRoofline, SmoothRoofline]:
    """A GPU's roofline as that of attention, which each rank has, and that of one rank's experts."""
    experts = llm.expert_params * llm.num_experts_per_tok / llm.num_local_experts / llm.active_linear_params
    share = share_of(llm, ranks)
    return (
        replace(
            dense,
            weights_ms=dense.weights_ms * dense.dense_share,
            dense_share=1.0,
            token_ms=dense.token_ms * (1 - experts),
        ),
        replace(
            dense,
            weights_ms=dense.weights_ms * (1 - dense.dense_share) * share,
            dense_share=0.0,
            token_ms=dense.token_ms * experts * share,
        ),
    )
