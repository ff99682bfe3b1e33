"""Fitting a GPU's step-time law to a table of measured steps."""
