"""Recorded requests through a scenario's platform: recorded arrivals and lengths, simulated answers."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from e80sim.mistakes import UserError
from sim.platform.rate_limit import Headroom, Refusal
from sim.run.world import World
from sim.scenario.schema import Scenario
from sim.time.timeline import Alarm
from sim.time.units import PS_PER_MS
from sim.validation.recorded import FloatArray, RecordedRequests
from traffic.request import Request

SENDER = "recorded"
"""Source, tenant, project and key of every replayed request."""


@dataclass(frozen=True, slots=True, eq=False)
class Replayed:
    """At the caller, in the order of the recording."""

    recorded: RecordedRequests
    first_ps: NDArray[np.int64]
    ended_ps: NDArray[np.int64]

    @property
    def simulated_ms(self) -> dict[str, FloatArray]:
        """By metric; TPOT is not a number for answers of one token."""
        arrival_ps = np.array(self.recorded.arrival_ps)
        gaps = np.array(self.recorded.output_tokens) - 1.0
        decoding_ms = (self.ended_ps - self.first_ps) / PS_PER_MS
        return {
            "ttft": (self.first_ps - arrival_ps) / PS_PER_MS,
            "tpot": np.divide(decoding_ms, gaps, out=np.full(len(gaps), np.nan), where=gaps > 0),
            "e2e": (self.ended_ps - arrival_ps) / PS_PER_MS,
        }


def replay(
    scenario: Scenario,
    recorded: RecordedRequests,
    *,
    model: str | None = None,
    place: str | None = None,
    engine: str = "fast",
) -> Replayed:
    """Send `recorded` instead of the scenario's own traffic, from `place` to `model`.

    Left out, they are the scenario's only ones. ValueError where they are not, or the platform refuses one.
    """
    target = _the_only("model", model, scenario.models)
    origin = _the_only("place", place, scenario.network.places)
    world = World(
        scenario.model_copy(update={"traffic": {}, "apps": {}}), scenario.run.seed, 0, engine=engine
    )
    answers = [_Answer() for _ in range(len(recorded))]
    for number, arrival_ps in enumerate(recorded.arrival_ps):
        request = Request(
            number=number,
            model=target,
            prompt_tokens=recorded.prompt_tokens[number],
            output_tokens=recorded.output_tokens[number],
            max_output_tokens=None,
            intended_ps=arrival_ps,
            place=origin,
            caller=SENDER,
            project=SENDER,
            key=SENDER,
            source=SENDER,
            tenant=SENDER,
        )
        Alarm(world.env, arrival_ps, _Sender(world, request, answers[number]).send)
    world.env.run()
    for number, answer in enumerate(answers):
        if answer.ended_ps < 0:
            raise UserError(f"request {number} of {recorded.name} was {answer.reason or 'never answered'}")
    return Replayed(
        recorded,
        np.array([answer.first_ps for answer in answers]),
        np.array([answer.ended_ps for answer in answers]),
    )


class _Answer:
    """The sink of one request."""

    def __init__(self) -> None:
        self.first_ps = self.ended_ps = -1
        self.reason = ""

    def admitted(self, at_ps: int, headroom: Headroom | None) -> None: ...

    def rejected(self, at_ps: int, refusal: Refusal) -> None:
        del at_ps
        self.reason = f"refused: over the limit of {refusal.cause}"

    def first_token(self, at_ps: int) -> None:
        self.first_ps = at_ps

    def ended(self, at_ps: int, reason: str) -> None:
        del reason
        self.ended_ps = at_ps


class _Sender:
    def __init__(self, world: World, request: Request, answer: _Answer) -> None:
        self._world, self._request, self._answer = world, request, answer

    def send(self, _alarm: Alarm) -> None:
        self._world.platform.submit(self._request, self._answer)


def _the_only(what: str, name: str | None, known: Mapping[str, object]) -> str:
    if name is None and len(known) == 1:
        return next(iter(known))
    if name is not None and name in known:
        return name
    which = f"which {what} is meant?" if name is None else f"there is no {what} {name!r}:"
    raise UserError(f"{which} choose from {', '.join(known)}")
