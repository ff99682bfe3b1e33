"""Readable text of exactly n tokens, in no time.

Every word here is one token in the vocabularies of both models, with and without a space before it and
capitalised, and a full stop is one more; so n pieces are n tokens wherever the text is counted again.
"""

from collections.abc import Iterator
from functools import cache
from itertools import cycle, islice

ADJECTIVES = """
large small new old good great high low long short early late young important public open free
strong whole clear simple hard easy fast slow
""".split()  # noqa: SIM905 -- a list literal would take a line per word
NOUNS = """
time year way day man world life hand part child eye place work week case point government company
number group problem fact water room mother area money story month lot right study book word
business issue side kind head house service friend father power hour game line end member law car
city community name team minute idea body information back parent face level office door health
person art war history party result change reason research girl moment air teacher force education
foot boy age policy music market sense nation plan college interest death experience effect class
control care field development role rate heart show leader light voice mind price report decision
son view relationship town road arm difference value building action season tax director position
player record paper space ground form event official center site project activity star table court
oil cost industry figure street image phone data picture practice piece land product doctor wall
patient worker news test movie technology step computer type film tree source
""".split()  # noqa: SIM905 -- a list literal would take a line per word
VERBS = """
is was has had makes shows needs
""".split()  # noqa: SIM905 -- a list literal would take a line per word
LINKS = """
from into over under between through about against during without within after before with
""".split()  # noqa: SIM905 -- a list literal would take a line per word
ENDS = """
often always never again today once here there then now still just only also well
""".split()  # noqa: SIM905 -- a list literal would take a line per word
PATTERN = ("The", "adjective", "noun", "verb", "the", "noun", "link", "a", "adjective", "noun", "end", ".")
BOOK_SENTENCES = 1021
"""A prime: longer than most answers, and no word list divides it."""

KINDS = {"adjective": ADJECTIVES, "noun": NOUNS, "verb": VERBS, "link": LINKS, "end": ENDS}
STRIDES = {"adjective": 7, "noun": 73, "verb": 5, "link": 3, "end": 4}
"""Each list is walked in steps that share no factor with its length, so that all of its words come up."""


@cache
def book() -> tuple[str, ...]:
    """The pieces from which all texts are cut, spaces included."""
    walks = {kind: _walk(words, STRIDES[kind]) for kind, words in KINDS.items()}
    pieces: list[str] = []
    for _ in range(BOOK_SENTENCES):
        for part in PATTERN:
            word = next(walks[part]) if part in walks else part
            pieces.append(word if word == "." else f" {word}")
    return tuple(pieces)


def _walk(words: list[str], stride: int) -> Iterator[str]:
    return cycle([words[i * stride % len(words)] for i in range(len(words))])


def pieces(tokens: int, seed: int) -> list[str]:
    """One string per token; joined they read as sentences, from the beginning of one."""
    whole = book()
    start = seed % BOOK_SENTENCES * len(PATTERN)
    found = list(whole[start : start + tokens])
    if len(found) < tokens:
        found += islice(cycle(whole), tokens - len(found))
    if found:
        found[0] = found[0].lstrip()
    return found
