"""The report of a sweep."""

from reports.html.sweep.page import render_sweep

__all__ = ["render_sweep"]
