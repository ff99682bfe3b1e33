"""A trace as a client of ServeGen: its rate and burstiness by windows, and how long its requests were."""

from collections import Counter
from pathlib import Path

import numpy as np

from traffic.servegen.chunk import Pdf, Window, chunk_files
from traffic.traces.trace import Trace
from traffic.traces.words import TraceError
from traffic.units import PS_PER_S, IntArray

WINDOW_S, DATASET_S = 600, 21_600


def write_chunk(trace: Trace, folder: Path, client: int) -> tuple[Path, Path]:
    """Two new files in `folder`, which is made; TraceError where one of them exists."""
    windows = [
        _window(number, trace.arrival_ps[(trace.arrival_ps // (WINDOW_S * PS_PER_S)) == number])
        for number in range(int(trace.span_ps // (WINDOW_S * PS_PER_S)) + 1)
    ]
    if len(windows) < 2:
        windows.append((Window(WINDOW_S, 0.0, 0.0), 0.0))
    at = trace.arrival_ps // (DATASET_S * PS_PER_S)
    lengths = {
        int(number) * DATASET_S: (
            _pdf(trace.prompt_tokens[at == number]),
            _pdf(trace.output_tokens[at == number]),
        )
        for number in np.unique(at)
    }
    paths = folder / f"chunk-{client}-trace.csv", folder / f"chunk-{client}-dataset.json"
    for path, text in zip(paths, chunk_files(windows, lengths), strict=True):
        _write(path, text)
    return paths


def _window(number: int, arrival_ps: IntArray) -> tuple[Window, float]:
    """Where fewer than two gaps lie in it, they are taken for those of a Poisson process."""
    rate = len(arrival_ps) / WINDOW_S
    gaps = np.diff(arrival_ps) / PS_PER_S
    if len(gaps) < 2 or not gaps.mean():
        return Window(number * WINDOW_S, rate, 1.0 if rate else 0.0), 1 / rate if rate else 0.0
    return Window(number * WINDOW_S, rate, float(gaps.std() / gaps.mean())), float(gaps.mean())


def _pdf(tokens: IntArray) -> Pdf:
    counts = Counter(tokens.tolist())
    return {length: counts[length] / len(tokens) for length in sorted(counts)}


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except FileExistsError:
        raise TraceError(f"{path} exists already: choose another --client or folder") from None
    except OSError as problem:
        raise TraceError(f"cannot write {path}: {problem.strerror}") from None
