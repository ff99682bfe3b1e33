"""A catalogue file: an LLM, or a piece of hardware with every number sourced. Files are read when asked for.

A name with a slash or ending in `.yaml` is the path of a user's own file in the same format.
"""

from collections.abc import Iterable
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from e80sim.choices import Confidence
from e80sim.mistakes import UserError
from e80sim.plain_yaml import Loader
from hwmodels.value import Value

DATA = Path(__file__).parent / "data"

LLM = "llm"
LINK = "link"
"""Kinds of entry that are no hardware."""
USUAL_KV = "bfloat16"
"""The precision of a KV cache that nobody states."""
Values = dict[str, Value]
DenseMs = Annotated[
    # Keys are text where a scenario went through JSON, as in the one that a run leaves behind.
    dict[
        Annotated[int, Field(strict=False, ge=1)],
        Annotated[float, Field(gt=0, le=3_600_000, allow_inf_nan=False)],
    ],
    Field(min_length=1),
]
"""Tokens of a step -> ms of its dense part."""


def nearest(what: str, given: str, choices: Iterable[str]) -> str:
    """The sentence for a name that does not exist."""
    known = sorted(choices)
    close = get_close_matches(given, known, n=3, cutoff=0.4)
    return f"no {what} {given!r}; " + (
        f"did you mean {' or '.join(close)}?" if close else f"choose from {', '.join(known)}"
    )


def first_error(error: ValidationError) -> str:
    """Where and what, in a line."""
    first = error.errors()[0]
    place = ".".join(map(str, first["loc"]))
    message = first["msg"].removeprefix("Value error, ")
    return f"{place}: {message}" if place else message


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


def _named(values: object) -> object:
    """Give each value the key it stands under as its name."""
    if not isinstance(values, dict):
        return values
    return {key: {"name": key, **body} if isinstance(body, dict) else body for key, body in values.items()}


class HeldTo(_Strict):
    """How far an entry's answers were from measured requests, and up to which load that is known."""

    sentence: str = Field(min_length=1)
    source: str = Field(min_length=1)
    most_requests_per_s: float | None = Field(default=None, gt=0)
    """Of one node, where the load was a rate."""


class Fit(_Strict):
    """Coefficients that hold for one LLM with weights and KV cache in one precision each."""

    llm: str
    weights: str
    kv_cache_dtype: str = USUAL_KV
    tensor_parallel: int = Field(default=1, ge=1)
    """How many GPUs shared each layer; the steps are those of one of them."""
    holds_communication: bool = False
    """Whether the steps hold what the GPUs tell each other, or a link adds it."""
    note: str | None = None
    held_to: HeldTo | None = None
    values: Values
    dense_ms_by_tokens: DenseMs | None = None
    """Of a gpu_iteration, instead of the terms of a roofline. The value `dense_scale` has the source."""

    _name_values = field_validator("values", mode="before")(_named)


class Settings(_Strict):
    """What a node is bought with, where a scenario states nothing else."""

    weights: str | None = None
    kv_cache_dtype: str | None = None
    tensor_parallel: int | None = Field(default=None, ge=1)


class CollectiveTimes(_Strict):
    """How long so many GPUs took over a link for one exchange, by its bytes."""

    collective: str
    gpus: int = Field(ge=2)
    source: str = Field(min_length=1)
    confidence: Confidence
    us_by_bytes: Annotated[
        dict[Annotated[int, Field(ge=1)], Annotated[float, Field(gt=0, le=1e9, allow_inf_nan=False)]],
        Field(min_length=2),
    ]


class Entry(_Strict):
    name: str
    kind: str
    """`LLM`, or one of the kinds of hardware."""
    title: str
    note: str | None = None
    """What a report must say when its answer rests on this entry."""
    held_to: HeldTo | None = None
    """Of an entry without fits; an entry that extends this one has its own."""
    values: Values = {}
    llms: tuple[str, ...] = ()
    """The LLMs it is made for; empty means any."""
    fits: tuple[Fit, ...] = ()
    settings: Settings = Settings.model_construct()
    """Of a GPU's node."""
    link: str | None = None
    """Of a GPU: what connects it with others, an entry of kind `LINK`."""
    collectives: tuple[CollectiveTimes, ...] = ()
    """Of a link."""
    weights: tuple[str, ...] = ()
    """Of an LLM: the weight precisions it comes in, the usual one first."""

    _name_values = field_validator("values", mode="before")(_named)

    def runs(self, llm: str) -> bool:
        made_for = {fit.llm for fit in self.fits} or set(self.llms)
        return not made_for or llm in made_for

    def fit(
        self, llm: str, weights: str, kv_cache_dtype: str = USUAL_KV, tensor_parallel: int = 1
    ) -> Fit | None:
        """That of so many GPUs, else that of one, from which it follows."""
        wanted = (llm, weights, kv_cache_dtype)
        found = {
            fit.tensor_parallel: fit
            for fit in reversed(self.fits)
            if (fit.llm, fit.weights, fit.kv_cache_dtype) == wanted
        }
        return found.get(tensor_parallel) or found.get(1)

    def all_values(self) -> list[Value]:
        return [*self.values.values(), *(value for fit in self.fits for value in fit.values.values())]


def names(*kinds: str) -> list[str]:
    """The catalogue's names of these kinds, or all."""
    stems = sorted(path.name.removesuffix(".yaml") for path in DATA.glob("*.yaml"))
    return [stem for stem in stems if not kinds or _parse(DATA / f"{stem}.yaml").get("kind") in kinds]


_ALONE: dict[tuple[str, ...], str] = {(LLM,): "LLM", (LINK,): "link"}
"""What an entry is called where no other kind will do."""


def load_entry(name: str, *kinds: str) -> Entry:
    """The entry of this name (or at this path); ValueError names the nearest one of these kinds."""
    what = _ALONE.get(kinds) or ("catalogue entry" if not kinds or LLM in kinds else "hardware preset")
    entry = _validated(name, what, kinds)
    if kinds and entry.kind not in kinds:
        raise UserError(
            f"{name} is of kind {entry.kind}, not {' or '.join(kinds)}:"
            f" choose from {', '.join(names(*kinds))}"
        )
    return entry


def _validated(name: str, what: str, kinds: tuple[str, ...]) -> Entry:
    return _read(name, what, kinds) if is_path(name) else _shipped(name, what, kinds)


@cache
def _shipped(name: str, what: str, kinds: tuple[str, ...]) -> Entry:
    """A scenario asks for the same entry many times, and a sweep for those of many scenarios."""
    return _read(name, what, kinds)


def _read(name: str, what: str, kinds: tuple[str, ...]) -> Entry:
    path = _path(name)
    if not path.is_file():
        if is_path(name):
            raise UserError(f"no {what} file at {name}")
        raise UserError(nearest(what, name, names(*kinds)))
    return _made(path) if is_path(name) else _made_once(path)


@cache
def _made_once(path: Path) -> Entry:
    return _made(path)


def _made(path: Path) -> Entry:
    raw = _parse(path)
    base, without = raw.pop("extends", None), raw.pop("without", [])
    raw["name"] = path.name.removesuffix(".yaml")
    try:
        entry = Entry.model_validate(raw)
    except ValidationError as error:
        raise UserError(f"{path.name}: {first_error(error)}") from None
    return entry if base is None else _extended(entry, load_entry(base), without)


def _extended(entry: Entry, base: Entry, without: list[str]) -> Entry:
    """The base's values, less those named by `without`, under the entry's own; its fits where it has none."""
    inherited = {name: value for name, value in base.values.items() if name not in without}
    return entry.model_copy(
        update={
            "values": inherited | entry.values,
            "llms": entry.llms or base.llms,
            "note": entry.note or base.note,
            "fits": entry.fits or base.fits,
            "link": entry.link or base.link,
        }
    )


def is_path(name: str) -> bool:
    return "/" in name or name.endswith(".yaml")


def _path(name: str) -> Path:
    return Path(name) if is_path(name) else DATA / f"{name}.yaml"


def _parse(path: Path) -> dict[str, Any]:
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), Loader)  # noqa: S506  (a safe loader)
    except yaml.YAMLError as error:
        raise UserError(f"{path.name} is not YAML: {' '.join(str(error).split())}") from None
    except UnicodeDecodeError:
        raise UserError(f"{path.name} is not a text file in UTF-8") from None
    if not isinstance(raw, dict):
        raise UserError(f"{path.name} is not a catalogue entry: it holds no mapping")
    return raw
