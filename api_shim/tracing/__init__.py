"""Traces of requests: which are taken, what is in them, and where they go."""
