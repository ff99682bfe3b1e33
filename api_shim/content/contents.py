"""What `--content` can name. The modules behind the words load when they are asked for."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from e80sim.mistakes import UserError

if TYPE_CHECKING:
    from api_shim.content.plan import Content

UPSTREAM_KEY = "E80SIM_UPSTREAM_API_KEY"


class ContentKind(NamedTuple):
    make: Callable[[str, str | None], "Content"]
    """From what follows the colon, and the model to ask upstream for. Raises UserError."""
    operand: str = ""
    """What that is, for people; empty where nothing follows."""


def _synthetic(_nothing: str, _model: str | None) -> "Content":
    from api_shim.content.own_words import Synthetic

    return Synthetic()


def _echo(_nothing: str, _model: str | None) -> "Content":
    from api_shim.content.own_words import Echo

    return Echo()


def _replay(file: str, _model: str | None) -> "Content":
    from api_shim.content.replay import Replay

    return Replay(Path(file))


def _upstream(url: str, model: str | None) -> "Content":
    from api_shim.content.upstream import Upstream

    if not url.startswith(("http://", "https://")):
        raise UserError(f"--content upstream:{url}: the URL begins with http:// or https://")
    return Upstream(url, model, os.environ.get(UPSTREAM_KEY))


CONTENTS: dict[str, ContentKind] = {
    "synthetic": ContentKind(_synthetic),
    "echo": ContentKind(_echo),
    "replay": ContentKind(_replay, "FILE"),
    "upstream": ContentKind(_upstream, "URL"),
}
"""A new one is a class with `paced` and `plan`, and a line here: docs/extending.md."""


def forms() -> str:
    """How each is written, for people."""
    *others, last = (f"{name}:{kind.operand}" if kind.operand else name for name, kind in CONTENTS.items())
    return f"{', '.join(others)} or {last}"


def make_content(text: str, upstream_model: str | None = None) -> "Content":
    """`text` is as after `--content`. Raises UserError."""
    name, _, operand = text.partition(":")
    kind = CONTENTS.get(name)
    if kind is None or bool(operand) != bool(kind.operand):
        raise UserError(f"--content {text}: it is {forms()}")
    return kind.make(operand, upstream_model)
