"""What a request waited for before its first step, phase by phase: at its client, on the way, at the gateway,
in the queue of its node. Each function yields sentences; what the tables do not tell is said to be untold.
"""

from collections.abc import Callable, Iterator

import numpy as np

from reports.columns import Ints, Mask
from reports.explained.neighbours import Queue, queue_of
from reports.explained.phases import Phase
from reports.explained.preempted import pushed_out_by
from reports.explained.scene import NEVER_PS, Scene, left_ps
from reports.explained.wording import MOST_NAMED, at, be, first, named, requests, span, were
from reports.words import plural

Says = Callable[[Scene, int, Phase], Iterator[str]]


def client_wait(scene: Scene, row: int, phase: Phase) -> Iterator[str]:
    r = scene.requests
    ask, number = scene.value(row, "ask"), scene.value(row, "number")
    if ask != number:
        others = np.flatnonzero((r["ask"] == ask) & (r["number"] != number))
        tried = ", ".join(f"{r['number'][one]} ({scene.label(int(one), 'outcome')})" for one in others)
        yield f"It is attempt {scene.value(row, 'attempt')} of ask {ask}; the others are {tried}."
        return
    before = r["intended_ps"] <= phase.began_ps
    inside = _same(scene, row, "source") & before & (r["sent_ps"] >= 0) & (r["sent_ps"] <= phase.began_ps)
    inside &= _ended_ps(scene) > phase.began_ps
    inside[row] = False
    yield f"Its client had {plural(int(inside.sum()), 'other request')} under way when it was meant."
    over = np.flatnonzero(_same(scene, row, "source") & (r["ended_ps"] == phase.ended_ps))
    if len(over):
        yield f"It was sent at the instant at which {requests(scene, over)} {were(over)} over."


def set_up(scene: Scene, row: int, phase: Phase) -> Iterator[str]:
    del phase
    if scene.value(row, "cold"):
        yield "Its connection was cold: name, TCP and TLS came first."
    yield from _lost(scene, row, "lost_out_ps", "on the way in or in the set-up")


def network_out(scene: Scene, row: int, phase: Phase) -> Iterator[str]:
    del phase
    rtt_ms = scene.facts["places"].get(scene.label(row, "place"), {}).get("rtt_ms")
    if rtt_ms is not None:
        yield f"A round trip from {_place(scene, row)} is {span(round(rtt_ms * 10**9))} without jitter."
    if not scene.value(row, "cold"):
        yield from _lost(scene, row, "lost_out_ps", "on the way in")


def _place(scene: Scene, row: int) -> str:
    name = scene.label(row, "place")
    return str(scene.facts["places"].get(name, {}).get("label") or name)


def _lost(scene: Scene, row: int, column: str, where: str) -> Iterator[str]:
    if column not in scene.requests.values:
        yield f"Whether segments were lost {where} is not in the tables of this run."
    elif scene.value(row, column) > 0:
        yield f"Segments were lost {where}, and sent again: {span(scene.value(row, column))} of it."


def back(scene: Scene, row: int, phase: Phase) -> Iterator[str]:
    del phase
    yield from _lost(scene, row, "lost_back_ps", "on the way back")


def admission(scene: Scene, row: int, phase: Phase) -> Iterator[str]:
    r = scene.requests
    came_ps, passed_ps = phase.began_ps, phase.ended_ps
    others = _same(scene, row, "model") & (r["arrived_ps"] >= 0)
    others[row] = False
    admitted = np.where(r["admitted_ps"] < 0, _ended_ps(scene), r["admitted_ps"])
    here = others & (r["arrived_ps"] <= came_ps) & (admitted > came_ps)
    ahead = np.flatnonzero(here & (r["admitted_ps"] >= 0) & (r["admitted_ps"] <= passed_ps))
    later = others & (r["arrived_ps"] > came_ps) & (r["admitted_ps"] >= 0) & (r["admitted_ps"] < passed_ps)
    overtaken = np.flatnonzero(later)
    inside = others & (r["admitted_ps"] >= 0) & (r["admitted_ps"] <= came_ps) & (left_ps(r) > came_ps)
    at_nodes = plural(int(inside.sum()), "request")
    yield f"When it came to the gateway, {at_nodes} of its model {be(inside)} at nodes."
    if len(ahead):
        yield f"{first(requests(scene, ahead))} of its model waited there already and passed before it."
    if len(overtaken):
        yield f"{first(requests(scene, overtaken))} came later and passed before it, by priority or turn."


def overhead(scene: Scene, row: int, phase: Phase) -> Iterator[str]:
    del phase
    yield f"Node {scene.value(row, 'node')} did what precedes its engine: a front end, or fixed work."


def queue(scene: Scene, row: int, phase: Phase) -> Iterator[str]:
    del phase
    model, node = scene.label(row, "model"), first_node(scene, row)
    if node < 0:
        yield f"No node of {model} had been chosen for it."
        return
    visit = scene.visits(model, node).of(row)
    if visit is None:
        yield UNTOLD_QUEUE
        return
    overhead_ps = max(0, scene.value(row, "overhead_ps"))
    found = queue_of(scene.visits(model, node), row, visit, overhead_ps, scene.absences(model, node))
    yield _ahead(scene, found, node)
    if len(found.passed):
        passed = first(requests(scene, found.passed))
        yield f"{passed} came later and {were(found.passed)} in a step before it."
    if len(found.returned):
        again = first(requests(scene, found.returned))
        yield f"{again}, which had been preempted, {were(found.returned)} taken in again before it."
    if len(found.behind):
        yield f"It passed {requests(scene, found.behind)}, which waited already."
    yield f"{_running(scene, found)} in the batch when it came."
    if len(strangers := scene.moved_to(model, node, visit)):
        moved = first(requests(scene, strangers))
        yield f"{moved} came there from a lost node; whether before it the tables do not say."
    if pushed := pushed_out_by(scene, row):
        yield f"It pushed out {named(pushed)}, which {'was' if len(pushed) == 1 else 'were'} less urgent."
    if len(found.made_room) and visit.started_ps >= 0:
        left = requests(scene, found.made_room)
        yield f"Its place came free as {left} left; its first step began at {at(visit.started_ps)}."


UNTOLD_QUEUE = (
    "It was moved from a lost node; when it came to its last one the tables do not say, nor who was ahead."
)


def _ahead(scene: Scene, found: Queue, node: int) -> str:
    if not len(found.ahead):
        return f"Nobody was ahead of it in the queue of node {node}."
    return f"Ahead of it in the queue of node {node} {were(found.ahead)} {requests(scene, found.ahead)}."


def _running(scene: Scene, found: Queue) -> str:
    number = len(found.running)
    if not number:
        return "No request was"
    named = requests(scene, found.running) if number <= MOST_NAMED else plural(number, "request")
    return f"{first(named)} {were(found.running)}"


def first_node(scene: Scene, row: int) -> int:
    """Where it queued: of two that divide the work, the one that prefills. -1 where none is known."""
    if not scene.divides_work(scene.label(row, "model")):
        return scene.value(row, "node")
    stages = scene.stages
    assert stages is not None
    mine = stages.labelled("stage", "prefill") & (stages["number"] == scene.value(row, "number"))
    found = stages["node"][mine]
    return int(found[0]) if len(found) else -1


def _same(scene: Scene, row: int, column: str) -> Mask:
    values = scene.requests[column]
    mask: Mask = values == values[row]
    return mask


def _ended_ps(scene: Scene) -> Ints:
    ended = scene.requests["ended_ps"]
    return np.where(ended < 0, NEVER_PS, ended)
