"""What a model's chat template adds to the text of a conversation, in tokens.

No server was asked: the constants follow from the published prompt formats, so treat them as assumed.
"""

from dataclasses import dataclass
from functools import cache

from traffic.tokens import VOCABULARIES, Vocabulary


@dataclass(frozen=True, slots=True)
class ChatTemplate:
    preamble: int
    """Before the first message."""
    per_message: int
    """Around each message, its role included."""
    reply: int
    """What invites the answer."""
    call: str
    """What the model writes before the arguments of a call."""
    call_marks: int = 0
    """Its special tokens, which `call` leaves out."""

    def call_lead(self, vocabulary: Vocabulary, name: str) -> int:
        """Tokens of a call before its arguments."""
        return self.call_marks + vocabulary.count(self.call.format(name=name))

    def tokens(self, messages: int) -> int:
        return self.preamble + messages * self.per_message + self.reply


TEMPLATES = {
    # <|begin_of_text|>; <|start_header_id|> role <|end_header_id|> "\n\n" ... <|eot_id|>; the same header for
    # the answer. The system block with two dates that some renderings of Llama 3.1's add is left out.
    "llama": ChatTemplate(preamble=1, per_message=5, reply=4, call='{{"name": "{name}", "parameters": '),
    # Harmony: <|start|> role <|message|> ... <|end|>; <|start|>assistant. Its system message (identity,
    # cut-off, date, effort and channels: 57 tokens of text in o200k_harmony) comes first.
    # A call: <|channel|>commentary to=functions.NAME <|constrain|>json<|message|> ...
    "gpt-oss": ChatTemplate(
        preamble=61, per_message=4, reply=2, call="commentary to=functions.{name} json", call_marks=3
    ),
}
assert TEMPLATES.keys() == VOCABULARIES.keys()


@cache
def template_of(llm: str) -> ChatTemplate:
    """Llama's where the family is not known, as with the vocabularies."""
    found = [template for family, template in TEMPLATES.items() if llm.startswith(family)]
    return found[0] if found else TEMPLATES["llama"]
