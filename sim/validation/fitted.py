"""A server whose law `e80sim calibrate` fits to a table of steps, through the catalogue file it writes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hwmodels.calibrate.entry_file import entry_yaml
from hwmodels.calibrate.fit import Calibration
from sim.scenario.schema import Scenario
from sim.validation.bare_node import bare_node


def fitted_node(
    folder: Path,
    fit: Calibration,
    *,
    extends: str,
    stated: Mapping[str, Any],
    llm: str,
    context_tokens: int,
    batching: Mapping[str, Any],
    host_ms: float = 0.0,
    tensor_parallel: int = 1,
) -> Scenario:
    """`stated` goes over the entry, as in a scenario. The file stays in `folder`, where runs read it."""
    entry = folder / f"{fit.llm.name}-{fit.form.name}-{host_ms:g}.yaml"
    text = entry_yaml(fit, "fitted", extends=extends, host_ms=host_ms, tensor_parallel=tensor_parallel)
    entry.write_text(text, encoding="utf-8")
    hardware = {"preset": str(entry), **stated}
    return bare_node(hardware, llm=llm, context_tokens=context_tokens, batching=batching)
