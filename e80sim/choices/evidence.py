"""How far to trust a figure of a catalogue, in four words that mean the same everywhere."""

from typing import Literal, get_args

Confidence = Literal["published", "measured", "derived", "assumed"]
CONFIDENCES: tuple[Confidence, ...] = get_args(Confidence)
"""The strongest first."""
