"""What to write instead of a word that is not known."""

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(word: str, choices: Iterable[str]) -> str:
    """The end of a sentence: the nearest choice, else all of them."""
    known = list(choices)
    close = get_close_matches(word, known, n=1, cutoff=0.5)
    if close:
        return f"; did you mean `{close[0]}`?"
    return f"; it can be {listed(known)}" if known else ""


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """The sentence for a name that nothing has."""
    known = list(known)
    close = get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"did you mean `{close[0]}`?" if close else f"there are {listed(known) or 'none'}"
    return f"there is no {what} `{name}`; {hint}"


def listed(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)
