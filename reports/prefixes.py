"""What prefix caches found, beside the most that any could: all replications of a variant together."""

from typing import Any

import numpy as np

from reports.arrays import among
from reports.columns import Columns

MOST_NAMED = 12
"""Beginnings of prompts that are named for each model; the others are one row."""
COUNTS = ("lookups", "tokens", "found_tokens", "optimum_tokens", "ceiling_tokens")


def prefixes_json(prefixes: Columns) -> list[dict[str, Any]]:
    """By model: the whole, and its beginnings of prompts, those with the most tokens first."""
    return [
        _model_json(model, prefixes.take(prefixes["model"] == code))
        for code, model in enumerate(prefixes.names["model"])
        if code in prefixes["model"]
    ]


def _model_json(model: str, mine: Columns) -> dict[str, Any]:
    names = mine.names["prefix"]
    tokens = np.zeros(len(names), np.int64)
    np.add.at(tokens, mine["prefix"], mine["tokens"])
    by_size = [int(code) for code in np.argsort(-tokens, kind="stable") if tokens[code] and names[code]]
    named = by_size[:MOST_NAMED]
    groups = [{"prefix": names[code], **_counts(mine.take(mine["prefix"] == code))} for code in named]
    others = mine.take(~among(mine["prefix"], named))
    if len(others):
        groups.append({"prefix": None, **_counts(others)})
    return {"model": model, **_counts(mine), "beginnings": len(by_size), "groups": groups}


def _counts(rows: Columns) -> dict[str, int]:
    return {name: int(rows[name].sum()) for name in COUNTS}
