"""As `reports.estimate`, under the name that sections of the page know it by."""

from reports.estimate import ShownEstimate, overlap, read_estimate

__all__ = ["ShownEstimate", "overlap", "read_estimate"]
