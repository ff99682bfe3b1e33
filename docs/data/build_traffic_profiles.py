"""Derives `traffic/data/profiles/*.yaml` from recorded traffic: quantiles of lengths and the course of rates.

Run it as `E80SIM_DATA=/path/to/data python docs/data/build_traffic_profiles.py` after a raw file has changed.
The raw files are not part of this repository; ours hold rounded figures.
"""

import ast
import csv
import json
import os
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from traffic.profiles import FOLDER, LEVELS
from traffic.traces import Trace, read_trace
from traffic.traces.convert import spread_out
from traffic.traces.describe import cv_within_windows, window_counts
from traffic.units import PS_PER_S, FloatArray, IntArray

AZURE = "AzureLLMInferenceTrace_conv.csv of Azure/AzurePublicDataset@b469a113"
MOONCAKE = "FAST25-release/traces/conversation_trace.jsonl of kvcache-ai/Mooncake@3b5a5941"
SERVEGEN = "data/language/m-small/chunk-0 and chunk-10 of alibaba/ServeGen@f891d118"
SERVEGEN_CLIENTS = (0, 10)
SERVEGEN_WINDOW_S = 600
SERVEGEN_LENGTHS_S = 6 * 3600


@dataclass(frozen=True, slots=True)
class Course:
    """Of the rate, by the requests in each window."""

    rate_per_s: float
    rate_source: str
    cv: float
    cv_source: str
    cv_confidence: str
    window_s: int
    counts: FloatArray
    counts_source: str


@dataclass(frozen=True, slots=True)
class Lengths:
    mean: float
    quantiles: list[int]


def build(data: Path) -> dict[str, str]:
    """File name -> text of each profile, from the raw files under `data`/traces."""
    raw = data / "traces"
    return {
        "azure-2023-conv.yaml": _azure(read_trace(raw / "AzureLLMInferenceTrace_conv.csv")),
        # Its clock of 3 s would put whole ticks to one side of a minute's end
        "mooncake-conversation.yaml": _mooncake(
            spread_out(read_trace(raw / "mooncake_conversation_trace.jsonl"))
        ),
        "servegen-m-small.yaml": _servegen(raw),
    }


def _azure(trace: Trace) -> str:
    about = {
        "title": "Azure's chat service, an hour of November 2023",
        "source": AZURE,
        "licence": "CC-BY 4.0; its users are asked to cite Splitwise (ISCA 2024)",
        "covers": "all 19,366 requests of 58 minutes of one day (18:15 to 19:14), arrivals and lengths",
        "lacks": "any other hour, day and night, who sent what, and conversations",
    }
    course = Course(
        rate_per_s=_rate_per_s(trace),
        rate_source=_rate_source(trace),
        cv=_cv(trace),
        cv_source="median over the complete minutes of the variation of the gaps inside one",
        cv_confidence="measured",
        window_s=60,
        counts=window_counts(trace, 60).astype(float),
        counts_source="requests in each of the 58 complete minutes, in their order",
    )
    return _text(about, course, _of(trace.prompt_tokens), _of(trace.output_tokens))


def _mooncake(trace: Trace) -> str:
    about = {
        "title": "Kimi's chat service as Mooncake recorded it, an hour",
        "source": MOONCAKE,
        "licence": "Apache-2.0",
        "covers": "the first 11,523 of 12,031 requests, 57 of 59 minutes: long prompts, arrivals and lengths",
        "lacks": "arrival times finer than the 3 s of its clock, any other hour, prefixes shared between "
        "prompts, and who sent what",
    }
    course = Course(
        rate_per_s=_rate_per_s(trace),
        rate_source=_rate_source(trace),
        cv=1.0,
        cv_source="Poisson within a minute: a clock of 3 s hides the gaps",
        cv_confidence="assumed",
        window_s=60,
        counts=window_counts(trace, 60).astype(float),
        counts_source="requests in each of the 56 complete minutes, in their order",
    )
    return _text(about, course, _of(trace.prompt_tokens), _of(trace.output_tokens))


def _servegen(raw: Path) -> str:
    about = {
        "title": "Two API clients of a small model, from ServeGen's m-small",
        "source": SERVEGEN,
        "licence": "Apache-2.0",
        "covers": "2 of 43 clients over 14 days; they sent in 40 windows of ten minutes, and these windows "
        "make up the profile, client after client; lengths weighted by the requests of their six hours",
        "lacks": "the other 41 clients (all together: 115 tokens in and 14 out on the mean), the silence "
        "between those windows, and times of day",
    }
    sent = {client: _servegen_windows(raw, client) for client in SERVEGEN_CLIENTS}
    windows = [window for client in SERVEGEN_CLIENTS for window in sent[client]]
    rates = np.array([rate for _, rate, _ in windows])
    course = Course(
        rate_per_s=float(rates.mean()),
        rate_source="mean of the 40 windows in which they sent",
        cv=_weighted_median(np.array([cv for _, _, cv in windows]), rates),
        cv_source="median of the windows' own, weighted by their rates; four of the 40 have 7 to 119",
        cv_confidence="measured",
        window_s=SERVEGEN_WINDOW_S,
        counts=rates * SERVEGEN_WINDOW_S,
        counts_source="rates of those windows, in their order and without the silence between them",
    )
    prompt, output = (_servegen_lengths(raw, sent, side) for side in ("input_tokens", "output_tokens"))
    return _text(about, course, prompt, output)


def _servegen_windows(raw: Path, client: int) -> list[tuple[int, float, float]]:
    """(start in s, rate, variation of the gaps) of the windows that are not silent."""
    path = raw / f"servegen_m-small_chunk-{client}-trace.csv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = [(int(row[0]), float(row[1]), float(row[2])) for row in csv.reader(file)]
    return [row for row in rows if row[1] > 0]


def _servegen_lengths(raw: Path, sent: dict[int, list[tuple[int, float, float]]], side: str) -> Lengths:
    """Each six hours have a distribution, and weigh as much as the client sent in them."""
    weights: Counter[int] = Counter()
    for client, windows in sent.items():
        text = (raw / f"servegen_m-small_chunk-{client}-dataset.json").read_text(encoding="utf-8")
        for start_s, tables in json.loads(text).items():
            hours = range(int(start_s), int(start_s) + SERVEGEN_LENGTHS_S)
            requests = sum(rate for at_s, rate, _ in windows if at_s in hours)
            for tokens, share in ast.literal_eval(tables[side]).items():
                weights[max(1, tokens)] += requests * share
    tokens = np.array(sorted(weights))
    shares = np.array([weights[n] for n in tokens])
    shares /= shares.sum()
    below = np.minimum(np.searchsorted(np.cumsum(shares), LEVELS - 1e-12), len(tokens) - 1)
    return Lengths(float(tokens @ shares), [int(n) for n in tokens[below]])


def _of(tokens: IntArray) -> Lengths:
    return Lengths(float(tokens.mean()), [round(n) for n in np.quantile(tokens, LEVELS)])


def _rate_per_s(trace: Trace) -> float:
    return (trace.rows - 1) * PS_PER_S / trace.span_ps


def _cv(trace: Trace) -> float:
    cv = cv_within_windows(trace, 60)
    assert cv is not None, "the trace has complete minutes"
    return cv


def _rate_source(trace: Trace) -> str:
    return f"{trace.rows - 1:,} gaps in {trace.span_ps / PS_PER_S:,.1f} s"


def _weighted_median(values: FloatArray, weights: FloatArray) -> float:
    order = np.argsort(values)
    reached = np.cumsum(weights[order]) / weights.sum()
    return float(values[order][np.searchsorted(reached, 0.5)])


def _text(about: dict[str, str], course: Course, prompt: Lengths, output: Lengths) -> str:
    factors, kept = _factors(course.counts, course.cv)
    drawn = f"; drawn towards their mean by {1 - kept:.1%}, since the gaps make them scatter too"
    counts_source = course.counts_source + (drawn if kept < 0.999 else "")
    lines = [
        "# Built by docs/data/build_traffic_profiles.py",
        "# Quantiles at 0, 1 ... 99, 99.5, 99.9, 99.99 and 100 %",
        *(f"{key}: {json.dumps(text)}" for key, text in about.items()),
        "confidence: measured",
        "arrivals:",
        f"  rate_per_s: {_figure(course.rate_per_s, course.rate_source, 'measured')}",
        f"  cv: {_figure(course.cv, course.cv_source, course.cv_confidence)}",
        "  windows:",
        f"    window_s: {course.window_s}",
        f"    source: {json.dumps(counts_source)}",
        "    confidence: derived",
        "    factors:",
        *_wrapped(factors),
    ]
    for name, lengths in (("prompt_tokens", prompt), ("output_tokens", output)):
        lines += [f"{name}:", f"  mean: {lengths.mean:.1f}", "  quantiles:", *_wrapped(lengths.quantiles)]
    return "\n".join(lines) + "\n"


def _factors(counts: FloatArray, cv: float) -> tuple[list[float], float]:
    """Over their mean, and the part of each deviation that is the rate's.

    Counts of a renewal process at a steady rate scatter with a variance of cv**2 times their mean (Cox 1962);
    were that left in the factors, the model's counts would have it twice.
    """
    kept = max(0.0, 1 - cv**2 * counts.mean() / counts.var()) ** 0.5
    return [round(1 + kept * float(n), 2) for n in counts / counts.mean() - 1], kept


def _figure(value: float, source: str, confidence: str) -> str:
    return f"{{value: {value:.3g}, source: {json.dumps(source)}, confidence: {confidence}}}"


def _wrapped(numbers: list[int] | list[float]) -> list[str]:
    """A flow sequence, twenty to a line."""
    rows = [", ".join(map(str, numbers[i : i + 20])) for i in range(0, len(numbers), 20)]
    return [f"      {'[' if row is rows[0] else ' '}{row}{']' if row is rows[-1] else ','}" for row in rows]


def main() -> None:
    data = os.environ.get("E80SIM_DATA")
    if data is None:
        sys.exit("set E80SIM_DATA to the folder that holds the raw files, in traces/")
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in build(Path(data)).items():
        (FOLDER / name).write_text(text, encoding="utf-8")
        sys.stdout.write(f"{FOLDER / name}: {len(text):,} bytes\n")


if __name__ == "__main__":
    main()
