"""The flags of `vllm serve` that a model of a scenario stands for, and what no flag says.

Flags as in vLLM's `EngineArgs` (docs.vllm.ai, engine arguments; vllm/engine/arg_utils.py).
"""

from collections.abc import Iterator
from dataclasses import dataclass

from e80sim.mistakes import UserError
from hwmodels.gpu_node import GpuSpec
from hwmodels.llm import load_llm
from hwmodels.node_hardware import NodeHardware
from reports.words import plural
from sim.plan.question import Question
from sim.scenario.schema import Model, Scenario

POLICIES = {"fcfs": "fcfs", "priority": "priority"}
"""By `batching.queue`, what `--scheduling-policy` takes."""


@dataclass(frozen=True, slots=True)
class Served:
    """`flags` are words of the command line, in pairs or alone; `remarks` what has no flag."""

    model: str
    flags: tuple[str, ...]
    remarks: tuple[str, ...]

    def text(self) -> str:
        """A command to copy, with a comment for each remark before it."""
        lines = [f"# {remark}" for remark in self.remarks]
        return "\n".join([*lines, " \\\n    ".join([f"vllm serve {self.model}", *self.flags])])


def commands(scenario: Scenario) -> str:
    """Of each model. Raises UserError where one is no GPU with vLLM."""
    return "\n\n".join(served(name, model).text() for name, model in scenario.models.items())


def require_vllm(question: Question) -> None:
    """That every choice could be served by it. Raises UserError."""
    for choice in question.choices:
        commands(question.scenario(choice, question.values[0]))


def served(name: str, model: Model) -> Served:
    """Raises UserError: no vLLM runs on it, or vLLM has no such engine."""
    spec = model.hardware
    if not isinstance(spec, GpuSpec):
        raise UserError(
            f"--emit vllm: models.{name} is {spec.preset}, a {spec.kind}, and vLLM does not run on that: "
            "it has flags for GPUs alone"
        )
    if model.batching.admission != "continuous":
        raise UserError(
            f"--emit vllm: models.{name}.batching.admission is {model.batching.admission}, and vLLM admits "
            "at any step: it has no flag for that"
        )
    hardware = model.build_hardware()
    flags = [*_engine(model, hardware), *_memory(model, spec, hardware), *_switches(model, hardware)]
    return Served(_checkpoint(model), tuple(flags), tuple(_remarks(name, model, spec, hardware)))


def _checkpoint(model: Model) -> str:
    return f"$CHECKPOINT --served-model-name {model.id}"


def _engine(model: Model, hardware: NodeHardware) -> Iterator[str]:
    yield f"--max-num-seqs {model.batching.max_num_active_seqs or hardware.max_num_seqs}"
    yield f"--max-num-batched-tokens {hardware.max_num_batched_tokens}"
    yield f"--max-model-len {model.max_model_len(hardware)}"
    yield f"--tensor-parallel-size {hardware.gpus // hardware.ranks}"
    yield f"--data-parallel-size {hardware.ranks}"
    if hardware.ranks > 1:
        yield "--enable-expert-parallel"


def _memory(model: Model, spec: GpuSpec, hardware: NodeHardware) -> Iterator[str]:
    yield f"--block-size {model.block_size}"
    yield f"--kv-cache-dtype {spec.stored(load_llm(model.llm), spec.entry()).kv_cache_dtype}"
    values = {value.name: value.value for value in hardware.values}
    if "kv_pool_tokens" in values and hardware.kv_bytes_per_token is not None:
        of_gpu = hardware.kv_bytes_per_token * hardware.ranks // hardware.gpus
        yield f"--kv-cache-memory-bytes {hardware.kv_pool_tokens * of_gpu}"
    elif "gpu_memory_utilization" in values:
        yield f"--gpu-memory-utilization {values['gpu_memory_utilization']:g}"


def _switches(model: Model, hardware: NodeHardware) -> Iterator[str]:
    batching = model.batching
    for flag, on in (
        ("enable-prefix-caching", batching.enable_prefix_caching),
        ("async-scheduling", batching.schedules_ahead(hardware)),
        ("enable-chunked-prefill", batching.prefill == "chunked"),
    ):
        yield f"--{flag}" if on else f"--no-{flag}"
    if batching.queue in POLICIES:
        yield f"--scheduling-policy {POLICIES[batching.queue]}"


def _remarks(name: str, model: Model, spec: GpuSpec, hardware: NodeHardware) -> Iterator[str]:
    """What the flags leave to whoever starts it."""
    stored = spec.stored(load_llm(model.llm), spec.entry())
    each = f", {hardware.gpus} GPUs each" if hardware.gpus > 1 else ""
    yield f"{name}: {plural(model.nodes, 'node')} of {spec.preset}{each}. This starts one."
    if model.nodes > 1:
        yield f"No flag: who takes a request ({model.routing}) is up to a router before the nodes."
    yield f"$CHECKPOINT: {model.llm} with weights in {stored.weights}."
    of = "" if hardware.ranks == 1 else " of each rank"
    yield f"The plan counts on a KV cache{of} of {hardware.kv_pool_tokens:,} tokens: vLLM logs its own."
    batching = model.batching
    if batching.queue not in POLICIES:
        yield f"No flag: queue {batching.queue}."
    if model.disaggregated is not None:
        yield (
            f"{model.disaggregated.prefill_nodes} of the nodes prefill and the others decode: "
            "--kv-transfer-config depends on the connector."
        )
    for field, stated in (
        ("watermark", batching.watermark),
        ("max_num_queued_reqs", batching.max_num_queued_reqs),
        ("max_num_queued_tokens", batching.max_num_queued_tokens),
    ):
        if stated:
            yield f"No flag: batching.{field} {stated:g}."
    for section in ("limits", "flow_control", "scaling"):
        if getattr(model, section) is not None:
            yield f"No flag: {section}, which stands before the engine."
