"""What bounds a deployment, in closed form: the load at which each of its limits binds, nothing simulated."""

from sim.bounds.ladder import Ladder, Rung, ladder_of, ladders_of
from sim.bounds.text import ladder_text

__all__ = ["Ladder", "Rung", "ladder_of", "ladder_text", "ladders_of"]
