"""When a request lost its KV blocks, to whom, and what that cost it: read off the table of preemptions."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from reports.arrays import distinct
from reports.explained.phases import Phase
from reports.explained.scene import Scene
from reports.explained.wording import MOST_NAMED, at, span
from reports.words import count, plural


class Absence(NamedTuple):
    """One preemption of one request."""

    lost_ps: int
    back_ps: int
    """-1: it left before."""
    by: int
    """Number of the request that took its place: its own, where it was its own growth."""
    cause: str
    held_tokens: int
    found_tokens: int

    @property
    def recomputed_tokens(self) -> int:
        return 0 if self.back_ps < 0 else self.held_tokens - self.found_tokens

    @property
    def lasted_ps(self) -> int:
        return 0 if self.back_ps < 0 else self.back_ps - self.lost_ps


def absences_of(scene: Scene, row: int) -> list[Absence]:
    """In order; those of all its completions where it has several. None where the run records none."""
    table = scene.preemptions
    if table is None or scene.value(row, "preemptions") <= 0:
        return []
    mine = table.take(table["number"] == scene.value(row, "number"))
    names = ("lost_ps", "back_ps", "by", "cause", "held_tokens", "found_tokens")
    found = [
        Absence(lost, back, by, mine.names["cause"][cause], held, again)
        for lost, back, by, cause, held, again in zip(*(mine[name].tolist() for name in names), strict=True)
    ]
    return sorted(found)


def preempted(scene: Scene, row: int, phase: Phase) -> Iterator[str]:
    """In `phase`, which is the prefill or the decode."""
    times = scene.value(row, "preemptions")
    if times <= 0:
        return
    found = absences_of(scene, row)
    if not found:
        if phase.name == "decode":
            yield from _untold(times)
        return
    # One that is complete as its decode ends may be pushed out at that instant.
    until_ps = phase.ended_ps + (phase.name == "decode")
    inside = [one for one in found if phase.began_ps <= one.lost_ps < until_ps]
    if len(inside) > 1:
        yield _in_all(inside)
    longest = sorted(inside, key=lambda one: -one.lasted_ps)[:MOST_NAMED]
    for one in sorted(longest):
        head = "At" if len(inside) > 1 else "It was preempted at"
        yield f"{head} {at(one.lost_ps)} {_by(scene, row, one)}: {_and_then(scene, row, one)}."
    if len(inside) > MOST_NAMED:
        yield f"The other {count(len(inside) - MOST_NAMED)} waits were not longer."


def _in_all(absences: Sequence[Absence]) -> str:
    waited = span(sum(one.lasted_ps for one in absences))
    again = plural(sum(one.recomputed_tokens for one in absences), "token")
    times = count(len(absences))
    return f"It was preempted {times} times: it waited {waited} in all, and computed {again} again."


def _by(scene: Scene, row: int, one: Absence) -> str:
    if one.cause == "priority":
        return f"by request {one.by}, which was more urgent and could not enter"
    if one.by == scene.value(row, "number"):
        return "as its own next tokens found the KV pool full and it was the first to give way"
    return f"by request {one.by}, whose next tokens found the KV pool full"


def _and_then(scene: Scene, row: int, one: Absence) -> str:
    if one.back_ps < 0:
        over = one.lost_ps >= scene.value(row, "last_ps") >= 0
        return "it was complete by then" if over else "it was not taken in again before it left"
    waited = f"it waited {span(one.lasted_ps)}"
    if not one.recomputed_tokens:
        return f"{waited}, and the prefix cache still had its tokens"
    found = f" ({count(one.found_tokens)} were in the prefix cache)" if one.found_tokens else ""
    return f"{waited}, and computed {plural(one.recomputed_tokens, 'token')} again{found}"


def _untold(times: int) -> Iterator[str]:
    said = "once" if times == 1 else f"{count(times)} times"
    again = "its tokens so far were computed again"
    yield f"It was preempted {said}: its KV blocks went to others of its batch, and {again}."
    yield "This run does not record when that was, nor to which of them."


def pushed_out_by(scene: Scene, row: int) -> list[int]:
    """Numbers of those who lost their places to it as it entered."""
    table = scene.preemptions
    if table is None:
        return []
    mine = (table["by"] == scene.value(row, "number")) & table.labelled("cause", "priority")
    found: list[int] = distinct(table["number"][mine]).tolist()
    return found
