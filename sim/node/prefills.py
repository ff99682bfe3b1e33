"""The kernels: for each way to prefill and to schedule the plain engine, `step`, and the fast one, `fast`."""

from sim.node.async_scheduling import AsyncFastForward, AsyncStepEngine
from sim.node.fast_forward import FastForward
from sim.node.step_engine import StepEngine
from sim.node.whole_prefill import WholePrefillFastForward, WholePrefillStepEngine

Engines = dict[str, type[StepEngine] | type[FastForward]]

PREFILLS: dict[str, Engines] = {
    "chunked": {"step": StepEngine, "fast": FastForward},
    "whole": {"step": WholePrefillStepEngine, "fast": WholePrefillFastForward},
}
"""By how they prefill, each step formed when the one before it has ended."""

ASYNCHRONOUS: Engines = {"step": AsyncStepEngine, "fast": AsyncFastForward}
"""In chunks, each step formed while the one before it is under way."""
