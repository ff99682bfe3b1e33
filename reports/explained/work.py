"""What a request shared its steps with, and what took its place in them, from its first step to its last."""

from collections.abc import Iterator

import numpy as np

from reports.explained.neighbours import batch_of
from reports.explained.phases import Phase
from reports.explained.preempted import preempted
from reports.explained.scene import Scene, Visits
from reports.explained.waits import first_node
from reports.explained.wording import at, requests, span, were
from reports.words import count, number, plural


def prefill(scene: Scene, row: int, phase: Phase) -> Iterator[str]:
    prompt, cached = scene.value(row, "prompt_tokens"), max(scene.value(row, "cached_tokens"), 0)
    found = f", of which the prefix cache held {count(cached)}" if cached else ""
    yield f"Its prompt had {plural(prompt, 'token')}{found}."
    yield from preempted(scene, row, phase)
    node = first_node(scene, row)
    if _moved(scene, row) or node < 0:
        yield UNTOLD_BATCH
        return
    yield from _shared(scene, row, node, phase.began_ps, phase.ended_ps)
    yield from _also_in_prefill(scene, scene.visits(scene.label(row, "model"), node), row, phase)


UNTOLD_BATCH = "It was moved from a lost node, so the tables do not say with whom it shared which steps."


def decode(scene: Scene, row: int, phase: Phase) -> Iterator[str]:
    made = scene.value(row, "output_tokens") - scene.value(row, "samples")
    each = f", {span(phase.lasted_ps // made)} for each after the first" if made > 0 else ""
    yield f"{plural(scene.value(row, 'output_tokens'), 'token')} came out of it{each}."
    yield from preempted(scene, row, phase)
    if scene.divides_work(scene.label(row, "model")):
        yield from _between_nodes(scene, row)
        return
    if _moved(scene, row):
        yield UNTOLD_BATCH
        return
    yield from _shared(scene, row, scene.value(row, "node"), phase.began_ps, phase.ended_ps)


def _moved(scene: Scene, row: int) -> bool:
    return scene.value(row, "moves") > 0


def _shared(scene: Scene, row: int, node: int, began_ps: int, ended_ps: int) -> Iterator[str]:
    model = scene.label(row, "model")
    batch = batch_of(scene.visits(model, node), row, began_ps, ended_ps, scene.absences(model, node))
    if not batch.most:
        yield f"It had node {node} to itself."
        return
    mean = number(batch.mean, 2)
    most = count(batch.most)
    yield f"It shared its steps at node {node} with {mean} other requests on average, at most {most}."
    if len(batch.entered):
        tokens = int(scene.requests["prompt_tokens"][batch.entered].sum())
        yield (
            f"Meanwhile {requests(scene, batch.entered)} {were(batch.entered)} first in a step, with "
            f"{plural(tokens, 'prompt token')} to compute."
        )


def _also_in_prefill(scene: Scene, visits: Visits, row: int, phase: Phase) -> Iterator[str]:
    """Those whose prompt was under way when this one's began: they go on first."""
    first = scene.requests["first_ps"][visits.rows]
    under_way = (visits.started_ps >= 0) & (visits.started_ps < phase.began_ps) & (visits.rows != row)
    rows = visits.rows[
        under_way & ((first < 0) | (first > phase.began_ps)) & (visits.left_ps > phase.began_ps)
    ]
    if len(rows):
        yield f"When it began, the prompt of {requests(scene, np.sort(rows))} {were(rows)} under way already."


def _between_nodes(scene: Scene, row: int) -> Iterator[str]:
    """Of a model whose nodes divide the work: where it was after its first token, and for how long."""
    stages = scene.stages
    assert stages is not None
    mine = stages.take(stages["number"] == scene.value(row, "number"))
    order = np.argsort(mine["began_ps"], kind="stable")
    for place in order:
        stage, node = mine.names["stage"][int(mine["stage"][place])], int(mine["node"][place])
        began, ended = int(mine["began_ps"][place]), int(mine["ended_ps"][place])
        if stage == "prefill" or began < 0 or ended <= began:
            continue
        yield STAGES[stage].format(node=node, at=at(began), span=span(ended - began))
        if stage == "decode":
            yield from _shared(scene, row, node, began, ended)


STAGES = {
    "handover": "From {at} it waited {span} for a decode node with room.",
    "transfer": "From {at} its KV cache went to node {node}, for {span}.",
    "decode": "From {at} node {node} decoded it, for {span}.",
}
