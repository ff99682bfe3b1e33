"""Writes the pages of docs/ that come from code: `make docs`. `tests/docs` fails when one is stale."""

from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from typer.main import get_command

from docs import api_page, formats_page
from docs.peers import table as peers_table
from e80sim.choices import KeyOf, Later, OneOf, models_of
from reports import metrics_doc
from sim.__main__ import COMMANDS
from sim.scenario.schema import Scenario

HERE = Path(__file__).parent

SCENARIO_HEAD = """# Scenario reference

Written from `sim/scenario/schema.py` and the models it holds; `make docs` renews it.
Unknown keys are errors. `e80sim schema` prints the same as a JSON schema, for editors.
"""

CLI_HEAD = """# Command line

Written from the commands' own help; `make docs` renews it.

Exit status: 0 done, 2 the user's mistake (one sentence on stderr), 1 ours (a traceback),
130 interrupted by ctrl-C (`run` keeps what was complete, and marks it).
"""


def scenario_page() -> str:
    """Every section and every kind, with types, defaults and meanings."""
    seen: dict[type[BaseModel], None] = {}
    _collect(Scenario, seen)
    return "\n".join([SCENARIO_HEAD, *(_section(model) for model in seen)])


def _collect(model: type[BaseModel], seen: dict[type[BaseModel], None]) -> None:
    if model in seen:
        return
    seen[model] = None
    for field in model.model_fields.values():
        for inner in models_of(field):
            _collect(inner, seen)


def _section(model: type[BaseModel]) -> str:
    fields = model.model_fields
    bounds = _bounds(model)
    rows = [
        f"| `{name}` | {_type(field.annotation, field.metadata)} | {bounds.get(name, '')} "
        f"| {_default(field)} | {_escaped(field.description or '')} |"
        for name, field in fields.items()
    ]
    about = (model.__doc__ or "").strip().split("\n\n")[0].replace("\n    ", "\n")
    table = ["| key | type | bounds | default | meaning |", "|---|---|---|---|---|", *rows]
    return "\n".join([f"## {_title(model)}\n", *([f"{about}\n"] if about else []), *table, ""])


def _bounds(model: type[BaseModel]) -> dict[str, str]:
    """By setting, of those that are numbers or hold them."""
    properties = model.model_json_schema().get("properties", {})
    found = {name: next(_numeric(schema), None) for name, schema in properties.items()}
    return {name: _range(schema) for name, schema in found.items() if schema is not None}


def _numeric(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if schema.get("type") in {"number", "integer"}:
        yield schema
    inside = (schema.get("items"), schema.get("additionalProperties"))
    for part in (*schema.get("anyOf", ()), *(part for part in inside if isinstance(part, dict))):
        yield from _numeric(part)


def _range(schema: dict[str, Any]) -> str:
    if "maximum" not in schema:
        return ""
    high = _figure(schema["maximum"])
    if "minimum" in schema:
        return f"{_figure(schema['minimum'])} to {high}"
    return f"more than {_figure(schema['exclusiveMinimum'])} to {high}"


def _figure(bound: float) -> str:
    return f"{bound:,}" if isinstance(bound, int) else f"{bound:,.10g}"


def _title(model: type[BaseModel]) -> str:
    kind = model.model_fields.get("kind")
    tags = get_args(kind.annotation) if kind else ()
    return f"{model.__name__} (`kind: {tags[0]}`)" if tags else model.__name__


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True, validated_data={})
    if isinstance(value, BaseModel) or value is PydanticUndefined:
        return "its defaults"
    return "absent" if value is None else f"`{value}`"


def _type(annotation: Any, metadata: Iterable[object] = ()) -> str:  # noqa: ANN401 -- any type expression
    chosen = next((marker for marker in metadata if isinstance(marker, OneOf | KeyOf | Later)), None)
    if chosen is not None:
        return _type(chosen.annotation) if isinstance(chosen, Later) else _choices(chosen)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type(annotation.__origin__, annotation.__metadata__)
    if origin is Literal:
        return _words(arguments)
    if origin in {Union, UnionType}:
        return " \\| ".join(_type(inner) for inner in arguments if inner is not type(None))
    if origin in {dict, list, tuple}:
        what, held = ("mapping", arguments[1]) if origin is dict else ("list", arguments[0])
        return f"{what} of {_type(held)}"
    names = {str: "text", int: "whole number", float: "number", bool: "true or false", Any: "any value"}
    return names.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _choices(marker: OneOf | KeyOf) -> str:
    if isinstance(marker, KeyOf):
        return _words(marker.words)
    return " \\| ".join(one.__name__ for one in marker.classes)


def _words(words: Iterable[object]) -> str:
    return " \\| ".join(f"`{word}`" for word in words)


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")


def cli_page() -> str:
    """The help of every command."""
    parts = [CLI_HEAD]
    for name, (module, _) in COMMANDS.items():
        group = get_command(import_module(module).app)
        command = getattr(group, "commands", {}).get(name, group)
        parts.append(f"## {name}\n\n```text\n{_help(command, f'e80sim {name}')}\n```\n")
        for inner in getattr(command, "commands", {}):
            called = f"{name} {inner}"
            text = _help(command.commands[inner], f"e80sim {called}")
            parts.append(f"## {called}\n\n```text\n{text}\n```\n")
    return "\n".join(parts)


def _help(command: Any, called: str) -> str:  # noqa: ANN401 -- typer's own click
    command.rich_markup_mode = None  # plain text instead of boxes
    context = typer.Context(command, info_name=called, terminal_width=100, max_content_width=100)
    text: str = command.get_help(context)
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


PAGES: dict[str, Callable[[], str]] = {
    "metrics.md": metrics_doc.render,
    "scenario.md": scenario_page,
    "cli.md": cli_page,
    "api.md": api_page.render,
    "formats.md": formats_page.render,
    "performance.md": peers_table.page,  # one section of it
}


def main() -> None:
    for name, page in PAGES.items():
        (HERE / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
