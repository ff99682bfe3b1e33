"""How often the garbage collector looks."""

YOUNG_OBJECTS = 100_000
"""Allocations between two looks, instead of Python's 700: commands make few cycles and many objects."""
