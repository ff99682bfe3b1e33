"""A catalogue entry for a GPU, or for several that share each layer, with the laws of one LLM on it."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pydantic import ValidationError

from e80sim.mistakes import UserError
from hwmodels.aiconfigurator.fit import Law, Node
from hwmodels.aiconfigurator.package import engine_version
from hwmodels.calibrate.entry_file import as_yaml, reach
from hwmodels.entry import Entry, first_error
from hwmodels.gpu_iteration import GpuIteration
from hwmodels.node_hardware import NodeHardware

BLOCK_TOKENS = 1024
"""To which a context limit is rounded down where the KV pool sets it."""
LARGE_GB = 70 * 2**30 / 1e9
SMALL_DEFAULTS = {"max_num_seqs": 256, "max_num_batched_tokens": 2048}


def entry(node: Node, laws: Sequence[Law], base: Entry, max_model_len: int | None) -> str:
    """The YAML. UserError where no node could start from it."""
    first = laws[0].section
    made: dict[str, Any] = {
        "kind": "gpu_iteration",
        "title": _title(node),
        "note": (
            "Steps were composed from timed kernels, one after the other, and not timed themselves; the host "
            f"time between steps is that of another GPU. {reach(laws[0].calibration.table)}"
        ),
        "extends": base.name,
        "settings": {
            "weights": first["weights"],
            "kv_cache_dtype": first["kv_cache_dtype"],
            **({} if node.width == 1 else {"tensor_parallel": node.width}),
        },
        "values": _values(node, base),
        "fits": [_fit(law.section, node.width) for law in laws],
    }
    pool_tokens = tried(made, node).kv_pool_tokens
    made["values"]["max_model_len"] = _longest(node, pool_tokens, max_model_len)
    return as_yaml(made)


def _fit(section: dict[str, Any], width: int) -> dict[str, Any]:
    if width == 1:
        return section
    told = {name: section[name] for name in ("llm", "weights", "kv_cache_dtype") if name in section}
    return told | {"tensor_parallel": width, "holds_communication": True} | section


def tried(made: dict[str, Any], node: Node) -> NodeHardware:
    """A node as a scenario would build it."""
    with TemporaryDirectory() as folder:
        trial = Path(folder, "trial.yaml")
        trial.write_text(as_yaml(made), encoding="utf-8")
        try:
            return GpuIteration.model_validate({"preset": str(trial)}).build(node.llm)
        except ValidationError as error:
            raise UserError(first_error(error)) from None


def _title(node: Node) -> str:
    gpus = node.system.name if node.width == 1 else f"{node.width} x {node.system.name} (tensor parallel)"
    return (
        f"{gpus} with vLLM {engine_version(node.system.name)} and {node.model}, fitted to step times "
        f"composed from measured kernels"
    )


def _values(node: Node, base: Entry) -> dict[str, Any]:
    system = node.system
    values: dict[str, Any] = {}
    if "memory_gb" not in base.values:
        memory_gb = round(system.memory_gb, 3)
        values["memory_gb"] = {"value": memory_gb, "source": system.source, "confidence": "published"}
    if system.memory_gb < LARGE_GB or "a100" in system.name:
        source = "vllm-project/vllm, vllm/engine/arg_utils.py: default on A100 and on GPUs below 70 GiB"
        values |= {
            name: {"value": value, "source": source, "confidence": "published"}
            for name, value in SMALL_DEFAULTS.items()
        }
    return values


def _longest(node: Node, pool_tokens: int, stated: int | None) -> dict[str, Any]:
    positions = node.llm.max_position_embeddings
    if stated is not None:
        most = min(positions, pool_tokens)
        if stated > most:
            raise UserError(
                f"--max-model-len {stated:,} is more than the {positions:,} positions of {node.model} and "
                f"the {pool_tokens:,} tokens of its KV pool allow: at most {most:,}"
            )
        return {"value": stated, "source": "stated when the law was fitted", "confidence": "assumed"}
    if positions <= pool_tokens:
        source = f"vLLM's default: max_position_embeddings of {node.model}"
        return {"value": positions, "source": source, "confidence": "published"}
    source = f"what the KV pool of {pool_tokens:,} tokens holds; vLLM refuses to start with more"
    return {"value": pool_tokens // BLOCK_TOKENS * BLOCK_TOKENS, "source": source, "confidence": "derived"}
