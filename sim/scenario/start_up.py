"""What a node refuses to start with, as vLLM does: steps, batches and sequences that do not go together.

The rules are those of `SchedulerConfig.verify_max_model_len`, `ModelConfig` and the check of the KV cache's
memory in vLLM 0.24. What vLLM settles by itself is in `hwmodels.gpu_node` and `Model.build_hardware`.
"""

from collections.abc import Iterator
from typing import NamedTuple

from hwmodels.llm import load_llm
from hwmodels.node_hardware import NodeHardware
from hwmodels.spec import HELD_TO
from sim.scenario.schema import Model, Scenario
from sim.scenario.source_map import Location


class Refusal(NamedTuple):
    place: Location
    """In the model's section."""
    why: str


def refusals(name: str, model: Model, hardware: NodeHardware) -> Iterator[Refusal]:
    if hardware.ranks > 1:
        yield from _ranks(model, hardware)
    yield from _steps(name, model, hardware)
    if model.hardware.runs_vllm:
        yield from _positions(model, hardware)
    yield from _cache(name, model, hardware)


def capacity_notes(scenario: Scenario) -> Iterator[str]:
    """How many of its longest sequences a node holds, as vLLM says when it starts."""
    for name, model in scenario.models.items():
        hardware = model.build_hardware()
        if _stated(model, hardware) != ("context_tokens",):
            longest = model.max_model_len(hardware)
            pool_tokens = _pool_tokens(model, hardware)
            yield (
                f"a node of `{name}` with {hardware.max_num_seqs:,} places holds "
                f"{pool_tokens / longest:,.1f} sequences of max_model_len ({longest:,} tokens) in a KV pool "
                f"of {pool_tokens:,} tokens."
            )


def held_notes(scenario: Scenario) -> Iterator[str]:
    """Up to which load the hardware of each model was held against measurements, where it was."""
    for model in scenario.models.values():
        yield from (note for note in model.build_hardware().notes if note.startswith(HELD_TO))


def _ranks(model: Model, hardware: NodeHardware) -> Iterator[Refusal]:
    """What ranks that keep step do not do here."""
    ways = f"the {hardware.ranks} ranks of data_parallel keep step"
    batching = model.batching
    if model.disaggregated is not None:
        yield Refusal(
            ("disaggregated",), f"{ways}, and no law says how they hand over: leave one of the two out"
        )
    if batching.async_scheduling:
        yield Refusal(
            ("batching", "async_scheduling"),
            f"{ways}, which each forms when the one before is over: leave it out",
        )
    if batching.prefill != "chunked":
        yield Refusal(
            ("batching", "prefill"), f"{ways}, and prompts in steps of their own would stop all of them"
        )
    if batching.admission != "continuous":
        yield Refusal(
            ("batching", "admission"), f"{ways}, and a `{batching.admission}` batch is that of a lone engine"
        )


def _steps(name: str, model: Model, hardware: NodeHardware) -> Iterator[Refusal]:
    batching, longest = model.batching, model.max_model_len(hardware)
    budget, seqs = hardware.max_num_batched_tokens, hardware.max_num_seqs
    if batching.prefill == "whole" and budget < longest:
        # A step that nobody states is as large as the hardware allows.
        larger = "" if batching.max_num_batched_tokens is None else "raise max_num_batched_tokens, "
        yield Refusal(
            ("batching", "prefill"),
            f"whole prompts of up to {longest:,} tokens, the context of `{name}`, do not fit a step of "
            f"{budget:,}: {larger}lower {_stated(model, hardware)[-1]}, or prefill in chunks",
        )
    if model.hardware.runs_vllm and budget < seqs:
        stated = "max_num_seqs" if batching.max_num_batched_tokens is None else "max_num_batched_tokens"
        yield Refusal(
            ("batching", stated),
            f"max_num_batched_tokens ({budget:,}) is below max_num_seqs ({seqs:,}), and vLLM starts only "
            f"where a step has a token for each sequence: raise max_num_batched_tokens to {seqs:,}, or lower "
            f"max_num_seqs to {budget:,}",
        )


def _positions(model: Model, hardware: NodeHardware) -> Iterator[Refusal]:
    longest, positions = model.max_model_len(hardware), load_llm(model.llm).max_position_embeddings
    if longest > positions:
        at = _stated(model, hardware)
        yield Refusal(
            at,
            f"{at[-1]} ({longest:,}) is above the {positions:,} positions of {model.llm} "
            f"(max_position_embeddings), and vLLM does not start: lower it to {positions:,}, or give an LLM "
            f"file of your own that has more",
        )


def _cache(name: str, model: Model, hardware: NodeHardware) -> Iterator[Refusal]:
    longest, at = model.max_model_len(hardware), _stated(model, hardware)
    pool_tokens = _pool_tokens(model, hardware)
    if model.context_tokens > longest:
        yield Refusal(
            ("context_tokens",),
            f"requests of up to {model.context_tokens:,} tokens pass the gateway, and a node of `{name}` "
            f"takes {longest:,} (max_model_len): lower context_tokens, or raise max_model_len",
        )
    elif longest <= pool_tokens:
        return
    elif at == ("context_tokens",):
        yield Refusal(
            at,
            f"a context of {longest:,} tokens does not fit the KV pool of `{name}`, {pool_tokens:,} tokens: "
            f"lower context_tokens, or raise the pool if the hardware has it",
        )
    else:
        yield Refusal(
            at,
            f"a sequence of max_model_len ({longest:,} tokens) does not fit the KV pool of `{name}`, "
            f"{pool_tokens:,} tokens, and vLLM starts only where one does: lower max_model_len to "
            f"{pool_tokens:,}, or raise the pool if the hardware has it",
        )


def _pool_tokens(model: Model, hardware: NodeHardware) -> int:
    return hardware.kv_pool_tokens // model.block_size * model.block_size


def _stated(model: Model, hardware: NodeHardware) -> Location:
    """What the longest sequence is stated by."""
    if model.batching.max_model_len is not None:
        return "batching", "max_model_len"
    return ("context_tokens",) if hardware.max_model_len is None else ("hardware", "max_model_len")
