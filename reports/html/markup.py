"""HTML from Python: text is escaped unless it already is `Html`, so nothing from a scenario can be markup."""

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from functools import cache

from markupsafe import Markup, escape

VOID = {"br", "input", "link", "meta"}
_UNIT = re.compile(r"(?<=\d) (?=(?:ms|µs|ns|s|%)(?:\W|$))")
_RANGE = re.compile(r"(?<=\d)\N{EN DASH}(?=\d)")

Html = Markup
"""Markup that is safe as it stands: only what this file has escaped, or wrote itself."""
Node = Html | str | None


def text(content: str) -> Html:
    """Escaped, with no line break between a number and its unit or within a range."""
    return _html(_written(content))


def _written(content: str) -> str:
    written = str.__str__(escape(content))
    if " " in written:
        written = _UNIT.sub("\u00a0", written)
    if "\N{EN DASH}" in written:
        written = _RANGE.sub("\u2060\N{EN DASH}\u2060", written)
    return written


def _html(markup: str) -> Html:
    """As `Html(markup)`, which first asks what it is given whether it has markup of its own."""
    return str.__new__(Html, markup)


def join(*children: Node | Iterable[Node]) -> Html:
    return _html("".join(_flatten(children)))


def tag(name: str, /, *children: Node | Iterable[Node], **attributes: str | bool | None) -> Html:
    """`class_` and `for_` stand for the reserved words, `data_x` for data-x; False and None are left out."""
    opening = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in VOID:
        return _html(f"<{name}{opening}>")
    return _html("".join([f"<{name}{opening}>", *_flatten(children), f"</{name}>"]))


def coordinate(value: float) -> str:
    """A place or a length in a drawing: hundredths are finer than what a screen shows."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def link(target: str, *children: Node) -> Html:
    return tag("a", *children, href=f"#{target}")


def json_script(identity: str, content: object) -> Html:
    """Data for a script. `<` is written so that no string can end the element."""
    body = json.dumps(content, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    return Html(f'<script type="application/json" id="{escape(identity)}">{body}</script>')


@cache
def script_hash(script: bytes) -> str:
    """What a page's policy calls a script that may run."""
    return f"sha256-{base64.b64encode(hashlib.sha256(script).digest()).decode()}"


def definition_list(entries: Mapping[str, Node]) -> Html:
    return tag("dl", [join(tag("dt", term), tag("dd", meaning)) for term, meaning in entries.items()])


def _attribute(key: str, value: str | bool | None) -> str:
    name = key.rstrip("_").replace("_", "-")
    if value is None or value is False:
        return ""
    return f" {name}" if value is True else f' {name}="{escape(value)}"'


def _flatten(children: Iterable[Node | Iterable[Node]]) -> Iterable[str]:
    for child in children:
        if isinstance(child, Html):
            yield child
        elif isinstance(child, str):
            yield _written(child)
        elif child is not None:
            yield from _flatten(child)
