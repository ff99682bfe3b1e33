"""Writes the table of how often intervals hold into docs/statistics.md: `make coverage`, some minutes."""

import argparse
import os
import re
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Literal

from docs.coverage.simulated import simulated
from docs.coverage.study import Case, Tally, tallies_of
from docs.coverage.table import table
from sim.scenario.schema import PrecisionSection

PAGE = Path(__file__).parents[1] / "statistics.md"
BEGIN, END = "<!-- written by `make coverage` -->", "<!-- end of what `make coverage` writes -->"
STUDIES = 120
SEED = 20_261_129


def precise(statistic: Literal["mean", "p95"]) -> PrecisionSection:
    return PrecisionSection(metric="e2e", statistic=statistic, relative=0.1, max_replications=400)


CASES = [
    Case("M/D/1", 0.5, 10, 1_600),
    Case("M/D/1", 0.9, 10, 3_200),
    Case("M/D/1", 0.9, 10, 25_600),
    Case("M/D/1", 0.9, 1, 256_000),
    Case("M/D/1", 0.9, 10, 3_200, precise("mean")),
    Case("M/D/1", 0.9, 10, 3_200, precise("p95")),
    Case("M/M/4", 0.7, 10, 3_200),
    Case("M/M/4", 0.9, 10, 25_600),
    Case("M/M/4", 0.7, 10, 1_600, precise("p95")),
    Case("on-off/M/1", 0.5, 10, 12_800),
    Case("on-off/M/1", 0.8, 10, 25_600),
    Case("on-off/M/1", 0.5, 1, 64_000),
    Case("on-off/M/1", 0.8, 10, 3_200, precise("p95")),
    Case("M/G/1-PS", 0.5, 10, 3_200),
    Case("M/G/1-PS", 0.9, 10, 12_800),
    Case("M/G/1-PS", 0.8, 10, 1_600, precise("p95")),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=STUDIES, help="of each case")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args()
    with ProcessPoolExecutor(asked.jobs) as pool:
        through = pool.submit(simulated, asked.studies // 4)
        rows = []
        for case, tallies in zip(
            CASES, pool.map(partial(_studied, asked.studies), range(len(CASES))), strict=True
        ):
            sys.stderr.write(f"{case.queue} at load {case.load}, {case.replications} x {case.requests:,}\n")
            rows.append((case, asked.studies, tallies))
        rows.append(through.result())
    written = f"{BEGIN}\n{table(rows)}\n{asked.studies} studies a row, {asked.studies // 4} simulated.\n{END}"
    text = PAGE.read_text(encoding="utf-8")
    assert BEGIN in text, "the page has a place for the table"
    PAGE.write_text(re.sub(f"{BEGIN}.*?{END}", lambda _: written, text, flags=re.DOTALL), encoding="utf-8")


def _studied(studies: int, number: int) -> dict[str, Tally]:
    return tallies_of(CASES[number], studies, SEED + number)


if __name__ == "__main__":
    main()
