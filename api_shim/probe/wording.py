"""Prompts of about so many tokens that no cache has seen, for a server whose tokenizer nobody knows.

The first answers tell how many tokens a word takes and how many every prompt has besides.
"""

from hashlib import sha256

from api_shim.content.synthetic import pieces

INSTRUCTION = "\n\nCount upwards from one in words, and do not stop before you are told to."
TEMPLATE_TOKENS = 256
"""What a server may put around a message at most: assumed; known templates take 5 to 80."""
FIRST_OVERHEAD = 30
"""Tokens of instruction, mark and template before any answer has told."""


class Wording:
    """`seed` makes the texts; another one makes others from the first word on."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._made = 0
        self._overhead, self._per_word = float(FIRST_OVERHEAD), 1.0
        self._least: tuple[int, int] | None = None
        self._most: tuple[int, int] | None = None
        self._words: dict[str, int] = {}

    def fresh(self, tokens: int) -> str:
        """A text that begins like no other."""
        self._made += 1
        mark = sha256(f"{self._seed}/{self._made}".encode()).hexdigest()[:12]
        words = round((tokens - self._overhead) / self._per_word)
        if words < 1:
            return mark  # shorter than what every prompt has
        text = f"{mark}: {''.join(pieces(words, int(mark, 16)))}{INSTRUCTION}"
        self._words[text] = words
        return text

    def learn(self, text: str, tokens: int) -> None:
        """What the server counted for a prompt."""
        seen = self._words.pop(text, 0), tokens
        if not all(seen):
            return
        self._least = min(self._least or seen, seen)
        self._most = max(self._most or seen, seen)
        (few, little), (many, much) = self._least, self._most
        if many >= 2 * few and much > little:
            self._per_word = (much - little) / (many - few)
        self._overhead = little - few * self._per_word


def most_tokens_of(text: str) -> int:
    """A tokenizer over bytes makes no more tokens than bytes."""
    return len(text.encode()) + TEMPLATE_TOKENS


def most_tokens_for(tokens: int) -> int:
    """Of a text of about `tokens` tokens, before it is written: words here have at most 13 letters."""
    return most_tokens_of("") + LONGEST_WORD * tokens + len(INSTRUCTION.encode())


LONGEST_WORD = 8
"""Bytes of a word and its space: the mean is 5.2, and no text of 20 words or more has a mean beyond this."""
