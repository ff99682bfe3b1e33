"""What befell a request from outside: faults, nodes that came and went, and why it went no further."""

from collections.abc import Callable, Iterator

import numpy as np

from reports.columns import Columns
from reports.explained.phases import Phase
from reports.explained.scene import NEVER_PS, Scene, left_ps
from reports.explained.wording import at, be, span
from reports.record import PS_PER_S
from reports.words import count, plural

MINUTE_PS = 60 * PS_PER_S


def faults_met(scene: Scene, row: int) -> Iterator[str]:
    """Whatever was broken while it was in the system, and whether it concerns this request."""
    if scene.faults is None:
        return
    begin, end = scene.value(row, "intended_ps"), scene.value(row, "ended_ps")
    until = np.where(scene.faults["ended_ps"] < 0, NEVER_PS, scene.faults["ended_ps"])
    met = scene.faults.take((until > begin) & (scene.faults["began_ps"] <= (NEVER_PS if end < 0 else end)))
    for place in range(len(met)):
        yield _fault(scene, row, met, place)


def _fault(scene: Scene, row: int, faults: Columns, place: int) -> str:
    name, kind, target = (faults.names[n][int(faults[n][place])] for n in ("fault", "kind", "target"))
    began, ended = int(faults["began_ps"][place]), int(faults["ended_ps"][place])
    until = f"to {at(ended)}" if ended >= 0 else "on"
    told = f"Fault {name} ({kind} of {target}) was on from {at(began)} {until}"
    model, node = faults.names["model"][int(faults["model"][place])], int(faults["node"][place])
    return f"{told}{_concern(scene, row, model, node, target)}."


def _concern(scene: Scene, row: int, model: str, node: int, target: str) -> str:
    if node < 0:
        place = scene.label(row, "place")
        if target.startswith("place "):
            return ": its own place" if target == f"place {place}" else ", at another place than its own"
        return "; whether its way goes there the tables do not say"
    if model != scene.label(row, "model"):
        return ", of another model"
    if node == scene.value(row, "node"):
        return ": its own node"
    if scene.value(row, "moves") > 0:
        return "; it was moved from a lost node, and may have been inside that one"
    return ", another node than its own: what that would have served went to the others"


def nodes_there(scene: Scene, row: int) -> Iterator[str]:
    """How many nodes there were when it came, where they come and go."""
    came = scene.value(row, "arrived_ps")
    if scene.lifetimes is None or came < 0:
        return
    lives = scene.lifetimes.take(scene.lifetimes.labelled("model", scene.label(row, "model")))
    if not len(lives):
        return
    began, drained = lives["began_ps"], np.where(lives["drained_ps"] < 0, NEVER_PS, lives["drained_ps"])
    taking = (began >= 0) & (began <= came) & (drained > came)
    starting = (lives["ordered_ps"] <= came) & ((began < 0) | (began > came)) & (drained > came)
    took = f"When it came, {plural(int(taking.sum()), 'node')} took requests"
    if not starting.any():
        yield f"{took}, and none was starting."
        return
    next_ps = began[starting & (began >= 0)]
    first = f", of which the first took requests from {at(int(next_ps.min()))}" if len(next_ps) else ""
    yield f"{took}, and {count(int(starting.sum()))} more had been ordered{first}."


def moved(scene: Scene, row: int) -> Iterator[str]:
    times = scene.value(row, "moves")
    if times > 0:
        said = "once" if times == 1 else f"{count(times)} times"
        yield f"It was inside a node that was lost {said}, and went on at node {scene.value(row, 'node')}."


def _limit(what: str) -> Callable[[Scene, int, Phase], Iterator[str]]:
    def says(scene: Scene, row: int, phase: Phase) -> Iterator[str]:
        del phase
        yield f"The limit of {what} per minute had no room for it."
        r, came = scene.requests, scene.value(row, "arrived_ps")
        mine = (r["tenant"] == r["tenant"][row]) & (r["model"] == r["model"][row])
        let_in = mine & (r["admitted_ps"] >= max(0, came - MINUTE_PS)) & (r["admitted_ps"] <= came)
        tokens = int((r["prompt_tokens"] + r["output_tokens"].clip(0))[let_in].sum())
        number, tenant = plural(int(let_in.sum()), "request"), scene.label(row, "tenant")
        own = count(scene.value(row, "prompt_tokens"))
        sizes = f"{plural(tokens, 'token')} in and out; its own prompt has {own}"
        yield f"In the minute before it came, {number} of tenant {tenant} {be(let_in)} let in, with {sizes}."
        yield "What was reserved for those under way, and who else shares the limit, the tables do not say."

    return says


def _at_the_gateway(scene: Scene, row: int, phase: Phase) -> Iterator[str]:
    del phase
    r, came = scene.requests, scene.value(row, "arrived_ps")
    mine = (r["model"] == r["model"][row]) & (r["arrived_ps"] >= 0) & (r["arrived_ps"] <= came)
    mine[row] = False
    passed = r["admitted_ps"] >= 0
    inside = mine & passed & (r["admitted_ps"] <= came) & (left_ps(r) > came)
    waiting = mine & np.where(passed, r["admitted_ps"] > came, (r["ended_ps"] < 0) | (r["ended_ps"] > came))
    yield (
        f"When it came, {plural(int(inside.sum()), 'request')} of its model {be(inside)} at nodes, and "
        f"{count(int(waiting.sum()))} at the gateway or on the way back from a refusal there."
    )


def _at_the_node(scene: Scene, row: int, phase: Phase) -> Iterator[str]:
    del phase
    node = scene.value(row, "node")
    visits, came = scene.visits(scene.label(row, "model"), node), scene.value(row, "admitted_ps")
    waiting = (visits.came_ps <= came) & (visits.left_ps > came) & (visits.rows != row)
    waiting &= (visits.started_ps < 0) | (visits.started_ps > came)
    tokens = int(scene.requests["prompt_tokens"][visits.rows[waiting]].sum())
    number = plural(int(waiting.sum()), "request")
    yield f"At node {node} {number} with {plural(tokens, 'prompt token')} waited when it came."


def _too_long(scene: Scene, row: int, phase: Phase) -> Iterator[str]:
    del phase
    most = scene.facts["models"].get(scene.label(row, "model"), {}).get("context_tokens")
    room = f" of {count(most)} tokens" if most else ""
    prompt = plural(scene.value(row, "prompt_tokens"), "token")
    yield f"Its prompt of {prompt} and its answer do not fit the context{room}."


def _gave_up(scene: Scene, row: int, phase: Phase) -> Iterator[str]:
    waited = scene.value(row, "ended_ps") - scene.value(row, "intended_ps")
    yield f"Its caller gave up after {span(waited)}, {span(phase.lasted_ps)} into this."


def _lost_node(scene: Scene, row: int, phase: Phase) -> Iterator[str]:
    del phase
    yield f"Node {scene.value(row, 'node')} was lost with it inside."


def _lost_path(scene: Scene, row: int, phase: Phase) -> Iterator[str]:
    del scene, row, phase
    yield "Its connection was lost."


def _not_over(scene: Scene, row: int, phase: Phase) -> Iterator[str]:
    del scene, row
    yield f"It had not ended when the run did, in this phase since {at(phase.began_ps)}."


ENDINGS: dict[str, Callable[[Scene, int, Phase], Iterator[str]]] = {
    "rejected_requests_limit": _limit("requests"),
    "rejected_tokens_limit": _limit("tokens"),
    "rejected_input_tokens_limit": _limit("input tokens"),
    "rejected_output_tokens_limit": _limit("output tokens"),
    "rejected_uncached_tokens_limit": _limit("uncached tokens"),
    "rejected_context": _too_long,
    "rejected_saturated": _at_the_gateway,
    "rejected_ttl_expired": _at_the_gateway,
    "rejected_no_endpoints": _at_the_gateway,
    "rejected_max_num_queued_reqs": _at_the_node,
    "rejected_max_num_queued_tokens": _at_the_node,
    "cancelled": _gave_up,
    "timeout": _gave_up,
    "node_lost": _lost_node,
    "path_lost": _lost_path,
    "unfinished": _not_over,
}
"""Why it ended in a phase and went no further, by outcome."""
