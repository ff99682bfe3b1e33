"""What an LLM's architecture costs: bytes, FLOPs and KV per token, from the integers of its configuration."""

from dataclasses import dataclass
from typing import NamedTuple

from e80sim.mistakes import UserError
from hwmodels.entry import LLM, USUAL_KV, load_entry, nearest


class WeightPrecision(NamedTuple):
    """Stored bits per weight inside the decoder layers; embedding and head stay in bf16."""

    attention_bits: float
    mlp_bits: float
    compute: str
    """The number format of its matrix products, whose peak counts."""


PRECISIONS = {
    "bf16": WeightPrecision(16, 16, "bf16"),
    "fp8": WeightPrecision(8, 8, "fp8"),
    # OCP microscaling: 32 four-bit values share one eight-bit scale; vLLM multiplies them in bf16 on Hopper.
    "mxfp4": WeightPrecision(16, 4.25, "bf16"),
    # AWQ, GPTQ: 128 four-bit values share a 16-bit scale and a four-bit zero; vLLM multiplies them in bf16.
    "int4": WeightPrecision(4.15625, 4.15625, "bf16"),
}
BF16_BYTES = 2


class KvPrecision(NamedTuple):
    """Stored bits per key and value, and bytes of the scale that those of one token and head share."""

    bits: int
    scale_bytes: int


KV_CACHE_DTYPES = {
    "bfloat16": KvPrecision(16, 0),
    "fp8": KvPrecision(8, 0),
    "int8_per_token_head": KvPrecision(8, 4),
    "int4_per_token_head": KvPrecision(4, 4),
}
"""By vLLM's names; the scales are those of its Triton kernels, 32 bits each."""


@dataclass(frozen=True, slots=True)
class Llm:
    """Field names are those of the public `config.json`, where it has one."""

    name: str
    title: str
    weights: tuple[str, ...]
    """The precisions it comes in, the usual one first."""
    num_hidden_layers: int
    hidden_size: int
    intermediate_size: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    vocab_size: int
    max_position_embeddings: int
    num_local_experts: int = 1
    num_experts_per_tok: int = 1
    expert_bias: int = 0
    """1 where the experts' matrices have biases (kept in bf16)."""
    sliding_window_tokens: int = 0
    sliding_window_layers: int = 0

    def precision(self, weights: str | None = None) -> str:
        """`weights` if it comes in them, its usual ones when None."""
        if weights is None:
            return self.weights[0]
        if weights not in self.weights:
            raise UserError(nearest(f"weights of {self.name} in", weights, self.weights))
        return weights

    # Parameters

    @property
    def attention_params(self) -> int:
        query = self.num_attention_heads * self.head_dim
        key_value = 2 * self.num_key_value_heads * self.head_dim
        return self.num_hidden_layers * self.hidden_size * (2 * query + key_value)

    @property
    def router_params(self) -> int:
        return self.num_hidden_layers * self.hidden_size * self.num_local_experts if self.is_moe else 0

    @property
    def expert_params(self) -> int:
        """The gated MLPs of all experts (of the one MLP in a dense LLM)."""
        per_expert = 3 * self.hidden_size * self.intermediate_size
        return self.num_hidden_layers * self.num_local_experts * per_expert

    @property
    def head_params(self) -> int:
        return self.vocab_size * self.hidden_size

    @property
    def active_linear_params(self) -> int:
        """Weights in the decoder layers that one token is multiplied with; the head is extra."""
        active = self.expert_params * self.num_experts_per_tok // self.num_local_experts
        return self.attention_params + self.router_params + active

    # Bytes

    def dense_bytes(self, weights: str) -> float:
        """Read in every step whatever the batch: attention, router and head."""
        attention = self.attention_params * PRECISIONS[weights].attention_bits / 8
        return attention + (self.router_params + self.head_params) * BF16_BYTES

    def expert_bytes(self, weights: str) -> float:
        """Read in a step that touches all experts."""
        biases = self.expert_bias * (2 * self.intermediate_size + self.hidden_size) * BF16_BYTES
        biases *= self.num_hidden_layers * self.num_local_experts
        return self.expert_params * PRECISIONS[weights].mlp_bits / 8 + biases

    def step_bytes(self, weights: str, tokens: int) -> float:
        """Weight bytes that a step over `tokens` tokens reads."""
        return self.dense_bytes(weights) + self.expert_bytes(weights) * self.expert_fraction(tokens)

    def dense_share(self, weights: str) -> float:
        """The part of all weight bytes that every step reads."""
        dense, experts = self.dense_bytes(weights), self.expert_bytes(weights)
        return dense / (dense + experts) if self.is_moe else 1.0

    def resident_bytes(self, weights: str) -> float:
        """In memory: what steps read, and the embedding table, of which they read a row per token."""
        return self.dense_bytes(weights) + self.expert_bytes(weights) + self.head_params * BF16_BYTES

    def kv_bytes_per_token(self, kv_cache_dtype: str = USUAL_KV) -> int:
        """As allocated over all layers, keys and values, with their scales."""
        stored = KV_CACHE_DTYPES[kv_cache_dtype]
        per_head = self.head_dim * stored.bits // 8 + stored.scale_bytes
        return 2 * self.num_hidden_layers * self.num_key_value_heads * per_head

    # Work

    @property
    def attention_flops_per_pair(self) -> int:
        """One new token looking at one token, over all layers: score and weighted sum."""
        return 4 * self.num_attention_heads * self.head_dim * self.num_hidden_layers

    @property
    def is_moe(self) -> bool:
        return self.num_local_experts > 1

    def expert_fraction(self, tokens: int) -> float:
        """Expected part of the experts that `tokens` tokens touch, routing uniformly: an upper bound."""
        idle = 1 - self.num_experts_per_tok / self.num_local_experts
        return float(1 - idle**tokens)

    @property
    def window_share(self) -> float:
        """The part of the layers that look back over the sliding window only."""
        return self.sliding_window_layers / self.num_hidden_layers


def load_llm(name: str) -> Llm:
    """The LLM of this catalogue name, or of the file at this path."""
    entry = load_entry(name, LLM)
    facts = {value.name: int(value.value) for value in entry.values.values()}
    try:
        return Llm(name=entry.name, title=entry.title, weights=entry.weights, **facts)
    except TypeError as error:  # a missing or unknown fact in a user's own file
        raise UserError(f"LLM {name}: {str(error).removeprefix('Llm.__init__() ')}") from None
