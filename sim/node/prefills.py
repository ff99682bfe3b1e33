"""The kernels by how they prefill: for each way the plain engine, `step`, and the fast one, `fast`."""

from sim.node.fast_forward import FastForward
from sim.node.step_engine import StepEngine
from sim.node.whole_prefill import WholePrefillFastForward, WholePrefillStepEngine

PREFILLS: dict[str, dict[str, type[StepEngine] | type[FastForward]]] = {
    "chunked": {"step": StepEngine, "fast": FastForward},
    "whole": {"step": WholePrefillStepEngine, "fast": WholePrefillFastForward},
}
