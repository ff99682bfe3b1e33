"""`arrivals` and `lengths` as YAML for a source of a scenario's `traffic`."""

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from e80sim.plain_yaml import Dumper


def source_text(head: Sequence[str], arrivals: Mapping[str, Any], lengths: Mapping[str, Any]) -> str:
    """`head` are lines of comment."""
    source = {"arrivals": arrivals, "lengths": lengths}
    text = yaml.dump(source, Dumper=Dumper, sort_keys=False, width=110, default_flow_style=None)
    comments = [f"# {line}" for line in (*head, "For a source of `traffic`, beside its place and model.")]
    return "\n".join([*comments, text])


def rounded(number: float, digits: int = 6) -> float:
    return float(f"{number:.{digits}g}")
