"""Which requests are explained: one by its number, the slowest, or that at a quantile."""

from collections.abc import Sequence
from math import ceil
from typing import NamedTuple

import numpy as np

from e80sim.mistakes import UserError
from reports.arrays import distinct
from reports.columns import Columns, Ints, Mask
from reports.explained.scene import Scene, scenes_of
from reports.run_directory import Run


class Chosen(NamedTuple):
    scene: Scene
    row: int


def scenes(run: Run, variant: str | None, source: str | None, replication: int | None) -> list[Scene]:
    """Of one variant, the baseline unless another is named. Raises UserError for names that the run lacks."""
    names = [one["name"] for one in run.manifest["facts"]["variants"]]
    if variant is not None and variant not in names:
        raise UserError(f"--variant {variant}: the run has {', '.join(names)}")
    found = list(scenes_of(run, variant or names[0]))
    known = [one["name"] for one in found[0].facts["sources"]] if found else []
    if source is not None and source not in known:
        raise UserError(f"--source {source}: the run has {', '.join(known) or 'no requests'}")
    if replication is None:
        return found
    kept = [scene for scene in found if scene.replication == replication]
    if not kept:
        there = ", ".join(str(scene.replication) for scene in found)
        raise UserError(f"--replication {replication}: the run has {there or 'none with a request'}")
    return kept


def numbered(found: Sequence[Scene], number: int) -> Chosen:
    """In the first replication that has it."""
    for scene in found:
        row = scene.row_of(number)
        if row is not None:
            return Chosen(scene, row)
    of = f"{found[0].variant} has numbers from {_ends(found)}" if found else "the run has no requests"
    raise UserError(f"--request {number}: there is none; {of}")


def _ends(found: Sequence[Scene]) -> str:
    numbers = np.concatenate([scene.requests["number"] for scene in found])
    return f"{numbers.min()} to {numbers.max()}"


def slowest(found: Sequence[Scene], most: int, source: str | None = None) -> list[Chosen]:
    """Of the completed ones that are measured, the slowest first; among equals the lowest number."""
    scene, row, took = _measured(found, source, most)
    number = np.empty(len(row), np.int64)
    for one in distinct(scene).tolist():
        mine = scene == one
        number[mine] = found[one].requests.take(row[mine], ["number"])["number"]
    order = np.lexsort((number, scene, -took))[:most]
    return [Chosen(found[scene[one]], int(row[one])) for one in order]


def at_quantile(found: Sequence[Scene], quantile: float, source: str | None = None) -> Chosen:
    """The one that as many as the quantile says do not exceed."""
    if not 0 < quantile <= 1:
        raise UserError(f"--quantile {quantile:g}: it must be above 0 and at most 1, such as 0.99")
    scene, row, took = _measured(found, source)
    if not len(took):
        raise UserError("no request completed in the time that is measured: there is no quantile to explain")
    place = np.argsort(took, kind="stable")[ceil(quantile * len(took)) - 1]
    return Chosen(found[scene[place]], int(row[place]))


def _measured(found: Sequence[Scene], source: str | None, most: int | None = None) -> tuple[Ints, Ints, Ints]:
    """(index of the scene, row in it, latency); of each scene all, or no fewer than the `most` slowest."""
    rows, took, of = ([np.zeros(0, np.int64)] for _ in range(3))
    for index, scene in enumerate(found):
        mask = measured(scene, source)
        latency = scene.requests.take(mask).each(_took_ps, "ended_ps", "intended_ps")
        row = np.flatnonzero(mask)
        if most is not None and most < len(row):  # no others can be among them
            near = latency >= np.partition(latency, len(row) - most)[len(row) - most]
            row, latency = row[near], latency[near]
        rows.append(row)
        took.append(latency)
        of.append(np.full(len(row), index, np.int64))
    return np.concatenate(of), np.concatenate(rows), np.concatenate(took)


def _took_ps(requests: Columns) -> Ints:
    took: Ints = requests["ended_ps"] - requests["intended_ps"]
    return took


def measured(scene: Scene, source: str | None) -> Mask:
    r = scene.requests
    which = r.outcome("completed") & scene.window.offered(r)
    return which if source is None else which & r.labelled("source", source)
