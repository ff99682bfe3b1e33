"""Derives `docs/data/openai_members.json`, the names of OpenAI's members, from OpenAI's API document.

Run it as `E80SIM_DATA=/path/to/data python docs/data/build_openai_members.py` when that document has changed.
It is not part of this repository; ours holds names only.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TARGET = Path(__file__).with_name("openai_members.json")
SOURCE = (
    "openai/openai-openapi, spec 2.3.0, commit f85dbe223d40e1a31cba812ab2d755c7e98a92a3 (2026-08-21), MIT, "
    "cut to the endpoints below; conversations are not in it"
)
LEVELS = 6
"""Of members within members."""
Json = dict[str, Any]


def members(document: Json) -> dict[str, dict[str, list[str]]]:
    """By operation: the names of its query, of its body and of its answer, as paths."""
    found = {}
    for path, operations in document["paths"].items():
        for method in ("get", "post", "delete"):
            if method in operations:
                found[f"{method.upper()} /v1{path}"] = _of_operation(document, operations[method])
    return found


def _of_operation(document: Json, operation: Json) -> dict[str, list[str]]:
    body = operation.get("requestBody", {}).get("content", {})
    answer = operation["responses"].get("200", {}).get("content", {})
    return {
        "query": [each["name"] for each in operation.get("parameters", ()) if each["in"] == "query"],
        "request": _all_paths(document, body),
        "answer": _all_paths(document, answer),
    }


def _all_paths(document: Json, contents: Json) -> list[str]:
    found: dict[str, None] = {}
    for content in contents.values():
        found |= dict.fromkeys(_paths(document, content.get("schema", {}), "", LEVELS, frozenset()))
    return list(found)


def _paths(document: Json, schema: Json, before: str, levels: int, inside: frozenset[str]) -> Iterator[str]:
    """`a.b` is a member of a member, `a[].b` one of a list's items."""
    reference = schema.get("$ref")
    if reference is not None:
        if reference in inside:
            return
        schema, inside = _resolved(document, reference), inside | {reference}
    for one in (*schema.get("allOf", ()), *schema.get("anyOf", ()), *schema.get("oneOf", ())):
        yield from _paths(document, one, before, levels, inside)
    if isinstance(schema.get("items"), dict):
        yield from _paths(document, schema["items"], f"{before}[]", levels, inside)
    for name, member in schema.get("properties", {}).items():
        path = f"{before}.{name}" if before else name
        yield path
        if levels > 1:
            yield from _paths(document, member, path, levels - 1, inside)


def _resolved(document: Json, reference: str) -> Json:
    found: Any = document
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    resolved: Json = found
    return resolved


def text_of(document: Json) -> str:
    told: dict[str, str] = {}
    lines = []
    for operation, names in members(document).items():
        answer = json.dumps(names["answer"])
        alike = told.setdefault(answer, operation)  # many answers are the same object: named once
        shown = names if alike == operation else {**names, "answer": alike}
        lines.append(f"{json.dumps(operation)}: {json.dumps(shown)}")
    text = ",\n".join(lines)
    return f'{{"source": {json.dumps(SOURCE)},\n"operations": {{\n{text}\n}}}}\n'


def main() -> None:
    raw = Path(os.environ["E80SIM_DATA"]) / "openai" / "openai-subset.json"
    TARGET.write_text(text_of(json.loads(raw.read_text(encoding="utf-8"))), encoding="utf-8")


if __name__ == "__main__":
    main()
