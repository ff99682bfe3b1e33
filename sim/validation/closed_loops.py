"""Means of closed loops: so many clients, each of which asks again as soon as it has its answer.

A row is one such run, as benchmarks of a stated concurrency report it. What is compared is the steady state:
without the start, when all clients ask at once, and without the end, when fewer and fewer are left.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan
from pathlib import Path

import numpy as np

from e80sim.measured import MeasuredError
from e80sim.measured.cells import Cells
from e80sim.measured.columns import COLUMNS, measured_metrics, ms, named, one_of, unused
from e80sim.measured.files import ReadFile, read_file
from sim.scenario.schema import Scenario
from sim.validation.compare import TITLES, aligned
from sim.validation.recorded import METRICS, RecordedRequests
from sim.validation.replay import replay

CONCURRENCY = ("concurrency", "max_concurrency")
ANSWERS = 4
"""That count, of each client."""


@dataclass(frozen=True, slots=True)
class ClosedLoop:
    prompt_tokens: int
    output_tokens: int
    concurrency: int
    measured_ms: Mapping[str, float]
    """Means by metric."""


@dataclass(frozen=True, slots=True)
class ClosedLoops:
    name: str
    rows: tuple[ClosedLoop, ...]
    notes: tuple[str, ...] = ()

    @property
    def longest_tokens(self) -> int:
        return max(row.prompt_tokens + row.output_tokens for row in self.rows)


def closed_loops_of(path: Path) -> ClosedLoops | None:
    """None of a file without a column for the concurrency; MeasuredError for a row that cannot be used."""
    file = read_file(path)
    if not file.is_csv or one_of(file, CONCURRENCY) is None:
        return None
    return read_closed_loops(file, measured_metrics(file))


def read_closed_loops(file: ReadFile, metrics: Mapping[str, str]) -> ClosedLoops:
    """`metrics` are the columns of measured means."""
    prompt, output = (named(file, what, COLUMNS[what]) for what in ("prompt", "output"))
    concurrency = named(file, "concurrency", CONCURRENCY)
    rows = tuple(
        ClosedLoop(
            cells.tokens(prompt, 1),
            cells.tokens(output, 1),
            _clients(cells, concurrency),
            {metric: ms(cells, column) or nan for metric, column in metrics.items()},
        )
        for cells in file.objects
    )
    if not rows:
        raise MeasuredError(f"{file.path} holds no closed loops")
    used = {prompt, output, concurrency, *metrics.values()}
    return ClosedLoops(file.path.name, rows, tuple(unused(file, used)))


def _clients(cells: Cells, column: str) -> int:
    text = cells.text(column) or ""
    clients = int(text) if text.isascii() and text.isdecimal() and len(text) < 8 else 0
    if clients < 1:
        raise cells.error(f"{column} is {text!r}, expected a number of clients from 1 on")
    return clients


@dataclass(frozen=True, slots=True)
class ComparedLoop:
    row: ClosedLoop
    simulated_ms: Mapping[str, float]

    def error(self, metric: str) -> float:
        """A share of the measured mean; not a number where one of the two is none."""
        return self.simulated_ms[metric] / self.row.measured_ms[metric] - 1


@dataclass(frozen=True, slots=True)
class LoopErrors:
    """Of one metric over the rows that have it, as shares of the measured means."""

    rows: int
    mape: float
    bias: float
    """The mean of the errors, with their signs."""
    worst: float


def compare_loops(
    scenario: Scenario, loops: ClosedLoops, *, model: str | None = None, place: str | None = None
) -> list[ComparedLoop]:
    return [
        ComparedLoop(row, simulated_means_ms(scenario, row, model=model, place=place)) for row in loops.rows
    ]


def loop_errors(compared: Sequence[ComparedLoop]) -> dict[str, LoopErrors]:
    """By metric, those alone that some row has."""
    found = {}
    for metric in compared[0].row.measured_ms:
        errors = np.array([one.error(metric) for one in compared])
        errors = errors[np.isfinite(errors)]
        if errors.size:
            worst = float(errors[np.abs(errors).argmax()])
            found[metric] = LoopErrors(errors.size, float(np.abs(errors).mean()), float(errors.mean()), worst)
    return found


def loops_text(compared: Sequence[ComparedLoop]) -> str:
    errors = loop_errors(compared)
    heads = (
        f"{which} {TITLES[metric]}" for metric in errors for which in ("measured", "simulated", "error of")
    )
    lines = [("clients", "prompt", "output", *heads), *(_cells(one, errors) for one in compared)]
    totals = (
        f"{TITLES[metric]}: MAPE {100 * e.mape:.1f} % over {e.rows} rows, mean error {100 * e.bias:+.1f} %,"
        f" worst {100 * e.worst:+.1f} %"
        for metric, e in errors.items()
    )
    return "\n".join([aligned(lines), *totals])


def _cells(one: ComparedLoop, metrics: Mapping[str, LoopErrors]) -> tuple[str, ...]:
    row = one.row
    cells = [f"{row.concurrency:,}", f"{row.prompt_tokens:,}", f"{row.output_tokens:,}"]
    for metric in metrics:
        cells += [f"{row.measured_ms[metric]:,.2f} ms", f"{one.simulated_ms[metric]:,.2f} ms"]
        cells.append(f"{100 * one.error(metric):+.1f} %")
    return tuple(cells)


def simulated_means_ms(
    scenario: Scenario, row: ClosedLoop, *, model: str | None = None, place: str | None = None
) -> dict[str, float]:
    """By metric, of the answers of the steady state; TPOT is not a number for answers of one token."""
    clients = row.concurrency
    replayed = replay(scenario, _asks(row), model=model, place=place, max_concurrency=clients)
    in_order = np.argsort(replayed.sent_ps, kind="stable")
    steady = in_order[clients : len(in_order) - clients]
    return {metric: float(replayed.simulated_ms[metric][steady].mean()) for metric in METRICS}


def _asks(row: ClosedLoop) -> RecordedRequests:
    """All are there from the start. The first answers differ in length, else all clients would go in step.

    Client k of n gets (k + 1)/n of its first answer: as far along as clients are that began long ago.
    """
    clients, tokens = row.concurrency, row.output_tokens
    first = [-(-tokens * (client + 1) // clients) for client in range(clients)]
    others = (1 + ANSWERS) * clients
    return RecordedRequests(
        "closed loop",
        (0,) * (clients + others),
        (row.prompt_tokens,) * (clients + others),
        (*first, *[tokens] * others),
        {},
    )
