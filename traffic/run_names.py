"""Names for what prompts have in common, from ids of their blocks: a whole stretch of blocks has one name."""

from collections.abc import Hashable, Iterable
from itertools import count

from traffic.request import Prefix


class RunNames:
    """Whoever is first with a block gives it a name, and to all that go on like this prompt from there.

    So a prompt that nobody knows has one name, and one that leaves another after 500 blocks has two.
    """

    def __init__(self, most: int | None = None) -> None:
        """Remembers at least the `most` blocks seen last, and never twice as many. None: all."""
        self._most = most
        self._known: dict[tuple[int, Hashable], tuple[int, str]] = {}
        """By the number of the block before and its own id: its number and its name."""
        self._older: dict[tuple[int, Hashable], tuple[int, str]] = {}
        self._numbers = count(1)

    def prefix(self, blocks: Iterable[Hashable], block_tokens: int, tokens: int, name: str) -> Prefix:
        """Of a prompt of so many tokens. `name` has not been given before."""
        if self._most is not None and len(self._known) > self._most:
            self._known, self._older = {}, self._known
        known, older = self._known, self._older
        runs: list[tuple[str, int]] = []
        before, end = 0, 0
        for block in blocks:
            key = before, block
            found = known.get(key)
            if found is None:
                found = known[key] = older.get(key) or (next(self._numbers), name)
            before, origin = found
            end = min(end + block_tokens, tokens)
            if runs and runs[-1][0] == origin:
                runs[-1] = origin, end
            else:
                runs.append((origin, end))
        return tuple(runs)
