"""What the real prompts of a live server have in common, in the words of the model: names and lengths."""

from array import array

from api_shim.content.plan import ContentPlan
from api_shim.content.prompt_tokens import TokenIds
from traffic.request import Prefix
from traffic.run_names import RunNames
from traffic.tokens import Vocabulary

LEAST_BLOCK_TOKENS = 16
"""A chip with blocks of one token shares whole blocks of so many, too."""
REMEMBERED_BLOCKS = 200_000
"""What was not seen for longer has a new name, and is not found in any cache: 3.2 million tokens, 60 MB."""


class LivePrefixes:
    """Of one model. Equal blocks behind equal beginnings have one name, whoever sends them."""

    def __init__(self, block_size: int, vocabulary: Vocabulary) -> None:
        self._block_tokens = max(block_size, LEAST_BLOCK_TOKENS)
        self._vocabulary = vocabulary
        self._names = RunNames(REMEMBERED_BLOCKS)

    def prefix(self, number: int, prompt: TokenIds, plan: ContentPlan) -> Prefix:
        """Of request `number`, its answer included where that is text alone: a next turn may quote it."""
        tokens = array("q", prompt + self._answer(plan)).tobytes()
        size = self._block_tokens * 8
        blocks = [tokens[start : start + size] for start in range(0, len(tokens) - size + 1, size)]
        whole = len(blocks) * self._block_tokens
        return self._names.prefix(blocks, self._block_tokens, whole, f"request {number}")

    def _answer(self, plan: ContentPlan) -> TokenIds:
        if len(plan.choices) > 1 or any(part.kind != "text" for part in plan.parts):
            return []
        found = self._vocabulary.encode("".join(plan.choices[0]))
        return found if len(found) == plan.output_tokens else []
