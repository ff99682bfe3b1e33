"""What every piece of a scenario's traffic shares: unknown keys are refused, values never change."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict, ValidationInfo

MAX_TOKENS = 10_000_000
"""No published context window is longer (Llama 4 Scout's): a larger figure is a slip of the pen."""

MAX_RATE_PER_S = 1e9

MAX_S = 4_000_000
"""46 days, as long as a run can be; a run and its drain fit an integer of 64 bits in picoseconds."""
MOST_STEPS = 1000
"""Of an agent for one user request, those of all branches together."""

MIN_S = 0.001
"""The shortest stretch of time that repeats: shorter ones would pile up without end."""

RatePerS = Annotated[
    float,
    Field(gt=0, le=MAX_RATE_PER_S, description="requests per second; above 1e9 the picoseconds would show"),
]
Cv = Annotated[
    float,
    Field(
        ge=0.01, le=100, description="coefficient of variation of the gaps; 1 is Poisson, more is burstier"
    ),
]
Tokens = Annotated[int, Field(ge=1, le=MAX_TOKENS)]


class Spec(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, defer_build=True)


def _beside_the_scenario(path: Path, info: ValidationInfo) -> Path:
    folder = (info.context or {}).get("folder")
    return path if folder is None else Path(folder) / path


DataPath = Annotated[Path, Strict(False), AfterValidator(_beside_the_scenario)]
"""A file; a relative one is looked up from the validation context's `folder`, where there is one."""
