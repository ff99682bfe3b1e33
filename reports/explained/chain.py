"""The causal chain of one request: phases, which add up to its latency, and what it waited for in each."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from reports.explained import events, waits, work
from reports.explained.phases import Phase, phases_of
from reports.explained.preempted import Absence, absences_of
from reports.explained.scene import Scene
from reports.explained.waits import Says
from reports.explained.wording import at, span
from reports.record import OUTCOMES
from reports.words import count, plural

SAYS: dict[str, Says] = {
    "client_wait": waits.client_wait,
    "set_up": waits.set_up,
    "network_out": waits.network_out,
    "admission": waits.admission,
    "overhead": waits.overhead,
    "queue": waits.queue,
    "prefill": work.prefill,
    "decode": work.decode,
    "return": waits.back,
}
"""By phase: what it waited for there."""


WORTH_SAYING = 0.01
"""Of the latency: phases below it are listed, and not explained."""


class Said(NamedTuple):
    phase: str
    """Empty: of the whole request."""
    sentence: str


class Chain(NamedTuple):
    number: int
    variant: str
    replication: int
    source: str
    outcome: str
    intended_ps: int
    ended_ps: int
    """-1: it had not ended."""
    phases: list[Phase]
    says: list[Said]
    absences: Sequence[Absence] = ()
    """When it had lost its KV blocks; of each of its completions. None where the run does not record it."""

    @property
    def lasted_ps(self) -> int:
        """The sum of its phases: from its intention to its end, or as far as its stamps go."""
        return sum(phase.lasted_ps for phase in self.phases)

    @property
    def away_ps(self) -> int:
        """How long it, or any of its completions, was away after a preemption."""
        total = until_ps = 0
        for absence in self.absences:  # in order of their beginning
            total += max(0, absence.back_ps - max(absence.lost_ps, until_ps))
            until_ps = max(until_ps, absence.back_ps)
        return total

    @property
    def longest(self) -> Phase:
        return max(self.phases, key=lambda phase: phase.lasted_ps)

    def of(self, phase: str) -> list[str]:
        return [said.sentence for said in self.says if said.phase == phase]

    def as_json(self) -> dict[str, Any]:
        return {
            **{
                name: getattr(self, name)
                for name in ("number", "variant", "replication", "source", "outcome")
            },
            "intended_ps": self.intended_ps,
            "ended_ps": self.ended_ps,
            "phases": [phase._asdict() for phase in self.phases],
            "says": [said._asdict() for said in self.says],
            "preemptions": [absence._asdict() for absence in self.absences],
        }


def chains_of(chosen: Sequence[tuple[Scene, int]]) -> list[Chain]:
    """Of rows of scenes, in the order given. What they are told from is read once for each scene."""
    scenes = {id(scene): scene for scene, _ in chosen}
    found: dict[int, Chain] = {}
    for scene in scenes.values():
        near = scene.loaded()
        for place, (of, row) in enumerate(chosen):
            if of is scene:
                found[place] = chain_of(near, row)
    return [found[place] for place in range(len(chosen))]


def chain_of(scene: Scene, row: int) -> Chain:
    scene, row = scene.around(row)
    phases = phases_of(scene, row)
    return Chain(
        scene.value(row, "number"),
        scene.variant,
        scene.replication,
        scene.label(row, "source"),
        scene.label(row, "outcome"),
        scene.value(row, "intended_ps"),
        scene.value(row, "ended_ps"),
        phases,
        [*_whole(scene, row), *_by_phase(scene, row, phases)],
        absences_of(scene, row),
    )


def _whole(scene: Scene, row: int) -> Iterator[Said]:
    for sentence in (
        _who(scene, row),
        *_rank(scene, row),
        *_user_request(scene, row),
        *events.moved(scene, row),
        *events.faults_met(scene, row),
        *events.nodes_there(scene, row),
    ):
        yield Said("", sentence)


def _by_phase(scene: Scene, row: int, phases: list[Phase]) -> Iterator[Said]:
    least_ps = WORTH_SAYING * sum(phase.lasted_ps for phase in phases)
    for phase in phases:
        if phase.ended_here or phase.lasted_ps >= least_ps:
            yield from (Said(phase.name, sentence) for sentence in _of_phase(scene, row, phase))


def _of_phase(scene: Scene, row: int, phase: Phase) -> Iterator[str]:
    if phase.ended_here:
        outcome = scene.label(row, "outcome")
        yield from events.ENDINGS[outcome](scene, row, phase)
        if outcome.startswith("rejected"):
            return  # what else it waited for is the refusal's way back
    yield from SAYS[phase.name](scene, row, phase)


def _who(scene: Scene, row: int) -> str:
    prompt, output = scene.value(row, "prompt_tokens"), scene.value(row, "output_tokens")
    asked = f"{plural(prompt, 'token')} in, {count(output)} out"
    tenant, model, node = scene.label(row, "tenant"), scene.label(row, "model"), scene.value(row, "node")
    where = f" at node {node}" if node >= 0 else ""
    meant, ended = scene.value(row, "intended_ps"), scene.value(row, "ended_ps")
    over = (
        f"was over {span(ended - meant)} later, at {at(ended)}"
        if ended >= 0
        else "had not ended when the run did"
    )
    outcome = OUTCOMES[int(scene.requests["outcome"][row])]
    return f"Of tenant {tenant}, {asked}, {model}{where}: {outcome}. It was meant at {at(meant)} and {over}."


def _rank(scene: Scene, row: int) -> Iterator[str]:
    """Against those of its source that completed, in this replication, within the window."""
    if scene.label(row, "outcome") != "completed":
        return
    took = scene.took_of(int(scene.requests["source"][row]))
    if len(took) > 1:
        longer = int((took > scene.value(row, "ended_ps") - scene.value(row, "intended_ps")).sum())
        yield f"Of {count(len(took))} completed requests of its source, {count(longer)} took longer."


def _user_request(scene: Scene, row: int) -> Iterator[str]:
    parent = scene.value(row, "parent")
    if parent < 0 or scene.users is None:
        return
    found = np.flatnonzero(scene.users["number"] == parent)
    if not len(found):
        return
    user = int(found[0])
    meant, ended = int(scene.users["intended_ps"][user]), int(scene.users["ended_ps"][user])
    calls = np.flatnonzero(scene.requests["parent"] == parent)
    place = int((scene.requests["sent_ps"][calls] < scene.value(row, "sent_ps")).sum()) + 1
    took = f", which took {span(ended - meant)} in all" if ended >= 0 else ""
    yield f"It is call {place} of {len(calls)} of user request {parent}{took}."
