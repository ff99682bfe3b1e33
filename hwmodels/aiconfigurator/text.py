"""How well laws hold, for people and as plain data for scripts."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hwmodels.aiconfigurator.fit import Law, Node
from hwmodels.aiconfigurator.model import Asked


def as_data(node: Node, laws: Sequence[Law]) -> dict[str, Any]:
    """Errors are shares, not per cent."""
    return {
        "system": node.system.name,
        "model": node.model,
        "llm": node.llm.name,
        "tp": node.width,
        "fits": [
            {
                "weights": law.section["weights"],
                "kv_cache_dtype": law.section["kv_cache_dtype"],
                "form": law.calibration.form.name,
                "derived": law.derived,
                "steps_without_data": law.lacking,
                **law.errors._asdict(),
                "parts": {part.part: part.mape for part in law.calibration.errors},
            }
            for law in laws
        ],
    }


def as_text(node: Node, laws: Sequence[Law]) -> str:
    return "\n".join(_lines(node, laws))


def _lines(node: Node, laws: Sequence[Law]) -> Iterator[str]:
    yield f"{node.model} on {node.width} x {node.system.name}: error of the law on composed steps"
    columns = "".join(f"{title:>9}" for title in ("steps", "median", "p95", "max", "held out"))
    yield f"{'weights, KV cache':<34}{'form':<6}{columns}"
    for law in laws:
        errors = law.errors
        shares = (errors.median, errors.p95, errors.most, errors.held_out)
        cells = "".join(f"{100 * share:>7.1f} %" for share in shares)
        label = f"{law.section['weights']}, {law.section['kv_cache_dtype']}"
        yield f"{label:<34}{law.calibration.form.name:<6}{errors.steps:>9,}{cells}"
        if law.derived:
            yield f"  derived by bytes: {law.derived}; the errors are those of the timed law"
        if law.lacking:
            yield f"  the tables have nothing for {law.lacking} more steps"


def usage(out: Path, asked: Asked) -> str:
    llm = asked.llm.name if asked.entry is None else str(out.with_name(f"{asked.llm.name}.yaml"))
    return f"use it as hardware: {{preset: ./{out.name}}} of a model with llm: {llm}"
