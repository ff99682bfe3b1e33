"""Runs beside each other, or beside what others measured: what differs, and what of that is real."""
