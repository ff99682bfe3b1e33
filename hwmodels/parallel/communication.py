"""What the ranks of a tensor-parallel node tell each other in a step.

Two all-reduces a layer, behind attention and MLP, and one of the embedding, each of a hidden state per token;
then the logits of each sequence are gathered. None of it overlaps with computing, as in vLLM's default.
"""

from dataclasses import dataclass

import numpy as np

from hwmodels.dense import FloatArray
from hwmodels.llm import BF16_BYTES, Llm
from hwmodels.parallel.link import Link

SEQUENCES = 256
"""Between one and so many the price of gathering a sequence's logits is taken for linear."""


@dataclass(frozen=True, slots=True)
class Communication:
    """Of `gpus` ranks that share each layer of `llm`, the whole one."""

    llm: Llm
    gpus: int
    link: Link

    def step_ms(self, tokens: FloatArray) -> FloatArray:
        """Of steps with so many tokens, apart from what each sequence adds."""
        sums = 2 * self.llm.num_hidden_layers + 1
        sizes = tokens * self.llm.hidden_size * BF16_BYTES
        return sums * self.link.ms("all_reduce", self.gpus, sizes) + self._gather_ms()[0]

    @property
    def sequence_ms(self) -> float:
        """Of each sequence whose logits are wanted."""
        return self._gather_ms()[1]

    def _gather_ms(self) -> tuple[float, float]:
        """What a step takes whatever it gathers, and what each sequence adds."""
        sizes = np.array([1.0, SEQUENCES]) * self.llm.vocab_size * BF16_BYTES
        one, many = self.link.ms("all_gather", self.gpus, sizes).tolist()
        each = max(0.0, many - one) / (SEQUENCES - 1)
        return max(0.0, one - each), each
