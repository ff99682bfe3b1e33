"""The answer of a run in words: one sentence and its verdict, for the page and for the terminal alike.

A sentence never claims more than its interval: what is not told from chance is said to be open.
"""

from reports.answer.facts import Fact, facts
from reports.answer.sentence import Answered, answer

__all__ = ["Answered", "Fact", "answer", "facts"]
