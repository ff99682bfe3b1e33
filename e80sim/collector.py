"""How often the garbage collector looks, and at what."""

import gc

YOUNG_OBJECTS = 100_000
"""Allocations between two looks, instead of Python's 700: commands make few cycles and many objects."""

_PROCESS = {"set aside": False}


def set_aside() -> None:
    """What is there stays, and is looked at no more. For a whole process."""
    gc.freeze()
    _PROCESS["set aside"] = True


def is_set_aside() -> bool:
    """`gc.get_freeze_count()` tells it, too, and walks over a quarter of a million objects to count them."""
    return _PROCESS["set aside"]
