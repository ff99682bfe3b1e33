"""A plan is carried out: the closed form over all points, then simulations until all lines are known."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from e80sim.mistakes import UserError
from sim.plan.closed_form import Closed, direction, solved, task_of
from sim.plan.line import Line, MakeCell
from sim.plan.question import Choice, Question
from sim.study.store import CellStore
from sim.study.sweep import Cell, carry_out
from sim.workers import interrupt
from sim.workers.executor import Executor, Tell
from sim.workers.perform import perform

DIRECTIONS = ("smallest", "largest")


class StoppedError(Exception):
    """Cells that had ended are kept."""


@dataclass(frozen=True)
class Means:
    """What a plan is carried out with."""

    executor: Executor
    store: CellStore
    engine: str
    replications: int
    """Of a value when it is first looked at."""
    most_replications: int
    tell: Tell


@dataclass(slots=True)
class Work:
    """How much was done, for whoever waits."""

    found: int = 0
    simulated: int = 0
    solved: int = 0


class Asked(NamedTuple):
    line: Line
    place: int
    replications: int
    cell: Cell


def lines_of(question: Question, way: str | None, means: Means, work: Work) -> tuple[str, list[Line]]:
    """What is looked for, and a line for each choice, its values in the order in which they get better.

    Raises:
        UserError: a point could not run; or nobody can tell which way values get better.

    """
    choices, values = question.choices, question.values
    found = _solved(question, choices, values, means, work)
    per_line = [found[i * len(values) : (i + 1) * len(values)] for i in range(len(choices))]
    way = way or _way(question, per_line)
    lines = []
    for choice, closed in zip(choices, per_line, strict=True):
        ordered = list(zip(values, closed, strict=True))
        if way == "largest":
            ordered.reverse()
        lines.append(
            Line(
                question.name_of(choice),
                choice.variant,
                [value for value, _ in ordered],
                [one for _, one in ordered],
                _cells(question, choice),
            )
        )
    return way, lines


def _cells(question: Question, choice: Choice) -> MakeCell:
    return lambda value, replications: question.cell(choice, value, replications)


def _solved(
    question: Question, choices: Sequence[Choice], values: Sequence[Any], means: Means, work: Work
) -> list[Closed]:
    tasks = (
        task_of(question.scenario(choice, value), question.targets) for choice in choices for value in values
    )
    return solve_all(tasks, len(choices) * len(values), means, work)


def solve_all(tasks: Iterable[object], total: int, means: Means, work: Work) -> list[Closed]:
    """In their order. Raises UserError, and whatever a task raised."""
    found: list[Closed] = []
    done = perform(
        means.executor, solved, tasks, total=total, what="closed forms", tell=means.tell, in_order=True
    )
    for ended in done:
        if ended.failure is not None:
            raise ended.failure.error or UserError(f"the closed form of a point: {ended.failure.why}")
        found.append(ended.result)
        work.solved += 1
    if len(found) < total:
        raise StoppedError
    return found


def _way(question: Question, lines: Sequence[Sequence[Closed]]) -> str:
    """As the closed form of the first and the last value has it. Raises UserError."""
    if len(question.values) < 2:
        return DIRECTIONS[0]
    told = {way for closed in lines if (way := direction(closed[0], closed[-1])) is not None}
    if len(told) == 1:
        return told.pop()
    assert question.searched is not None
    why = "does not say" if not told else "does not say alike for all choices"
    raise UserError(
        f"{question.places[question.searched]}: the closed form {why} whether more of it is better: say "
        "--smallest, or --largest"
    )


def search(question: Question, lines: Sequence[Line], means: Means, work: Work) -> None:
    """Simulate until no line wants more. Raises StoppedError."""
    while asked := list(_asked(lines, means)):
        _simulate(question, lines, asked, means, work)


def _asked(lines: Sequence[Line], means: Means) -> Iterator[Asked]:
    for line in lines:
        for place in line.wanted(means.most_replications):
            replications = line.replications(place, means.replications, means.most_replications)
            yield Asked(line, place, replications, line.cell(line.values[place], replications))


def _simulate(
    question: Question, lines: Sequence[Line], asked: Sequence[Asked], means: Means, work: Work
) -> None:
    tell = _telling(lines, asked, means, work)
    outcome = carry_out(
        [one.cell for one in asked], means.store, means.executor, engine=means.engine, tell=tell
    )
    work.found, work.simulated = work.found + outcome.found, work.simulated + outcome.simulated
    if interrupt.asked():
        raise StoppedError
    for line, place, replications, cell in asked:
        result = means.store.read(cell.key)
        if result is None:
            line.note_failure(place, cell, replications, outcome.failures.get(cell.key, "it was lost"))
        else:
            line.note(question, place, cell, replications, result)


def _telling(lines: Sequence[Line], asked: Sequence[Asked], means: Means, work: Work) -> Tell:
    """Shares of what is to come, as far as one can tell: lines part their gaps until their answers stand."""
    before = work.found + work.simulated
    coming = len(asked) + sum(_later(line) for line in lines)

    def tell(share: float, note: str) -> None:
        done = before + share * len(asked)
        means.tell(done / (before + coming), f"{note}, {', '.join(_places(asked))}")

    return tell


def _later(line: Line) -> float:
    """Rounds after this one, about."""
    best = line.answer()
    if not line.found or best is None:
        return math.log2(max(2, len(line.values)))
    below = max((place for place in line.found if place < best), default=-1)
    return math.log2(max(1, best - below))


def _places(asked: Sequence[Asked]) -> Iterator[str]:
    by_line: dict[str, list[str]] = {}
    for one in asked:
        value = one.line.values[one.place]
        by_line.setdefault(one.line.name, []).append("" if value is None else f"{value:.6g}")
    for name, values in by_line.items():
        yield " ".join(filter(None, [name, "/".join(filter(None, values))]))
