"""One router for each group of endpoints."""
