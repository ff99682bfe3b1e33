"""Recorded requests through a scenario's platform: recorded arrivals and lengths, simulated answers."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from e80sim.mistakes import UserError
from sim.run.world import World
from sim.scenario.schema import Scenario
from sim.time.units import PS_PER_MS
from sim.validation.client import Client
from sim.validation.recorded import FloatArray, RecordedRequests
from traffic.request import Request

SENDER = "recorded"
"""Source, tenant, project and key of every replayed request."""


@dataclass(frozen=True, slots=True, eq=False)
class Replayed:
    """At the caller, in the order of the recording."""

    recorded: RecordedRequests
    sent_ps: NDArray[np.int64]
    """As recorded, or later where the client had as many under way as it may."""
    first_ps: NDArray[np.int64]
    ended_ps: NDArray[np.int64]

    @property
    def simulated_ms(self) -> dict[str, FloatArray]:
        """By metric, from the sending on; TPOT is not a number for answers of one token."""
        gaps = np.array(self.recorded.output_tokens) - 1.0
        decoding_ms = (self.ended_ps - self.first_ps) / PS_PER_MS
        return {
            "ttft": (self.first_ps - self.sent_ps) / PS_PER_MS,
            "tpot": np.divide(decoding_ms, gaps, out=np.full(len(gaps), np.nan), where=gaps > 0),
            "e2e": (self.ended_ps - self.sent_ps) / PS_PER_MS,
        }

    @property
    def client_wait_ms(self) -> FloatArray:
        """From a request's arrival to its sending."""
        waited: FloatArray = (self.sent_ps - np.array(self.recorded.arrival_ps)) / PS_PER_MS
        return waited


def replay(
    scenario: Scenario,
    recorded: RecordedRequests,
    *,
    model: str | None = None,
    place: str | None = None,
    max_concurrency: int | None = None,
    engine: str = "fast",
) -> Replayed:
    """Send `recorded` instead of the scenario's own traffic, from `place` to `model`.

    Left out, they are the scenario's only ones. Of all requests `max_concurrency` are under way at most.
    Tokens that were recorded as cached need no prefill. ValueError where there is no such model or place, or
    the platform refuses a request.
    """
    target = _the_only("model", model, scenario.models)
    origin = _the_only("place", place, scenario.network.places)
    world = World(
        scenario.model_copy(update={"traffic": {}, "apps": {}}), scenario.run.seed, 0, engine=engine
    )
    client = Client(world.env, world.platform, _requests(recorded, target, origin), max_concurrency)
    world.env.run()
    for number, answer in enumerate(client.answers):
        if answer.ended_ps < 0:
            raise UserError(f"request {number} of {recorded.name} was {answer.reason or 'never answered'}")
    stamps = [(answer.sent_ps, answer.first_ps, answer.ended_ps) for answer in client.answers]
    return Replayed(recorded, *np.array(stamps, dtype=np.int64).reshape(-1, 3).T)


def _requests(recorded: RecordedRequests, model: str, place: str) -> list[Request]:
    cached_tokens = recorded.cached_tokens or (0,) * len(recorded)
    return [
        Request(
            number=number,
            model=model,
            prompt_tokens=recorded.prompt_tokens[number],
            output_tokens=recorded.output_tokens[number],
            max_output_tokens=recorded.output_tokens[number],  # load tools cap what they want of that length
            intended_ps=arrival_ps,
            place=place,
            caller=SENDER,
            project=SENDER,
            key=SENDER,
            source=SENDER,
            tenant=SENDER,
            cached_tokens=cached_tokens[number],
        )
        for number, arrival_ps in enumerate(recorded.arrival_ps)
    ]


def _the_only(what: str, name: str | None, known: Mapping[str, object]) -> str:
    if name is None and len(known) == 1:
        return next(iter(known))
    if name is not None and name in known:
        return name
    which = f"which {what} is meant?" if name is None else f"there is no {what} {name!r}:"
    raise UserError(f"{which} choose from {', '.join(known)}")
