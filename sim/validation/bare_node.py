"""A scenario of one node and nothing else: no network, no limits, no gateway time."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from e80sim.mistakes import UserError
from hwmodels.entry import first_error
from sim.scenario.check import problems
from sim.scenario.overrides import apply_setting, option
from sim.scenario.schema import Scenario
from sim.scenario.source_map import SourceMap

NODE = "the node"


def bare_node(
    hardware: Mapping[str, Any] | str,
    *,
    llm: str = "llama3.1-8b",
    context_tokens: int,
    batching: Mapping[str, Any] | None = None,
    settings: Sequence[str] = (),
) -> Scenario:
    """Callers are 0 ms away. Unless something says it, prefixes are cached where the hardware runs vLLM, as
    there by default. `settings` go over the model, such as `batching.async_scheduling=false`.

    ValueError where hardware, LLM and batching do not go together.
    """
    model: dict[str, Any] = {
        "id": llm,
        "llm": llm,
        "hardware": {"preset": hardware} if isinstance(hardware, str) else {**hardware},
        "context_tokens": context_tokens,
        "batching": {**(batching or {})},
    }
    for setting in settings:
        apply_setting(model, SourceMap(NODE), option(setting))
    raw = {
        "name": "bare-node",
        "models": {"model": model},
        "network": {"places": {"beside": {"kind": "custom", "rtt_ms": 0.0}}},
        "traffic": {"none": _NO_TRAFFIC},
        "run": {"horizon_s": 1.0},
    }
    try:
        scenario = _with_vllms_cache(Scenario.model_validate(raw))
    except ValidationError as error:
        raise UserError(first_error(error)) from None
    problem = next(iter(problems(scenario)), None)
    if problem is not None:
        raise UserError(problem.sentence)
    return scenario


def _with_vllms_cache(scenario: Scenario) -> Scenario:
    model = scenario.models["model"]
    if "enable_prefix_caching" in model.batching.model_fields_set:
        return scenario
    caching = {"enable_prefix_caching": model.hardware.runs_vllm}
    model = model.model_copy(update={"batching": model.batching.model_copy(update=caching)})
    return scenario.model_copy(update={"models": {"model": model}})


_NO_TRAFFIC = {
    "place": "beside",
    "model": "model",
    "arrivals": {"kind": "constant", "rate_per_s": 1.0},
    "lengths": {"prompt": {"kind": "fixed", "tokens": 1}, "output": {"kind": "fixed", "tokens": 1}},
}
"""A scenario has traffic; a replay sends its own instead."""
