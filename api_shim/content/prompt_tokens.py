"""The tokens of a prompt one by one, for models that keep what prompts have in common.

Text is what the model's own tokenizer makes of it. What a chat template puts around it are marks, below 0:
only their number and where they stand matters, and that equal conversations have equal ones.
"""

from collections.abc import Callable, Iterable

from api_shim.content.chat_template import ChatTemplate
from traffic.tokens import Vocabulary

TokenIds = list[int]
WrittenMessage = tuple[str, Iterable[str]]
"""Role, and all texts in it that the model reads."""

END_OF_MESSAGE = -1
PREAMBLE = -2
HEADERS = {"system": -3, "developer": -3, "user": -4, "assistant": -5, "tool": -6, "function": -6}
OTHER_HEADER = -7


def chat_tokens(
    vocabulary: Vocabulary, template: ChatTemplate, tools: Iterable[str], messages: Iterable[WrittenMessage]
) -> TokenIds:
    """As many as `template` and the texts count. Tools stand before all messages (assumed)."""
    found = [PREAMBLE] * template.preamble
    for text in tools:
        found += vocabulary.encode(text)
    for role, texts in messages:
        found += [HEADERS.get(role, OTHER_HEADER)] * (template.per_message - 1)
        for text in texts:
            found += vocabulary.encode(text)
        found.append(END_OF_MESSAGE)
    found += [HEADERS["assistant"]] * template.reply
    return found


MakeTokens = Callable[[], TokenIds]
