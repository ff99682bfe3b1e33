"""As `reports.rows`, under the name that sections of the page know it by."""

from reports.rows import Row, Summary, places_of, rows_by_source, rows_of, variant_titles

__all__ = ["Row", "Summary", "places_of", "rows_by_source", "rows_of", "variant_titles"]
