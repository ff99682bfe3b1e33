"""`8080.toml`, `8080.yaml` or `8080.yml`: how a folder says which application it is and what it may use.

Everybody who starts an application reads it here, so a broken file gets the same sentence everywhere.
"""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator

from e80sim.mistakes import UserError
from sim.scenario.nearest import nearest
from sim.scenario.sentences import sentence
from sim.scenario.source_map import Location, SourceMap, parse_yaml, read_text

MANIFESTS = ("8080.toml", "8080.yaml", "8080.yml")
"""The first that a folder has counts, as for 8080's own client, which does not look for `.yml`."""
ENTRYPOINT = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")
SLUG = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
"""A label of a host name: the application is reached at `{slug}.hosted.…`."""
MOST_MHZ = 1_000_000
MOST_MEMORY_MB = 1_048_576
MOST_VARIABLES = 1000
MANIFEST = "a manifest is a mapping of fields such as `project` and `entrypoint`"

Line = Annotated[str, StringConstraints(min_length=1, max_length=1000)]
Variable = Annotated[str, StringConstraints(pattern=r"^[^=\x00]+$", max_length=1000)]
Value = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$", max_length=100_000)]


class AppManifest(BaseModel):
    """The fields that the platform's documents and its client know."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True, allow_inf_nan=False)

    project: Line
    organization_slug: Line
    entrypoint: Line
    """`module.path:variable` of an ASGI application."""
    project_slug: str | None = Field(None, pattern=SLUG)
    cpu_mhz: Annotated[float, Field(gt=0, le=MOST_MHZ)] | None = None
    memory_size_mb: Annotated[int, Field(ge=1, le=MOST_MEMORY_MB)] | None = None
    gpu_count: int | None = Field(None, ge=0)
    env_vars: dict[Variable, Value] | None = Field(None, max_length=MOST_VARIABLES)
    env_secrets: dict[Variable, Line] | None = Field(None, max_length=MOST_VARIABLES)
    """Names of variables, and the secrets of the project that they are to hold."""
    include_files: list[Line] | None = None
    exclude_files: list[Line] | None = None

    @field_validator("entrypoint")
    @classmethod
    def _names_a_variable(cls, entrypoint: str) -> str:
        if not ENTRYPOINT.fullmatch(entrypoint):
            raise ValueError(
                f"{entrypoint!r} is no entrypoint; write it as module.path:variable, such as main:app"
            )
        return entrypoint

    @field_validator("gpu_count")
    @classmethod
    def _without_gpus(cls, gpu_count: int | None) -> int | None:
        if gpu_count:
            raise ValueError(f"{gpu_count} asked for, and applications have none here; set it to 0")
        return gpu_count

    @property
    def slug(self) -> str:
        """Stated, or made of the project's name as the platform does that gives out slugs."""
        return self.project_slug or slug_of(self.project)


@dataclass(frozen=True, slots=True)
class AppFolder:
    """A folder with a manifest that holds."""

    folder: Path
    file: Path
    manifest: AppManifest
    warnings: tuple[str, ...]
    """Sentences about what is in the file and means nothing."""


def read_app_folder(path: Path) -> AppFolder:
    """Of a folder, or of a manifest in it. Raises UserError that names file, line and field."""
    file = _manifest_of(path)
    data, source_map = _read(file)
    unknown = tuple(_unknown(data, source_map))
    try:
        manifest = AppManifest.model_validate(data)
    except ValidationError as error:
        broken = sentence(error.errors(include_url=False), data, source_map, "")
        raise UserError("; ".join([broken, *unknown])) from None  # what is missing is often misspelt
    return AppFolder(file.parent, file, manifest, unknown)


def slug_of(name: str) -> str:
    """A label of a host name, `app` where nothing of the name can stand in one."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:63].rstrip("-") or "app"


def _manifest_of(path: Path) -> Path:
    if path.is_file():
        return path.absolute()
    if not path.is_dir():
        raise UserError(f"{path}: there is no such folder")
    found = next((path / name for name in MANIFESTS if (path / name).is_file()), None)
    if found is None:
        raise UserError(f"{path} holds no application: it has none of {', '.join(MANIFESTS)}")
    return found.absolute()


def _read(file: Path) -> tuple[dict[str, Any], SourceMap]:
    text = read_text(file)
    if file.suffix != ".toml":
        return parse_yaml(text, str(file), MANIFEST)
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        problem, _, place = str(error).rpartition(" (at line ")
        where = f"{file}:{place.partition(',')[0]}" if place[:1].isdigit() else str(file)
        raise UserError(f"{where}: this is not TOML: {problem or error}") from None
    return data, _toml_lines(text, file)


def _toml_lines(text: str, file: Path) -> SourceMap:
    """Where tables and plain `key = value` stand, which the standard library's reader does not tell."""
    source_map = SourceMap(str(file))
    table: Location = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[([^\[\]]+)\]\s*(#.*)?$", line):
            table = _toml_key(header[1])
            source_map.note(table, number)
        elif assigned := re.match(r"\s*((?:[\w.-]|\"[^\"]*\"|'[^']*'|\s)+?)\s*=", line):
            source_map.note((*table, *_toml_key(assigned[1])), number)
    return source_map


def _toml_key(text: str) -> Location:
    parts = re.findall(r"\"([^\"]*)\"|'([^']*)'|([\w-]+)", text)
    return tuple("".join(part) for part in parts)


def _unknown(data: dict[str, Any], source_map: SourceMap) -> Iterator[str]:
    fields = AppManifest.model_fields
    for key in data:
        if key not in fields:
            yield f"{source_map.where((key,))}: `{key}` means nothing here{nearest(key, fields)}"
