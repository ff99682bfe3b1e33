"""Bands and ranks from draws of uncertain values: what they do to an answer, and which of them matter.

Works on arrays alone. A band holds the middle 90 % of the draws. It is no confidence interval: it says how
far the answer moves while every value stays within what its evidence allows.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from reports.columns import Floats
from reports.headlines import Headline, Headlines
from reports.statistics import quantiles
from reports.words import number

BAND = (0.05, 0.5, 0.95)
ADVISED_DRAWS = 20
SHOWN = 10
LEAST_DRAWS = 5
"""Fewer make no band and no rank."""


class Input(NamedTuple):
    name: str
    model: str | None
    low: float
    high: float
    confidence: str
    variants: tuple[str, ...] = ()
    """That rest on it; none are named where all do."""

    @property
    def label(self) -> str:
        return self.name if self.model is None else f"{self.model}: {self.name}"


class Influence(NamedTuple):
    """Of one value on one headline: medians over the draws that have it in its lowest and highest third."""

    column: int
    spearman: float
    at_low: float
    at_high: float

    @property
    def swing(self) -> float:
        return self.at_high - self.at_low


@dataclass(frozen=True, slots=True)
class Study:
    inputs: tuple[Input, ...]
    values: Floats
    """A row per draw, a column per input."""
    results: Sequence[Headlines]
    """One per draw."""
    asked: int
    """Draws; an interrupt leaves fewer."""
    unbounded: tuple[str, ...]
    """Names of derived and assumed values that have no range."""
    replications: int
    """Of each draw."""
    baseline: str

    @property
    def draws(self) -> int:
        return len(self.results)

    def series(self) -> dict[Headline, Floats]:
        """Over the draws, of the headlines that any of them has; not a number where a draw lacks it."""
        keys = dict.fromkeys(key for result in self.results for key in result)
        return {key: np.array([result.get(key, math.nan) for result in self.results]) for key in keys}


def band(values: Floats) -> dict[str, float] | None:
    """None where too few draws have the number."""
    known = values[~np.isnan(values)]
    if len(known) < LEAST_DRAWS:
        return None
    low, median, high = quantiles(known, BAND).tolist()
    return {"low": low, "high": high, "median": median}


def spearman(one: Floats, other: Floats) -> float:
    """Correlation of the ranks; 0 where either does not vary."""
    from scipy.stats import rankdata  # noqa: PLC0415 -- a second, which only a study of uncertainty pays

    a, b = (rankdata(values) - (len(values) + 1) / 2 for values in (one, other))
    scale = math.sqrt(float(a @ a) * float(b @ b))
    return float(a @ b) / scale if scale > 0 else 0.0


def influences(values: Floats, result: Floats) -> list[Influence]:
    """Of every column of `values`, the strongest first."""
    known = ~np.isnan(result)
    values, result = values[known], result[known]
    third = len(result) // 3
    if len(result) < LEAST_DRAWS or not third:
        return []
    found = []
    for index, drawn in enumerate(values.T):
        order = np.argsort(drawn, kind="stable")
        at_low, at_high = np.median(result[order[:third]]), np.median(result[order[-third:]])
        found.append(Influence(index, spearman(drawn, result), float(at_low), float(at_high)))
    return sorted(found, key=lambda one: (-abs(one.spearman), one.column))


def noise(draws: int) -> float:
    """A rank correlation below this is what chance alone would show in 19 of 20 cases."""
    return 1.96 / math.sqrt(draws - 1) if draws > 1 else 1.0


def uncertainty_json(study: Study) -> dict[str, Any]:
    """What summary.json says; `differences` are against the first variant, within a draw."""
    series = study.series()
    return {
        "draws": study.draws,
        "replications": study.replications,
        "values": [{**one._asdict(), "variants": list(one.variants)} for one in study.inputs],
        "unbounded": list(study.unbounded),
        "notes": _notes(study),
        "bands": _bands(series),
        "differences": _bands(_differences(series, study.baseline)),
        "tornado": _tornado(study, series),
    }


def uncertainty_table(study: Study) -> pa.Table:
    """A row per draw: its number, its values, and every headline."""
    columns: dict[str, Any] = {"draw": np.arange(study.draws)}
    for index, one in enumerate(study.inputs):
        columns[_column(one, study.inputs[:index])] = study.values[:, index]
    for key, found in study.series().items():
        columns["/".join(("result", *key))] = found
    return pa.table({name: pa.array(column, from_pandas=True) for name, column in columns.items()})


def _column(one: Input, before: Sequence[Input]) -> str:
    """Two laws of a model may have a value of the same name: the later one is told by its first variant."""
    name = f"value/{one.model or 'network'}/{one.name}"
    twin = any((one.model, one.name) == (other.model, other.name) for other in before)
    return f"{name}/{one.variants[0]}" if twin else name


def uncertainty_again(table: pa.Table, told: Mapping[str, Any], baseline: str) -> dict[str, Any]:
    """The section `told` of a summary, made again from the table of its draws.

    The table does not have the ranges of the values, how many draws were asked for, and what had no range.
    """
    inputs: list[Input] = []
    values, series = [], {}
    for column in table.column_names:
        kind, *names = column.split("/")
        found: Floats = table[column].to_numpy().astype(np.float64)
        if kind == "value":
            model, name = None if names[0] == "network" else names[0], names[1]
            inputs.append(_told(told["values"], len(inputs), name, model))
            values.append(found)
        elif kind == "result":
            series[Headline(*names)] = found
    results = [
        {key: found[draw] for key, found in series.items() if not math.isnan(found[draw])}
        for draw in range(len(table))
    ]
    drawn = np.stack(values, axis=1) if values else np.empty((len(table), 0))
    again = Study(tuple(inputs), drawn, results, len(table), (), told["replications"], baseline)
    return uncertainty_json(again) | {key: told[key] for key in ("unbounded", "notes")}


def _told(values: Sequence[Mapping[str, Any]], index: int, name: str, model: str | None) -> Input:
    """The value of a column; without a range where another is told in its place."""
    if index < len(values) and (values[index]["name"], values[index]["model"]) == (name, model):
        return Input(**{**values[index], "variants": tuple(values[index].get("variants", ()))})
    return Input(name, model, math.nan, math.nan, "")


def _notes(study: Study) -> list[str]:
    notes = []
    if study.draws < study.asked:
        notes.append(f"The draws were interrupted: these are {study.draws} of {study.asked}.")
    if not study.inputs:
        notes.append("No derived or assumed value has a range: the draws would all be the same.")
    elif study.draws < ADVISED_DRAWS:
        notes.append(
            f"Bands and ranks rest on {study.draws} draws: take {ADVISED_DRAWS} or more. A rank correlation "
            f"below {number(noise(study.draws), 2)} may be chance."
        )
    if study.unbounded:
        some = ", ".join(study.unbounded[:5]) + (" and others" if len(study.unbounded) > 5 else "")
        notes.append(
            f"{len(study.unbounded)} derived or assumed values state no range and stay as they are ({some}): "
            "the bands leave them out."
        )
    return notes


def _bands(series: Mapping[Headline, Floats]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for variant, source, keys in _by_source(series):
        metric: dict[str, dict[str, Any]] = {}
        for key in keys:
            known = band(series[key])
            if known is not None:
                metric.setdefault(key.metric, {})[key.statistic] = known
        found.setdefault(variant, []).append({"source": source, "metric": metric})
    return found


def _by_source(series: Iterable[Headline]) -> list[tuple[str, str, list[Headline]]]:
    grouped = groupby(sorted(series, key=_order(series)), key=lambda key: (key.variant, key.source))
    return [(variant, source, list(keys)) for (variant, source), keys in grouped]


def _order(series: Iterable[Headline]) -> Any:  # noqa: ANN401 -- a sort key
    """Variants and sources as they first come, so that the baseline stays first."""
    place = {pair: i for i, pair in enumerate(dict.fromkeys((key.variant, key.source) for key in series))}
    return lambda key: place[key.variant, key.source]


def _differences(series: Mapping[Headline, Floats], baseline: str) -> dict[Headline, Floats]:
    return {
        key: found - series[base]
        for key, found in series.items()
        if key.variant != baseline and (base := key._replace(variant=baseline)) in series
    }


def _tornado(study: Study, series: Mapping[Headline, Floats]) -> dict[str, list[dict[str, Any]]]:
    """For each source the values that move its felt p95 (its mean, where there is no p95) the most."""
    found: dict[str, list[dict[str, Any]]] = {}
    for variant, source, keys in _by_source(series):
        key = _told_by(keys)
        strongest = _resting(study, variant, series[key])[:SHOWN] if key else []
        if key and strongest:
            found.setdefault(variant, []).append(
                {
                    "source": source,
                    "metric": key.metric,
                    "statistic": key.statistic,
                    "noise": noise(study.draws),
                    "rows": [_row(study.inputs[one.column], one) for one in strongest],
                }
            )
    return found


def _resting(study: Study, variant: str, result: Floats) -> list[Influence]:
    """Of the values that the variant rests on: any other would be ranked by chance alone."""
    own = [i for i, one in enumerate(study.inputs) if not one.variants or variant in one.variants]
    found = influences(study.values[:, own], result) if own else []
    return [one._replace(column=own[one.column]) for one in found]


def _told_by(keys: Sequence[Headline]) -> Headline | None:
    felt = {key.statistic: key for key in keys if key.metric == "felt"}
    return felt.get("p95") or felt.get("mean")


def _row(one: Input, influence: Influence) -> dict[str, Any]:
    return {
        "name": one.name,
        "model": one.model,
        "spearman": influence.spearman,
        "at_low": influence.at_low,
        "at_high": influence.at_high,
        "swing": influence.swing,
    }
