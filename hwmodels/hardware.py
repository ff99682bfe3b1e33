"""What a scenario writes under `hardware:`."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationInfo

from e80sim.choices import Later, OneOf, by_kind
from e80sim.mistakes import UserError
from hwmodels.entry import is_path, load_entry
from hwmodels.hardwired_asic import HardwiredAsic
from hwmodels.spec import HardwareSpec

HARDWARE: dict[str, type[HardwareSpec] | Later] = {
    **by_kind(HardwiredAsic),
    "gpu_iteration": Later("hwmodels.gpu_iteration", "GpuIteration"),
    "roofline": Later("hwmodels.roofline", "Roofline"),
}
"""By kind. A new one is a class with `build`, and a place here: docs/extending.md."""


def _with_kind(raw: Any, info: ValidationInfo) -> Any:  # noqa: ANN401  (whatever the YAML held)
    """A preset knows its kind, so `{preset: hc1}` and plain `hc1` are enough."""
    if isinstance(raw, str):
        raw = {"preset": raw}
    if not isinstance(raw, dict):
        return raw
    for name in ("preset", "link"):
        named = raw.get(name)
        if isinstance(named, str) and is_path(named):
            raw = raw | {name: _beside_the_scenario(named, info)}
    preset = raw.get("preset")
    if "kind" in raw:
        return raw
    if not isinstance(preset, str):
        kinds = ", ".join(HARDWARE)
        raise UserError(f"hardware needs a preset from the catalogue, or a kind: {kinds}")
    return {"kind": load_entry(preset, *HARDWARE).kind, **raw}


def _beside_the_scenario(preset: str, info: ValidationInfo) -> str:
    """A relative path is looked up from the validation context's `folder`, where there is one."""
    folder = (info.context or {}).get("folder")
    return preset if folder is None else str(Path(folder) / preset)


def _any_kind(schema: dict[str, Any]) -> None:
    """A bare preset suits every kind as far as a schema can tell, and a preset's name alone will do."""
    schema["anyOf"] = [*schema.pop("oneOf"), {"type": "string"}]
    schema.pop("discriminator")


Hardware = Annotated[
    HardwareSpec,
    OneOf(HARDWARE),
    Field(json_schema_extra=_any_kind),
    BeforeValidator(_with_kind),
]
