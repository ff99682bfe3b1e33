"""How long a request was in each phase, whatever its outcome: together exactly its time in the system."""

from typing import NamedTuple

import numpy as np

from reports.explained.scene import Scene
from reports.metrics import PHASES


class Phase(NamedTuple):
    name: str
    """Of `reports.metrics.PHASES`."""
    began_ps: int
    lasted_ps: int
    ended_here: bool = False
    """The request came no further: what remains until its caller knew is in this phase, too."""

    @property
    def ended_ps(self) -> int:
        return self.began_ps + self.lasted_ps


ENDS = ("sent", "connected", "arrived", "admitted", "", "started", "first", "last", "ended")
"""The stamp with which each of PHASES ends; overhead, which is a duration, is taken to follow admission."""


def phases_of(scene: Scene, row: int) -> list[Phase]:
    """Those that took time, and that in which it ended. Of one that had not ended, up to its last stamp."""
    ended_ps, at_ps = scene.value(row, "ended_ps"), scene.value(row, "intended_ps")
    completed = scene.label(row, "outcome") == "completed"
    if completed:
        one = scene.requests.take(np.array([row], np.int64))
        lasted = [int(phase.ps(one)[0]) for phase in PHASES]
    else:
        lasted = _until_it_ended(scene, row, ended_ps)
    found = []
    for place, (phase, ps) in enumerate(zip(PHASES, lasted, strict=False)):
        last = not completed and place == len(lasted) - 1
        if ps or last:
            found.append(Phase(phase.name, at_ps, ps, last))
        at_ps += ps
    return found


def _until_it_ended(scene: Scene, row: int, ended_ps: int) -> list[int]:
    """A stamp that lies behind the end is of a node which had not yet heard of it."""
    at_ps = scene.value(row, "intended_ps")
    found = []
    for phase, end in zip(PHASES, ENDS, strict=True):
        stamp = _end_ps(scene, row, phase.name, end)
        if phase.name == "overhead" and stamp < 0 <= scene.value(row, "admitted_ps"):
            found.append(0)  # it waited for a place before that work: the queue
            continue
        if ended_ps >= 0 and (stamp < 0 or stamp >= ended_ps):
            return [*found, ended_ps - at_ps]
        if stamp < 0:
            return [*found, 0]
        found.append(max(0, stamp - at_ps))
        at_ps = max(at_ps, stamp)
    return found


def _end_ps(scene: Scene, row: int, phase: str, stamp: str) -> int:
    if phase != "overhead":
        return scene.value(row, f"{stamp}_ps")
    admitted, overhead = scene.value(row, "admitted_ps"), scene.value(row, "overhead_ps")
    return -1 if admitted < 0 or overhead < 0 else admitted + overhead
