"""What a scenario writes under `hardware:`."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from hwmodels.entry import HARDWARE_KINDS, load_entry
from hwmodels.gpu_iteration import GpuIteration
from hwmodels.hardwired_asic import HardwiredAsic
from hwmodels.roofline import Roofline


def _with_kind(raw: Any) -> Any:  # noqa: ANN401  (whatever the YAML held)
    """A preset knows its kind, so `{preset: hc1}` and plain `hc1` are enough."""
    if isinstance(raw, str):
        raw = {"preset": raw}
    if not isinstance(raw, dict) or "kind" in raw:
        return raw
    preset = raw.get("preset")
    if not isinstance(preset, str):
        kinds = ", ".join(HARDWARE_KINDS)
        raise ValueError(f"hardware needs a preset from the catalogue, or a kind: {kinds}")  # noqa: TRY004  (the user's mistake)
    return {"kind": load_entry(preset, *HARDWARE_KINDS).kind, **raw}


Hardware = Annotated[
    HardwiredAsic | GpuIteration | Roofline,
    Field(discriminator="kind"),
    BeforeValidator(_with_kind),
]
