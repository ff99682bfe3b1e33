"""A scenario text through everything that `e80sim run` does, short of writing files."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from reports.student_t import t_quantile
from reports.summary import summarise
from reports.tables import RunTables
from sim.run.manifest import manifest
from sim.run.replications import Results, run_all
from sim.scenario.load import Plan, load


def plan_of(text: str, folder: Path, settings: Iterable[str] = ()) -> Plan:
    file = folder / "scenario.yaml"
    file.write_text(text, encoding="utf-8")
    return load(file, settings)


def results_of(plan: Plan, *, engine: str = "fast", jobs: int = 1) -> Results:
    return run_all(plan, jobs=jobs, engine=engine, tell=lambda _share, _note: None)


def summary_of(text: str, folder: Path, settings: Iterable[str] = (), *, engine: str = "fast") -> Any:
    plan = plan_of(text, folder, settings)
    results = results_of(plan, engine=engine)
    return summarise(results.tables, manifest(plan, results, datetime(2026, 1, 1, tzinfo=UTC), 0.0))


def rows_of(tables: RunTables, variant: str = "base") -> list[dict[str, Any]]:
    """The request table of one variant as dicts, stamps it never had as None."""
    rows: list[dict[str, Any]] = tables.requests.to_pylist()
    return [row for row in rows if row["variant"] == variant]


def assert_agrees(
    estimate: Mapping[str, Any], theory: float, replications: int, precision: float = 0.02
) -> None:
    """Within the 99.9 % t interval, and the half-width of the 95 % one at most `precision` of `theory`.

    Of a thousand such tests one fails by chance; the seed is fixed, so it fails always or never. The second
    condition keeps a vague simulation from passing.
    """
    half_width = (estimate["high"] - estimate["low"]) / 2
    assert half_width <= precision * theory, (half_width / theory, precision)
    acceptance = half_width * t_quantile(0.999, replications - 1) / t_quantile(0.95, replications - 1)
    assert abs(estimate["value"] - theory) <= acceptance, (estimate, theory)
