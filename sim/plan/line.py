"""One choice of a plan: its values in order, what the closed form says of each, what was simulated."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from reports.targets import FAIL, INCONCLUSIVE, PASS
from sim.plan.closed_form import Closed
from sim.plan.judging import Held, held, is_blind, keeps_up, next_replications, verdict_of
from sim.plan.question import Question
from sim.plan.search import Seen, answer_of, disorders, wanted
from sim.study.sweep import Cell

MakeCell = Callable[[Any, int], Cell]
"""(value, replications)"""


class Found(NamedTuple):
    """Of a value: the cell with the most replications so far."""

    key: str
    replications: int
    held: tuple[Held, ...]
    failure: str | None = None
    """Why it could not be simulated."""

    @property
    def verdict(self) -> str:
        return INCONCLUSIVE if self.failure is not None else verdict_of(self.held)


@dataclass
class Line:
    """`values` get better from the first to the last; `closed` is what the closed form says of each."""

    name: str
    variant: str
    values: Sequence[Any]
    closed: Sequence[Closed]
    cell: MakeCell
    found: dict[int, Found] = field(default_factory=dict)
    """By place in `values`."""
    enough: int = 0
    """Replications that a value here needs before it tells anything, as far as is known."""

    @property
    def by_closed_form(self) -> int | None:
        """The first value that the closed form finds good enough."""
        return next((place for place, one in enumerate(self.closed) if one.meets), None)

    @property
    def hint(self) -> int:
        """Where to look first: the last value where the closed form finds none good enough."""
        return len(self.values) - 1 if self.by_closed_form is None else self.by_closed_form

    def wanted(self, most: int) -> list[int]:
        return wanted(self._seen(most), len(self.values), self.hint)

    def answer(self) -> int | None:
        return answer_of(self._seen(0))

    def disorders(self) -> list[tuple[int, int]]:
        return disorders(self._seen(0))

    @property
    def verdict(self) -> str:
        """Of the line: met by some value; undecided where none surely meets and some may."""
        found = {one.verdict for one in self.found.values()}
        return PASS if PASS in found else INCONCLUSIVE if INCONCLUSIVE in found else FAIL

    def replications(self, place: int, first: int, most: int) -> int:
        """With how many a place that is wanted comes."""
        before = self.found.get(place)
        if before is None:
            return max(first, self.enough)
        more = next_replications(before.replications, before.held, most)
        if is_blind(before.held):
            self.enough = max(self.enough, more)
        return more

    def note(
        self, question: Question, place: int, cell: Cell, replications: int, result: dict[str, Any]
    ) -> None:
        judged = held(question.targets, result, self.variant)
        overloaded = keeps_up(result)
        self.found[place] = Found(
            cell.key, replications, (*judged, *([] if overloaded is None else [overloaded]))
        )

    def note_failure(self, place: int, cell: Cell, replications: int, why: str) -> None:
        self.found[place] = Found(cell.key, replications, (), why)

    def _seen(self, most: int) -> dict[int, Seen]:
        return {
            place: Seen(
                one.verdict,
                one.verdict != INCONCLUSIVE or one.failure is not None or one.replications >= most,
                is_blind(one.held),
            )
            for place, one in self.found.items()
        }
