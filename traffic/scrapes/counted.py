"""What counters grew by between scrapes: requests over time, and how their lengths fell into buckets.

A counter that falls was started anew: what its server shows then has come since.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf
from pathlib import Path

from e80sim.mistakes import UserError
from traffic.scrapes.exposition import Sample, read_samples

ENDED = "vllm:request_success_total"
"""Requests that ended, by finished_reason. vLLM counts none that arrive."""
PROMPT, OUTPUT = "vllm:request_prompt_tokens", "vllm:request_generation_tokens"
MODEL = "model_name"
Key = tuple[str, tuple[tuple[str, str], ...]]
Counters = dict[Key, float]


@dataclass(frozen=True, slots=True)
class Histogram:
    """`counts[i]` requests of more than `edges[i - 1]` tokens, and no more than `edges[i]`."""

    edges: tuple[float, ...]
    """Ascending, the last one infinite."""
    counts: tuple[float, ...]
    tokens: float
    """Of all of them together."""

    @property
    def requests(self) -> float:
        return sum(self.counts)


@dataclass(frozen=True, slots=True)
class Counted:
    model: str
    windows: tuple[tuple[float, float], ...]
    """(seconds, requests that ended in them), one after the other."""
    prompt: Histogram
    output: Histogram


@dataclass(frozen=True, slots=True)
class Scrape:
    """The counters at one moment."""

    at_s: float
    counters: Counters


def count(paths: Sequence[Path], every_s: float | None, over_s: float | None, model: str | None) -> Counted:
    """Of one model; UserError where its histograms are missing, or nothing says how long they took.

    Text files are scrapes `every_s` apart. A single scrape counts from the server's start, `over_s` before.
    """
    scrapes = _scrapes(paths, every_s)
    if len(scrapes) == 1:
        if over_s is None:
            raise UserError(f"{paths[0]} is one scrape: state --over-s, how long its counters had run")
        scrapes = [Scrape(scrapes[0].at_s - over_s, {}), *scrapes]
    name = _model(paths[0], scrapes, model)
    grown = [_grown(before, after, name) for before, after in pairwise(scrapes)]
    whole: Counters = {}
    for one in grown:
        _add(whole, one.items())
    histograms = [_histogram(paths[0], whole, name) for name in (PROMPT, OUTPUT)]
    windows = [
        (after.at_s - before.at_s, _sum(one, ENDED))
        for (before, after), one in zip(pairwise(scrapes), grown, strict=True)
    ]
    if not sum(ended for _, ended in windows):
        raise UserError(f"{paths[0]}: {ENDED} of {name} does not grow: no request ended")
    return Counted(name, tuple(windows), *histograms)


def _scrapes(paths: Sequence[Path], every_s: float | None) -> list[Scrape]:
    """In order of time."""
    stamped: dict[float, list[Sample]] = {}
    plain: list[list[Sample]] = []
    for path in paths:
        samples = read_samples(path)
        if not samples:
            raise UserError(f"{path} holds no samples")
        if samples[0].at_s is None:
            plain.append(samples)
        for sample in samples:
            if sample.at_s is not None:
                stamped.setdefault(sample.at_s, []).append(sample)
    if plain and stamped:
        raise UserError("some files are scrapes and others answers of range queries: give one kind")
    if len(plain) > 1 and every_s is None:
        raise UserError(f"{len(plain)} scrapes do not say when they were made: state --every-s")
    times = sorted(stamped) if stamped else [place * (every_s or 0.0) for place in range(len(plain))]
    return [
        Scrape(at_s, _counters(samples))
        for at_s, samples in zip(times, [stamped[at_s] for at_s in times] if stamped else plain, strict=True)
    ]


def _counters(samples: Iterable[Sample]) -> Counters:
    """Those that only grow: gauges fall without a reason."""
    kept = (PROMPT, OUTPUT, ENDED)
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for sample in samples
        if sample.name.startswith(kept)
    }


def _model(path: Path, scrapes: Sequence[Scrape], asked: str | None) -> str:
    models = {
        dict(labels).get(MODEL, "")
        for scrape in scrapes
        for name, labels in scrape.counters
        if name == f"{PROMPT}_bucket"
    }
    if not models:
        raise UserError(f"{path} has no {PROMPT}_bucket: it is no scrape of vLLM's /metrics")
    if asked is None and len(models) > 1:
        raise UserError(f"{path} has {len(models)} models: choose with --model {', '.join(sorted(models))}")
    if asked is not None and asked not in models:
        raise UserError(f"--model {asked}: {path} has {', '.join(sorted(models))}")
    return asked if asked is not None else next(iter(models))


def _grown(before: Scrape, after: Scrape, model: str) -> Counters:
    """Where one counter of a server falls, all of them have started anew, those that are larger again too."""
    anew = {_server(key) for key, value in after.counters.items() if value < before.counters.get(key, 0.0)}
    return {
        key: value if _server(key) in anew else value - before.counters.get(key, 0.0)
        for key, value in after.counters.items()
        if dict(key[1]).get(MODEL, "") == model
    }


def _server(key: Key) -> str:
    """Prometheus' own label of who was scraped; a file of one scrape has none."""
    return dict(key[1]).get("instance", "")


def _add(into: Counters, items: Iterable[tuple[Key, float]]) -> None:
    for key, value in items:
        into[key] = into.get(key, 0.0) + value


def _of(counters: Counters, name: str) -> Iterator[tuple[dict[str, str], float]]:
    return ((dict(labels), value) for (known, labels), value in counters.items() if known == name)


def _sum(counters: Counters, name: str) -> float:
    return sum(value for _, value in _of(counters, name))


def _histogram(path: Path, counters: Counters, name: str) -> Histogram:
    """Summed over engines: buckets of Prometheus count all that is no longer than their edge."""
    below: dict[float, float] = {}
    for labels, value in _of(counters, f"{name}_bucket"):
        edge = _edge(labels.get("le", ""))
        if edge is not None:
            below[edge] = below.get(edge, 0.0) + value
    edges = sorted(below)
    if len(edges) < 2 or edges[-1] != inf:
        raise UserError(f"{path} has no histogram {name} with buckets up to +Inf")
    counts = [below[edges[0]], *(below[high] - below[low] for low, high in pairwise(edges))]
    if min(counts) < 0:
        raise UserError(f"{path}: buckets of {name} do not add up: a longer one counts fewer requests")
    if not sum(counts):
        raise UserError(f"{path}: {name} counted no request")
    return Histogram(tuple(edges), tuple(counts), _sum(counters, f"{name}_sum"))


def _edge(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
