"""A conversation whose every prompt begins with all that was said before."""

from traffic.prefixes import Beginning
from traffic.workload import SizePair


class Conversation:
    """`beginning` is what comes before it; the rest is named as its own, answers too."""

    def __init__(self, name: str, beginning: Beginning, most_output_tokens: int | None) -> None:
        self.name = name
        self._beginning = beginning
        self._most_output_tokens = most_output_tokens
        self._said = 0

    def turn(self, sizes: SizePair) -> tuple[SizePair, Beginning]:
        """Of the next request, whose `sizes` are what is new in it."""
        prompt_tokens, output_tokens = sizes
        most = self._most_output_tokens
        if most is not None and output_tokens > most:
            output_tokens = most
        whole = self._said + prompt_tokens
        self._said = whole + output_tokens
        before = self._beginning
        prefix = (*before.prefix, (self.name, before.tokens + self._said))
        return (whole, output_tokens), Beginning(prefix, before.tokens)

    def branch(self, name: str) -> "Conversation":
        """One that begins with all that has been said so far, and goes its own way."""
        before = self._beginning
        tokens = before.tokens + self._said
        begins = Beginning((*before.prefix, (self.name, tokens)), tokens) if self._said else before
        return Conversation(name, begins, self._most_output_tokens)
