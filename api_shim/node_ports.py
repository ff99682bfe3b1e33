"""`--node-ports [MODEL:]PORT`: every node of a model on a port of its own, for routers of others.

What comes to such a port is served by that very node, past the platform's gateway: see `docs/node-ports.md`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus

from api_shim.listeners import PORTS
from api_shim.wire.errors import ApiError
from e80sim.mistakes import UserError
from sim.scenario.nearest import unknown
from sim.scenario.schema import Model, Scenario
from traffic.request import caller_named

OPTION = "--node-ports"
MOST_NODES = 512
"""With ports of their own. Beyond, a client of each would exhaust the files of most machines."""
MOST_TOLD = 8
"""Of a model, in a line each when the server starts."""
PLACE = "in-platform"
"""Where whoever asks a node is, unless a request says otherwise: a router stands beside the nodes."""
CONNECTIONS = caller_named("inside", "node ports")
"""Without a way to go."""
MODELS = "/v1/models"
PATHS = frozenset({"/health", "/metrics", MODELS, "/v1/chat/completions", "/v1/completions", "/v1/responses"})
"""What a node answers, beside each of its models by name: what vLLM does, of what we have."""


@dataclass(frozen=True, slots=True)
class NodePort:
    """A node that has a port of its own."""

    model: str
    """Its name in the scenario."""
    index: int
    port: int
    """0: any that is free."""

    def __str__(self) -> str:
        return f"node {self.index} of {self.model}"


def settle(scenario: Scenario, wanted: Iterable[str], taken: Iterable[int] = ()) -> list[NodePort]:
    """Of the options as they were written; `taken` are ports of other listeners. Raises UserError."""
    used, settled = {port for port in taken if port}, list[NodePort]()
    for text in wanted:
        model, first = _parsed(scenario, text)
        if any(one.model == model for one in settled):
            raise UserError(f"{OPTION} {text}: the nodes of {model} have their ports already")
        for index in range(_count(scenario.models[model], model, first, text)):
            port = first + index if first else 0
            if port in used:
                raise UserError(
                    f"{OPTION} {text}: port {port}, for node {index} of {model}, is taken already"
                )
            settled.append(NodePort(model, index, port))
        used |= {one.port for one in settled if one.port}
    return settled


def _parsed(scenario: Scenario, text: str) -> tuple[str, int]:
    model, _, port = text.rpartition(":")
    if not port.isdecimal() or int(port) not in PORTS:
        raise UserError(f"{OPTION} {text}: write it as [MODEL:]PORT, the first of its ports, such as 9001")
    models = scenario.models
    if model:
        if model not in models:
            raise UserError(f"{OPTION} {text}: {unknown('model', model, models)}")
    elif len(models) > 1:
        first = next(iter(models))
        raise UserError(
            f"{OPTION} {text}: the scenario has the models {', '.join(models)}; say whose nodes, "
            f"such as {first}:{port}"
        )
    return model or next(iter(models)), int(port)


def _count(model: Model, name: str, first: int, text: str) -> int:
    """How many nodes there are, if each can have a port."""
    if model.disaggregated is not None:
        raise UserError(
            f"{OPTION} {text}: models.{name} divides prefill and decode, so no node of it answers a request "
            "alone; leave out `disaggregated`"
        )
    if model.nodes > MOST_NODES:
        raise UserError(
            f"{OPTION} {text}: models.{name} has {model.nodes} nodes, and at most {MOST_NODES} can have "
            f"ports of their own; serve fewer: --set models.{name}.nodes=8"
        )
    last = first + model.nodes - 1
    if last not in PORTS:
        raise UserError(
            f"{OPTION} {text}: the {model.nodes} nodes of {name} would need the ports {first} to {last}, and "
            f"ports end at {PORTS[-1]}; begin lower"
        )
    return model.nodes


def told(ports: Iterable[NodePort], address: str) -> list[str]:
    """Where they are: a line for each of the first nodes of a model, and one for all others."""
    lines = []
    by_model: dict[str, list[NodePort]] = {}
    for one in ports:
        by_model.setdefault(one.model, []).append(one)
    for own in by_model.values():
        lines += [f"{address}:{one.port}/v1 is {one}" for one in own[:MOST_TOLD]]
        if len(own) > MOST_TOLD:
            lines.append(f"... and so on, up to {address}:{own[-1].port}, which is {own[-1]}")
    return lines


def check_path(node: NodePort, path: str, main: str) -> None:
    """Raises ApiError where a node does not answer to `path`; `main` is where the platform does."""
    if path not in PATHS and not path.startswith(MODELS + "/"):
        message = f"This is {node}, which has no {path[:200]}: the platform at {main} may."
        raise ApiError(HTTPStatus.NOT_FOUND, message, code="unknown_url")
