"""Prometheus' text format and the JSON of its range queries, as samples with names, labels and times."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from e80sim.mistakes import UserError

_SAMPLE = re.compile(r'([a-zA-Z_:][\w:.]*)(?:\{((?:[^"}]|"(?:[^"\\]|\\.)*")*)\})?\s+(\S+)(?:\s.*)?', re.ASCII)
_LABEL = re.compile(r'\s*([a-zA-Z_][\w.]*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*,?', re.ASCII)
_ESCAPES = {"\\n": "\n", '\\"': '"', "\\\\": "\\"}


class Sample(NamedTuple):
    name: str
    labels: dict[str, str]
    value: float
    at_s: float | None = None
    """None in the text format, where a scrape is of one moment that the file does not tell."""


def read_samples(path: Path) -> list[Sample]:
    """Raises UserError for a file that is neither."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UserError(f"{path} is not a text file in UTF-8") from None
    except OSError as problem:
        raise UserError(f"cannot read {path}: {problem.strerror}") from None
    if text.lstrip().startswith("{"):
        return list(_of_range_query(path, text))
    return list(_of_text(path, text))


def _of_text(path: Path, text: str) -> Iterator[Sample]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        match = _SAMPLE.fullmatch(line.strip())
        if match is None:
            raise UserError(
                f"{path} line {number}: {line.strip()[:60]!r} is no sample of Prometheus' text format"
            )
        name, labels, value = match.groups()
        yield Sample(_known_name(name), _labels(labels or ""), _number(f"{path} line {number}", value))


def _labels(text: str) -> dict[str, str]:
    return {name: _unescaped(value) for name, value in _LABEL.findall(text)}


def _unescaped(value: str) -> str:
    return re.sub(r"\\.", lambda match: _ESCAPES.get(match.group(), match.group()), value)


def _of_range_query(path: Path, text: str) -> Iterator[Sample]:
    try:
        document = json.loads(text)
        found = document["data"]["result"]
        series = [(dict(one["metric"]), list(one["values"])) for one in found]
    except (ValueError, KeyError, TypeError):
        raise UserError(
            f"{path} is JSON, and not what /api/v1/query_range answers: data.result with metric and values"
        ) from None
    for labels, values in series:
        name = _known_name(str(labels.pop("__name__", "")))
        for pair in values:
            at_s, value = pair
            yield Sample(name, labels, _number(f"{path} series {name}", str(value)), float(at_s))


def _known_name(name: str) -> str:
    """OpenMetrics without escaping turns the colon into `_`."""
    return name.replace("vllm_", "vllm:", 1) if name.startswith("vllm_") else name


def _number(where: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UserError(f"{where}: {text[:40]!r} is not a number") from None
