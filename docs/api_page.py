"""`docs/api.md`: every endpoint and member that is served, beside OpenAI's and the 8080 platform's."""

import json
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from api_shim.testing import VirtualPlatform
from sim.scenario.shipped import DOCUMENTED_PLATFORM

DATA = Path(__file__).parent / "data"
METHODS = ("get", "post", "put", "delete")
Json = dict[str, Any]

HEAD = """# The API, member by member

Written from the server's own description, beside the names that OpenAI's document has and those that 8080's
documentation and clients have; `make docs` renews it. `/docs` on a server has types, bounds and meanings, and
[serving.md](serving.md) says what is behind them. OpenAI's document: {source}.

What a request may say is, here:

- **simulated**: it has its effect, on what is answered or kept, or on simulated time.
- **accepted and ignored**: it is taken, where it has a type it is checked, and nothing depends on it.
- **refused**: 400 with the reason.

A star stands for a member that is required.
"""


class Member(NamedTuple):
    """One that a request may have."""

    path: str
    owner: str
    """The component, or the operation, that has it."""
    name: str
    required: bool

    @property
    def top(self) -> str:
        return self.path.split(".")[0].removesuffix("[]")


class Operation(NamedTuple):
    label: str
    """`POST /v1/files`"""
    summary: str
    headers: list[str]
    query: list[Member]
    request: list[Member]
    answer: list[str]
    """Paths."""


class Marks:
    """What is said of a member: `docs/data/api_marks.yaml`, by component or operation."""

    def __init__(self, table: dict[str, dict[str, list[str]]]) -> None:
        self._of = {
            (owner, name): mark
            for owner, by_mark in table.items()
            for mark, names in by_mark.items()
            for name in names
        }

    def of(self, member: Member) -> str | None:
        return self._of.get((member.owner, member.name))

    def refusals(self, operation: str) -> list[str]:
        """Paths that the operation refuses; a star at the end stands for whatever begins so."""
        return [name for (owner, name), mark in self._of.items() if (owner, mark) == (operation, "refused")]

    def refuses(self, operation: str, path: str) -> bool:
        if (operation, path) in self._of:
            return self._of[operation, path] == "refused"
        stars = (name[:-1] for name in self.refusals(operation) if name.endswith("*"))
        return any(path.startswith(star) for star in stars)

    @property
    def named(self) -> set[tuple[str, str]]:
        """(component or operation, member)"""
        return set(self._of)


def openai() -> Json:
    found: Json = json.loads((DATA / "openai_members.json").read_text(encoding="utf-8"))
    return found


def e80() -> dict[str, list[str]]:
    return _read("e80_members.yaml")


@cache
def marks() -> Marks:
    return Marks(_read("api_marks.yaml"))


def _read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DATA / name).read_text(encoding="utf-8"))
    return found


@cache
def document() -> Json:
    """Of a server of the documented platform."""
    with VirtualPlatform(DOCUMENTED_PLATFORM) as platform:
        described: Json = platform.app.openapi()
        return described


def operations() -> Iterator[Operation]:
    described = document()
    for path, by_method in described["paths"].items():
        for method in METHODS:
            if method in by_method:
                yield _operation(described, f"{method.upper()} {path}", by_method[method])


def _operation(described: Json, label: str, told: Json) -> Operation:
    parameters = told.get("parameters", ())
    request: dict[str, Member] = {}
    for content in told.get("requestBody", {}).get("content", {}).values():
        request |= {member.path: member for member in _members(described, content.get("schema", {}), label)}
    answer: dict[str, Member] = {}
    for status, reply in told["responses"].items():
        if status.startswith("2"):
            for content in reply.get("content", {}).values():
                found = _members(described, content.get("schema", {}), label)
                answer |= {member.path: member for member in found}
    return Operation(
        label,
        told.get("summary", ""),
        [each["name"] for each in parameters if each["in"] == "header"],
        [Member(each["name"], label, each["name"], False) for each in parameters if each["in"] == "query"],
        list(request.values()),
        list(answer),
    )


def _members(
    described: Json, schema: Json, owner: str, before: str = "", inside: frozenset[str] = frozenset()
) -> Iterator[Member]:
    """In the schema and in what it holds; a component within itself is not opened again."""
    reference = schema.get("$ref")
    if reference is not None:
        owner = reference.rpartition("/")[2]
        if owner in inside:
            return
        schema, inside = described["components"]["schemas"][owner], inside | {owner}
    for one in (*schema.get("allOf", ()), *schema.get("anyOf", ()), *schema.get("oneOf", ())):
        yield from _members(described, one, owner, before, inside)
    if isinstance(schema.get("items"), dict):
        yield from _members(described, schema["items"], owner, f"{before}[]", inside)
    required = schema.get("required", ())
    for name, inner in schema.get("properties", {}).items():
        path = f"{before}.{name}" if before else name
        yield Member(path, owner, name, name in required)
        yield from _members(described, inner, owner, path, inside)


def ignored_of_openai(operation: Operation) -> list[str]:
    """What OpenAI's body may hold and ours does not know: members that nobody reads."""
    return [path for path in _only_openais(operation) if not marks().refuses(operation.label, path)]


def refused_of_openai(operation: Operation) -> list[str]:
    """What else it may hold, in kinds of members that ours does not take."""
    return [path for path in _only_openais(operation) if marks().refuses(operation.label, path)]


def _only_openais(operation: Operation) -> list[str]:
    return _without(_openai_names(operation.label, "request"), {member.path for member in operation.request})


def _without(theirs: Iterable[str], ours: set[str]) -> list[str]:
    """Paths that are not ours; what lies within such a one is not told apart."""
    found: list[str] = []
    for path in theirs:
        parents = {path[:place] for place in range(len(path)) if path[place] in ".["}
        if path not in ours and not parents & set(found):
            found.append(path)
    return found


def _openai_names(label: str, part: str) -> list[str]:
    names: list[str] | str = _openai_operations().get(_their_label(label), {}).get(part, [])
    return _openai_names(names, part) if isinstance(names, str) else names  # that endpoint's answer


@cache
def _openai_operations() -> dict[str, Json]:
    return {_their_label(label): parts for label, parts in openai()["operations"].items()}


def _their_label(label: str) -> str:
    """Whatever the id in the path is called."""
    return "/".join("{}" if part.startswith("{") else part for part in label.split("/"))


def render() -> str:
    known, promised = marks(), {_their_label(label): names for label, names in e80().items()}
    sections = [_section(operation, known, promised) for operation in operations()]
    return "\n".join([HEAD.format(source=openai()["source"]), *sections])


def _section(operation: Operation, known: Marks, promised: dict[str, list[str]]) -> str:
    label = _their_label(operation.label)
    in_openai, in_e80 = label in _openai_operations(), label in promised
    names = [name for name, there in (("OpenAI", in_openai), ("8080", in_e80)) if there]
    beside = f"Also in: {', '.join(names)}." if names else "Compared with nobody's."
    parts = [f"## {operation.label}\n", f"{operation.summary}. {beside}\n".lstrip(". ")]
    asked = [*operation.query, *operation.request]
    if asked:
        theirs = {*_openai_names(label, "request"), *_openai_names(label, "query")}
        parts += _table(asked, known, theirs if in_openai else None, promised.get(label))
    told = (
        ("Accepted and ignored", ignored_of_openai(operation)),
        ("Refused", refused_of_openai(operation)),
    )
    parts += [f"{what}, of OpenAI's: {_words(more)}.\n" for what, more in told if more]
    missing = _without(_openai_names(label, "query"), {member.path for member in operation.query})
    if missing:
        parts.append(f"Ignored in the query, of OpenAI's: {_words(missing)}.\n")
    if operation.headers:
        parts.append(f"Headers: {_words(operation.headers)}.\n")
    if operation.answer:
        parts += _answer(operation, in_openai=in_openai)
    return "\n".join(parts)


def _table(
    asked: list[Member], known: Marks, theirs: set[str] | None, promised: list[str] | None
) -> list[str]:
    """None: that party does not have the endpoint."""
    rows = [
        f"| `{member.path}`{'*' if member.required else ''} "
        f"| {_has(theirs is not None and member.path in theirs)} "
        f"| {_has(promised is not None and member.path in promised)} "
        f"| {known.of(member) or '?'} |"
        for member in asked
    ]
    return ["| request | OpenAI | 8080 | here |", "|---|---|---|---|", *rows, ""]


def _has(there: bool) -> str:
    return "yes" if there else ""


def _answer(operation: Operation, *, in_openai: bool) -> list[str]:
    theirs = _openai_names(_their_label(operation.label), "answer")
    if not in_openai or not theirs:
        return [f"Answer: {_words(operation.answer)}.\n"]
    ours = set(operation.answer)
    alike = [path for path in operation.answer if path in set(theirs)]
    beside, missing = [path for path in operation.answer if path not in set(theirs)], _without(theirs, ours)
    told = (("as OpenAI's", alike), ("beside OpenAI's", beside), ("OpenAI's that are left out", missing))
    return [f"Answer, {what}: {_words(paths)}.\n" for what, paths in told if paths]


def _words(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
