"""What a report explains of a run, beside its summary: read off the tables when the report is written."""

from collections.abc import Sequence
from typing import NamedTuple

from reports.explained.bands import Band, bands_of
from reports.explained.chain import Chain, chains_of
from reports.explained.choose import slowest
from reports.explained.over_time import LatencyCourse, course_of
from reports.explained.scene import scenes_of
from reports.metrics import Window
from reports.run_directory import Run
from reports.variant_records import variant_records

MOST_EACH = 20
MOST_CHAINS = 100
FEWEST_EACH = 3
"""Slowest requests that are explained: of each source under each variant, and in the whole report."""


class ExplainedSource(NamedTuple):
    """One source under one variant."""

    bands: dict[str, Band]
    slowest: list[Chain]
    course: LatencyCourse | None


Explained = dict[tuple[str, str], ExplainedSource]
"""By variant and source."""


def explained(run: Run) -> Explained:
    facts, manifest = run.manifest["facts"], run.manifest
    window = Window.of(manifest["warm_up_s"], manifest["horizon_s"])
    records = variant_records(run.tables, facts, window)
    sources = sum(len(record.groups) for record in records.values())
    each = min(MOST_EACH, max(FEWEST_EACH, MOST_CHAINS // max(sources, 1)))
    found: Explained = {}
    for variant, record in records.items():
        names = [group.source["name"] for group in record.groups]
        chains = _chains(run, variant, names, each)
        for name, group in zip(names, record.groups, strict=True):
            mine = [chain for chain in chains if chain.source == name]
            found[variant, name] = ExplainedSource(bands_of(group), mine, course_of(group))
    return found


def _chains(run: Run, variant: str, names: Sequence[str], each: int) -> list[Chain]:
    """Of the slowest of each source. The scenes go again, and with them how long each request took."""
    scenes = list(scenes_of(run, variant))
    return chains_of([one for name in names for one in slowest(scenes, each, name)])
