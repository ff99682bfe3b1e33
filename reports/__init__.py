"""What a run left and what it means: records, metric definitions, statistics, figures and the HTML report.

from reports import open_run
run = open_run("runs/edge-vs-cloud/...")
run.requests                          # a pandas DataFrame
run.figure("where-the-time-goes")     # a plotly figure
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reports.opened_run import OpenedRun, open_run

__all__ = ["OpenedRun", "open_run"]


def __getattr__(name: str) -> Any:  # noqa: ANN401 -- whatever the module has
    """A run of the simulator imports this package too, and must not load what only people explore with."""
    if name in __all__:
        from reports import opened_run  # noqa: PLC0415

        return getattr(opened_run, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
