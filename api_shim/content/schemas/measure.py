"""How short values can be, and whether there are any."""

from collections.abc import Sequence
from math import inf
from typing import Any

from api_shim.content.schemas.nodes import Alternatives, Array, Constant, Number, Object, SchemaNode, String

NOTHING = (inf, inf)
MOST_ROUNDS = 100
"""Each finds out about one level more at least, whatever the order of the nodes."""


def measure(nodes: Sequence[SchemaNode]) -> None:
    """The least solution: what a circle needs of itself stays inf, and so does what lies too deep."""
    for _ in range(MOST_ROUNDS):
        changed = False
        for node in reversed(nodes):
            tokens, depth = NOTHING if node.flawed else _least(node, nodes)
            if tokens < node.tokens or depth < node.depth:
                node.tokens, node.depth = min(tokens, node.tokens), min(depth, node.depth)
                changed = True
        if not changed:
            return


def _least(node: SchemaNode, nodes: Sequence[SchemaNode]) -> tuple[float, float]:
    match node:
        case Alternatives():
            best = min((nodes[i] for i in node.options), key=lambda n: n.tokens, default=node)
            return best.tokens, best.depth
        case Array():
            return _least_array(node, nodes)
        case Object():
            return _least_object(node, nodes)
    return _least_scalar(node)


def _least_scalar(node: SchemaNode) -> tuple[float, float]:
    match node:
        case Constant():
            return (min(map(_size, node.values)), 0) if node.values else NOTHING
        case Number():
            return 2, 0
        case String():
            return 3 + node.least / 5, 0
    return NOTHING


def _least_array(node: Array, nodes: Sequence[SchemaNode]) -> tuple[float, float]:
    parts = [(1, nodes[i]) for i in node.prefix[: node.least]]
    if node.items is not None and node.least > len(node.prefix):
        parts.append((node.least - len(node.prefix), nodes[node.items]))
    tokens = 2 + sum(times * (n.tokens + 1) for times, n in parts)
    return tokens, 1 + max((n.depth for _, n in parts), default=0)


def _least_object(node: Object, nodes: Sequence[SchemaNode]) -> tuple[float, float]:
    if not node.properties.keys() >= set(node.required):
        return NOTHING
    inside = [(name, nodes[node.properties[name]]) for name in node.required]
    missing = node.least - len(inside)
    if missing > 0:
        optional = [(name, nodes[i]) for name, i in node.properties.items() if name not in node.required]
        inside += sorted(optional, key=lambda pair: pair[1].tokens)[:missing]
    tokens = 2 + sum(3 + len(name) / 5 + child.tokens for name, child in inside)
    depth = 1 + max((child.depth for _, child in inside), default=0)
    if node.additional is not None and node.least > len(inside):
        child = nodes[node.additional]
        tokens += (node.least - len(inside)) * (4 + child.tokens)
        depth = max(depth, 1 + child.depth)
    return tokens, depth


def _size(value: Any) -> float:  # noqa: ANN401 -- JSON
    return 1 + len(str(value)) / 4
