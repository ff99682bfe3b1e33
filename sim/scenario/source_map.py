"""Strict YAML into plain data, remembering on which line each value stands.

Ours, on the nodes of libyaml, for start-up time: ruamel.yaml, which knows lines too, takes ten times as long
for a scenario (18 ms against 1.7).
"""

from pathlib import Path
from typing import Any, cast

import yaml

from e80sim.mistakes import UserError
from e80sim.plain_yaml import Loader

Location = tuple[str | int, ...]

MOST_VALUES = 100_000
DEEPEST = 50
"""Bounds far above any scenario, for files that are none."""
SCENARIO = "a scenario is a mapping of sections such as `models` and `traffic`"


class ScenarioError(UserError):
    """The user's mistake, in one sentence that names file and line where it can."""


class SourceMap:
    """Where values stand, by location such as `("models", "llama", "nodes")`. Lines count from 1."""

    def __init__(self, file: str) -> None:
        self.file = file
        self._places: dict[Location, str] = {}

    def note(self, location: Location, line: int) -> None:
        self._places[location] = f"{self.file}:{line}"

    def replace(self, location: Location, place: str) -> None:
        """A value was put there from outside: `place` says by what, for it and for all inside it."""
        for known in [known for known in self._places if known[: len(location)] == location]:
            del self._places[known]
        self._places[location] = place

    def copied(self) -> "SourceMap":
        copy = SourceMap(self.file)
        copy._places = dict(self._places)
        return copy

    def where(self, location: Location) -> str:
        """`file:line` of the value, or of the nearest thing around it that stands in the file."""
        around = (location[:depth] for depth in range(len(location), -1, -1))
        return next((self._places[known] for known in around if known in self._places), self.file)


def read_yaml(path: Path) -> tuple[dict[str, Any], SourceMap]:
    """The file as nested dicts, lists and scalars, and its source map."""
    return parse_yaml(read_text(path), str(path))


def read_text(path: Path) -> str:
    """Raises ScenarioError."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ScenarioError(f"{path}: there is no such file") from None
    except UnicodeDecodeError:
        raise ScenarioError(f"{path}: this is not a text file in UTF-8") from None
    except OSError as error:
        raise ScenarioError(f"{path}: cannot be read: {error.strerror}") from None


def parse_yaml(text: str, file: str, what: str = SCENARIO) -> tuple[dict[str, Any], SourceMap]:
    """`what` the file has to be, for whoever brought something else. Raises ScenarioError."""
    root = _composed(text, file)
    if not isinstance(root, yaml.MappingNode):
        found = "empty" if root is None else "not one"
        raise ScenarioError(f"{file}: {what}, and this is {found}")
    builder = _Builder(file)
    return builder.mapping(root, ()), builder.source_map


def parse_value(text: str, place: str) -> Any:  # noqa: ANN401 -- plain data
    """What `text` would be as a value in a file; empty text is None."""
    try:
        root = _compose(text)
    except (yaml.YAMLError, UnicodeError):
        raise ScenarioError(f"{place}: {text!r} is not a YAML value") from None
    return None if root is None else _Builder(place).value(root, ())


def _composed(text: str, file: str) -> yaml.Node | None:
    try:
        return _compose(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{file}:{mark.line + 1}" if mark else file
        raise ScenarioError(f"{where}: this is not YAML: {_problem(error, text)}") from None
    except yaml.reader.ReaderError as error:
        raise ScenarioError(f"{file}: this is not YAML: {error.reason}") from None


def _compose(text: str) -> yaml.Node | None:
    """Raises yaml.YAMLError, also for what is nested so deep that building it would exhaust the stack."""
    depth = 0
    for event in yaml.parse(text, Loader=Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            deep = f"more than {DEEPEST} lists and mappings, each inside the other"
            mark = cast("yaml.error.Mark", event.start_mark)  # libyaml's own, with the same fields
            raise yaml.MarkedYAMLError(problem=deep, problem_mark=mark)
    return yaml.compose(text, Loader=Loader)


def _problem(error: yaml.MarkedYAMLError, text: str) -> str:
    """The parser's words, and what mostly lies behind them."""
    problem, mark = str(error.problem or error.context), error.problem_mark
    lines = text.splitlines()
    line = lines[mark.line] if mark is not None and mark.line < len(lines) else ""  # else behind the end
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return "a line starts with a tab; indent with spaces"
    if "another document" in problem:
        return "a file is one document, and a second one starts here"
    if "expected key" in problem or "block end" in problem:
        return f"{problem}; mostly that is a line indented by too much or too little"
    opened = error.context_mark
    if opened is not None and ("flow" in str(error.context) or "quoted" in str(error.context)):
        what = "quote" if "quoted" in str(error.context) else "bracket"
        return f"{problem}; the {what} opens in line {opened.line + 1}"
    return problem


def plain_copy(value: Any) -> Any:  # noqa: ANN401 -- plain data
    """Of what was built here: mappings and lists anew, in a tenth of the time of `deepcopy`."""
    if isinstance(value, dict):
        return {key: plain_copy(inner) for key, inner in value.items()}
    return [plain_copy(inner) for inner in value] if isinstance(value, list) else value


class _Builder:
    """Nodes into data. Unlike YAML's own constructor it refuses a key that stands twice."""

    def __init__(self, file: str) -> None:
        self.source_map = SourceMap(file)
        self._scalars = Loader("")
        self._open: list[yaml.Node] = []
        self._built = 0

    def value(self, node: yaml.Node, location: Location) -> Any:  # noqa: ANN401 -- plain data
        self.source_map.note(location, _line(node))
        self._built += 1  # with each alias once more, so that aliases of aliases end here
        if self._built > MOST_VALUES:
            raise self._error(node, f"more than {MOST_VALUES:,} values, those of aliases (*) included")
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node)
        if any(node is outer for outer in self._open):
            raise self._error(node, "an anchor (&) that holds its own alias (*)")
        self._open.append(node)
        built = (
            self.mapping(node, location)
            if isinstance(node, yaml.MappingNode)
            else [self.value(item, (*location, i)) for i, item in enumerate(node.value)]
        )
        self._open.pop()
        return built

    def mapping(self, node: yaml.MappingNode, location: Location) -> dict[str, Any]:
        self.source_map.note(location, _line(node))
        built: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node)
            if key in built:
                raise self._error(key_node, f"`{key}` stands here a second time")
            built[key] = self.value(value_node, (*location, key))
            self.source_map.note((*location, key), _line(key_node))
        return built

    def _key(self, node: yaml.Node) -> str:
        if not isinstance(node, yaml.ScalarNode):
            raise self._error(node, "a list or a mapping cannot be a name")
        if node.tag == "tag:yaml.org,2002:merge":
            raise self._error(node, "`<<` is not known here; give whole mappings a name with & and *")
        return str(node.value)

    def _scalar(self, node: yaml.ScalarNode) -> Any:  # noqa: ANN401 -- plain data
        try:
            return self._scalars.construct_object(node)
        except yaml.MarkedYAMLError as error:
            raise self._error(node, f"this is not YAML: {error.problem}") from None
        except ValueError as error:  # such as a number of 5,000 digits
            raise self._error(node, f"{node.value!r} cannot be read: {error}") from None

    def _error(self, node: yaml.Node, sentence: str) -> ScenarioError:
        return ScenarioError(f"{self.source_map.file}:{_line(node)}: {sentence}")


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
