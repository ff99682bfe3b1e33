"""How our files are read: YAML whose plain words are what people take them for.

YAML 1.1, which PyYAML reads, takes 0250 for 168, 1:30 for 90 and `no` for false. Here numbers are YAML 1.2's,
with underscores between digits, only true and false are those, and all else is text: 0250 is 250, and 1:30 is
text.
"""

import re

import yaml

INT = re.compile(r"[-+]?\d+(_\d+)*|0o[0-7]+|0x[\da-fA-F]+")
FLOAT = re.compile(
    r"[-+]?(\.\d+|\d+(_\d+)*(\.(\d+(_\d+)*)?)?)([eE][-+]?\d+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
)
PLAIN_WORDS = {
    "null": (re.compile(r"|~|null|Null|NULL"), ["", "~", "n", "N"]),
    "bool": (re.compile(r"true|True|TRUE|false|False|FALSE"), list("tTfF")),
    "int": (INT, list("-+0123456789")),
    "float": (FLOAT, list("-+.0123456789")),
    "merge": (re.compile(r"<<"), ["<"]),
}
"""What a plain word is, the first that fits: its form, and the characters that it can begin with."""


class Loader(yaml.CSafeLoader):
    """Reads plain words so."""


class Dumper(yaml.SafeDumper):
    """Quotes text that a reader of either YAML might take for something else."""


def _int(_loader: Loader, node: yaml.ScalarNode) -> int:
    digits = node.value.replace("_", "")
    base = {"0o": 8, "0x": 16}.get(digits[:2])
    return int(digits) if base is None else int(digits[2:], base)


def _float(_loader: Loader, node: yaml.ScalarNode) -> float:
    return float(re.sub(r"_|\.(?=[iInN])", "", node.value))


Loader.yaml_implicit_resolvers = {}  # none of YAML 1.1's
for kind, (form, first_characters) in PLAIN_WORDS.items():
    for reads_or_writes in (Loader, Dumper):
        reads_or_writes.add_implicit_resolver(
            f"tag:yaml.org,2002:{kind}", re.compile(rf"(?:{form.pattern})\Z"), first_characters
        )
Loader.add_constructor("tag:yaml.org,2002:int", _int)
Loader.add_constructor("tag:yaml.org,2002:float", _float)
