"""The scenarios that come with the program: the documented platform, and first ones to change."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import TypeAdapter, ValidationError

from e80sim.mistakes import UserError

FOLDER = Path(__file__).parents[1] / "data" / "scenarios"

FIRST = {
    "edge": "where an app should run",
    "limits": "who is refused what",
    "trace": "recorded traffic, with a made-up trace",
    "live": "the documented platform, to serve",
}
"""First scenarios to change, and what each is about."""

DOCUMENTED_PLATFORM = FOLDER / "live.yaml"
"""What is served where no scenario is named."""


def write_first(name: str, kind: str, folder: Path) -> list[Path]:
    """`name`.yaml of this kind, and the trace that it replays; all or nothing. Raises UserError."""
    if kind not in FIRST:
        raise UserError(f"--kind {kind}: it can be {', '.join(FIRST)}")
    _require_name(name)
    scenario = (FOLDER / f"{kind}.yaml").read_text(encoding="utf-8")
    scenario = scenario.replace(f"\nname: {kind}\n", f"\nname: {name}\n")
    texts = {}
    trace = FOLDER / f"{kind}.csv"
    if trace.exists():
        texts[f"{name}.csv"] = trace.read_text(encoding="utf-8")
        scenario = scenario.replace(f"path: {trace.name}", f"path: {name}.csv")
    texts[f"{name}.yaml"] = scenario
    paths = [folder / file for file in texts]
    for path in paths:
        if path.exists():
            raise UserError(f"{path} exists already: choose another name")
    for path, text in zip(paths, texts.values(), strict=True):
        path.write_text(text, encoding="utf-8", newline="\n")
    return paths


def _require_name(name: str) -> None:
    from sim.scenario.schema import Scenario  # noqa: PLC0415 -- half a second, not for `--help`

    field = Scenario.model_fields["name"]
    allowed: Any = Annotated[field.annotation, *field.metadata]
    try:
        TypeAdapter(allowed).validate_python(name)
    except ValidationError:
        raise UserError(
            f"the name {name!r}: use a few lower-case letters, digits and -, as in my-app"
        ) from None
