"""A finished run as people explore it in Python: tables as DataFrames, the report's figures as Plotly's.

pandas and plotly load when a table or a figure is asked for, so that nothing else pays for them.
"""

from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from reports.columns import columns_of
from reports.html.figure import Figure
from reports.html.figures import figures_of
from reports.html.palette import coloured
from reports.metrics import E2E, OF_ASKS, REQUEST_METRICS
from reports.record import PS_PER_S
from reports.run_directory import Run, read
from reports.stored import Table, whole
from reports.summary import summary_of

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go  # type: ignore[import-untyped]


def open_run(path: str | PathLike[str]) -> "OpenedRun":
    """The run in directory `path`. Raises RunDirectoryError for anything but a complete run."""
    return OpenedRun(Path(path))


class OpenedRun:
    """Stamps are whole picoseconds, missing where a request never got that far; `*_s` columns are seconds."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._run: Run = read(path)

    @property
    def manifest(self) -> dict[str, Any]:
        """Seed, commit, versions, notes, and what the report knows of the scenario."""
        return dict(self._run.manifest)

    @cached_property
    def summary(self) -> dict[str, Any]:
        """Every metric of the report with its interval."""
        return summary_of(self._run)

    @cached_property
    def requests(self) -> "pd.DataFrame":
        """A row per model request, with `ttft_s`, `tpot_s`, `e2e_s`, `queue_s` of the completed ones."""
        table = self._run.tables.requests
        columns, frame = columns_of(whole(table)), _frame(table)
        completed = columns.outcome("completed")
        for name, seconds_of in REQUEST_METRICS.items():
            frame[f"{name}_s"] = np.where(completed, seconds_of(columns), np.nan)
        return frame

    @cached_property
    def user_requests(self) -> "pd.DataFrame | None":
        """A row per user request, with `felt_s` of the completed ones; None where no source has an app."""
        table = self._run.tables.user_requests
        if table is None:
            return None
        columns, frame = columns_of(whole(table)), _frame(table)
        frame["felt_s"] = np.where(columns.outcome("completed"), E2E.ps(columns) / PS_PER_S, np.nan)
        return frame

    @cached_property
    def asks(self) -> "pd.DataFrame | None":
        """A row per ask, with `ttft_s`, `tpot_s` and `e2e_s` of the completed ones.

        None where no source has clients that retry or hedge: there a request is an ask.
        """
        table = self._run.tables.asks
        if table is None:
            return None
        columns, frame = columns_of(whole(table)), _frame(table)
        completed = columns.outcome("completed")
        for name in OF_ASKS:
            frame[f"{name}_s"] = np.where(completed, REQUEST_METRICS[name](columns), np.nan)
        return frame

    @cached_property
    def nodes(self) -> "pd.DataFrame":
        return _frame(self._run.tables.nodes)

    @cached_property
    def gaps(self) -> "pd.DataFrame | None":
        """Gaps between tokens, counted in bins: (from_ps, to_ps, mean_ps, gaps) by model."""
        table = self._run.tables.gaps
        return None if table is None else _frame(table)

    @property
    def figures(self) -> tuple[str, ...]:
        """Names that `figure` takes: those of the report's figures that have something to show."""
        return tuple(self._figures)

    def figure(self, name: str, theme: str = "light", choice: str | None = None) -> "go.Figure":
        """One of `figures`. `choice` is the view of a figure with several; by default the first.

        Raises KeyError with the names that there are.
        """
        import plotly.graph_objects as go  # noqa: PLC0415 -- half a second, for whoever draws

        if name not in self._figures:
            raise KeyError(f"no figure {name!r} in this run; there are {', '.join(self.figures)}")
        found = self._figures[name]
        choices = [one.key for one in found.choices]
        if choice is not None and choice not in choices:
            raise KeyError(f"no view {choice!r} of {name}; there are {', '.join(choices) or 'none'}")
        drawn = go.Figure(coloured(found.plot, theme))
        drawn.update_layout(title=found.title, margin_t=48)
        if choice is not None:
            for trace in drawn.data:
                trace.visible = trace.meta["choice"] == choice
        return drawn

    @cached_property
    def _figures(self) -> dict[str, Figure]:
        return {figure.identity: figure for figure in figures_of(self.summary)}


def _frame(table: Table) -> "pd.DataFrame":
    """Integers stay integers where some are missing; labels become categories."""
    import pandas as pd  # noqa: PLC0415 -- a quarter of a second, for whoever looks at tables

    frame: pd.DataFrame = whole(table).to_pandas(
        types_mapper=lambda kind: pd.Int64Dtype() if kind == pa.int64() else None
    )
    return frame
