"""The report: one self-contained HTML file, rendered from a summary and nothing else."""

from reports.html.page import render, report_of

__all__ = ["render", "report_of"]
