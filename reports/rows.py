"""The rows of every table and figure: one traffic source under one variant, with the label a reader sees."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from reports.estimate import ShownEstimate, read_estimate
from reports.record import OUTCOMES

Summary = Mapping[str, Any]


@dataclass(frozen=True)
class Row:
    variant: str
    variant_title: str
    short_title: str
    """The variant's, as `short_titles` has it."""
    group: Mapping[str, Any]
    label: str
    """No longer than it takes to tell it from its neighbours."""
    place_label: str
    mode: str | None
    state: str
    """The verdict on the model that it asks."""

    @property
    def source(self) -> str:
        return str(self.group["source"])

    @property
    def has_app(self) -> bool:
        return self.group.get("app") is not None

    @property
    def calls(self) -> int:
        return int(self.group.get("calls") or 1)

    @property
    def key(self) -> str:
        return f"{self.variant}/{self.source}"

    def statistic(self, metric: str, name: str) -> ShownEstimate:
        return read_estimate(self.group["metrics"].get(metric, {}).get(name))

    def phases(self) -> dict[str, ShownEstimate]:
        """Mean seconds per model request."""
        return {name: read_estimate(entry) for name, entry in self.group.get("phases", {}).items()}

    def felt_phases(self) -> dict[str, ShownEstimate]:
        """Mean seconds per user request: those of its one model request where no app stands between."""
        entries = self.group.get("felt_phases")
        if entries is None:
            return self.phases()
        return {name: read_estimate(entry) for name, entry in entries.items()}

    def outcome(self, name: str) -> int:
        return int(self.group["counts"].get(name, 0))

    @property
    def retries(self) -> bool:
        """Whether an ask may take several requests."""
        return self.group.get("client") is not None

    @property
    def failed_share(self) -> float:
        """Of the offered requests, or asks where clients retry, those that ended in any way but completed."""
        counts = self.group["asks"] if self.retries else self.group["counts"]
        failed = sum(int(counts.get(name, 0)) for name in OUTCOMES if name not in {"completed", "unfinished"})
        return failed / int(counts["offered"]) if failed else 0.0


def variant_titles(summary: Summary) -> dict[str, str]:
    """Name to title, baseline first."""
    return {v["name"]: str(v.get("title") or v["name"]) for v in summary["facts"]["variants"]}


def short_titles(summary: Summary) -> dict[str, str]:
    """By variant, its title up to the first comma where that still tells them apart."""
    titles = variant_titles(summary)
    cut = {name: title.partition(",")[0] for name, title in titles.items()}
    return cut if len(set(cut.values())) == len(cut) else titles


def labelled(summary: Summary, key: str, *fields: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """What variants tell under `key`, each called by its variant, where there are several, and its fields."""

    def called(found: Mapping[str, Any], field: str) -> str:
        return f"no {field}" if found[field] in {"", None} else str(found[field])

    titles = variant_titles(summary)
    for name, variant in summary["variants"].items():
        for found in variant.get(key, ()):
            named = [titles.get(name, name)] if len(titles) > 1 else []
            yield " · ".join([*named, *(called(found, field) for field in fields)]), found


def rows_of(summary: Summary) -> list[Row]:
    """Source by source, so that what is compared stands together; the baseline first in each."""
    titles, short = variant_titles(summary), short_titles(summary)
    ran = {name: summary["variants"][name]["groups"] for name in titles if name in summary["variants"]}
    sources = dict.fromkeys(str(group["source"]) for groups in ran.values() for group in groups)
    rows = []
    for source in sources:
        for variant, groups in ran.items():
            for group in (g for g in groups if g["source"] == source):
                named = [source] if len(sources) > 1 or len(titles) == 1 else []
                label = " · ".join([*named, titles[variant]] if len(titles) > 1 else named)
                place, mode = _place_label(summary, variant, group), _mode(summary, variant, source)
                state = _state(summary["variants"][variant]["verdict"], group)
                rows.append(Row(variant, titles[variant], short[variant], group, label, place, mode, state))
    return rows


def rows_by_source(rows: list[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.source, []).append(row)
    return found


def _state(verdict: Mapping[str, Any], group: Mapping[str, Any]) -> str:
    return str(verdict.get("models", {}).get(group["model"], verdict["state"]))


def _place_label(summary: Summary, variant: str, group: Mapping[str, Any]) -> str:
    place = str(group["place"])
    return str(places_of(summary, variant).get(place, {}).get("label") or place)


def places_of(summary: Summary, variant: str) -> Mapping[str | None, Any]:
    """As the variant has them."""
    facts = summary["facts"]
    of_baseline = facts.get("places", {})
    found: Mapping[str | None, Any] = facts.get("places_by_variant", {}).get(variant) or of_baseline
    return found


def _mode(summary: Summary, variant: str, source: str) -> str | None:
    facts = summary["facts"]
    sources = facts.get("sources_by_variant", {}).get(variant) or facts.get("sources", [])
    return next((s.get("mode") for s in sources if s["name"] == source), None)
