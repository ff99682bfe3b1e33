"""A scenario of one node and nothing else: no network, no limits, no gateway time."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from e80sim.mistakes import UserError
from hwmodels.entry import first_error
from sim.scenario.check import problems
from sim.scenario.schema import Scenario


def bare_node(
    hardware: Mapping[str, Any] | str,
    *,
    llm: str = "llama3.1-8b",
    context_tokens: int,
    batching: Mapping[str, int] | None = None,
) -> Scenario:
    """Callers are 0 ms away. Unless `batching` says it, prefixes are cached where the hardware runs vLLM, as
    there by default.

    ValueError where hardware, LLM and batching do not go together.
    """
    raw = {
        "name": "bare-node",
        "models": {
            "model": {
                "id": llm,
                "llm": llm,
                "hardware": hardware,
                "context_tokens": context_tokens,
                "batching": dict(batching or {}),
            }
        },
        "network": {"places": {"beside": {"kind": "custom", "rtt_ms": 0.0}}},
        "traffic": {"none": _NO_TRAFFIC},
        "run": {"horizon_s": 1.0},
    }
    try:
        scenario = Scenario.model_validate(raw)
        model = scenario.models["model"]
        if "enable_prefix_caching" not in model.batching.model_fields_set:
            caching = {"enable_prefix_caching": model.hardware.runs_vllm}
            model = model.model_copy(update={"batching": model.batching.model_copy(update=caching)})
            scenario = scenario.model_copy(update={"models": {"model": model}})
    except ValidationError as error:
        raise UserError(first_error(error)) from None
    problem = next(iter(problems(scenario)), None)
    if problem is not None:
        raise UserError(problem.sentence)
    return scenario


_NO_TRAFFIC = {
    "place": "beside",
    "model": "model",
    "arrivals": {"kind": "constant", "rate_per_s": 1.0},
    "lengths": {"prompt": {"kind": "fixed", "tokens": 1}, "output": {"kind": "fixed", "tokens": 1}},
}
"""A scenario has traffic; a replay sends its own instead."""
