"""Strict YAML into plain data, remembering on which line each value stands."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

Location = tuple[str | int, ...]


class ScenarioError(Exception):
    """The user's mistake, in one sentence that names file and line where it can."""


class SourceMap:
    """Lines of one file by location, such as `("models", "llama", "nodes")`. Lines count from 1."""

    def __init__(self, file: str) -> None:
        self.file = file
        self._lines: dict[Location, int] = {}

    def note(self, location: Location, line: int) -> None:
        self._lines[location] = line

    def forget_below(self, location: Location) -> None:
        """A value was replaced from outside the file: it and all inside it stand nowhere."""
        for known in [known for known in self._lines if known[: len(location)] == location]:
            del self._lines[known]

    def where(self, location: Location) -> str:
        """`file:line` of the value, or of the nearest thing around it that stands in the file."""
        for depth in range(len(location), -1, -1):
            line = self._lines.get(location[:depth])
            if line is not None:
                return f"{self.file}:{line}"
        return self.file


def read_yaml(path: Path) -> tuple[dict[str, Any], SourceMap]:
    """The file as nested dicts, lists and scalars, and its source map."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ScenarioError(f"{path}: there is no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioError(f"{path}: cannot be read: {error}") from None
    return parse_yaml(text, str(path))


def parse_yaml(text: str, file: str) -> tuple[dict[str, Any], SourceMap]:
    source_map = SourceMap(file)
    try:
        root = yaml.compose(text, Loader=yaml.CSafeLoader)
        if not isinstance(root, yaml.MappingNode):
            raise ScenarioError(f"{file}: a scenario is a mapping of sections such as `models` and `traffic`")
        return _mapping(root, (), source_map), source_map
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        raise ScenarioError(f"{file}{line}: this is not YAML: {error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise ScenarioError(f"{file}: this is not YAML: {error}") from None


def _build(node: yaml.Node, location: Location, source_map: SourceMap) -> Any:  # noqa: ANN401 -- plain data
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, location, source_map)
    source_map.note(location, node.start_mark.line + 1)
    if isinstance(node, yaml.SequenceNode):
        return [_build(item, (*location, i), source_map) for i, item in enumerate(node.value)]
    loader = yaml.CSafeLoader("")
    try:
        return loader.construct_object(node)
    finally:
        loader.dispose()


def _mapping(node: yaml.MappingNode, location: Location, source_map: SourceMap) -> dict[str, Any]:
    source_map.note(location, node.start_mark.line + 1)
    built: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key, line = str(key_node.value), key_node.start_mark.line + 1
        if key in built:
            raise ScenarioError(f"{source_map.file}:{line}: `{key}` stands here a second time")
        built[key] = _build(value_node, (*location, key), source_map)
        source_map.note((*location, key), line)
    return built


def apply_setting(data: dict[str, Any], source_map: SourceMap, dotted: str, value: object) -> None:
    """Put `value` at a dotted path such as `models.llama.nodes`, making the mappings on the way."""
    keys = dotted.split(".")
    inside: Any = data
    for depth, key in enumerate(keys[:-1]):
        if isinstance(inside, list) and key.isdigit() and int(key) < len(inside):
            inside = inside[int(key)]
            continue
        if not isinstance(inside, dict):
            raise ScenarioError(
                f"--set {dotted}: `{'.'.join(keys[:depth])}` is {inside!r} and has no `{key}`"
            )
        if not isinstance(inside.get(key), dict | list):
            inside[key] = {}
        inside = inside[key]
    if not isinstance(inside, dict):
        raise ScenarioError(f"--set {dotted}: `{'.'.join(keys[:-1])}` is not a mapping")
    inside[keys[-1]] = _copied(value)
    source_map.forget_below(tuple(keys))


def _copied(value: object) -> object:
    return {key: _copied(inner) for key, inner in value.items()} if isinstance(value, Mapping) else value
