"""What a rehearsal tells of an application that a scenario's timing model of it needs: figures, no text.

The rehearsal stretches the application's CPU time by `cpu_mhz`; here it is that of a whole core.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from api_shim.rehearsal.measured import MeasuredCall, MeasuredPlace, MeasuredVisit
from e80sim.mistakes import UserError


@dataclass(frozen=True, slots=True)
class AppModel:
    """Means are over the user requests that were answered, of all places together."""

    calls: list[int]
    """To models, of each user request."""
    rounds: float
    """Mean number of them that follow each other: 1 where all are made at once."""
    models: Counter[str]
    """How many calls each model got, by its name on the wire."""
    prompt_tokens: list[int]
    output_tokens: list[int]
    """Of each call, in one order with `prompt_tokens`."""
    streamed: float
    """Share of the calls."""
    opened: float
    """Share of the calls that opened a connection."""
    other_calls: float
    """Mean number of calls to other endpoints of the platform."""
    message_cpu_ms: float
    """Of a whole core, for each request or answer that it reads."""
    elsewhere_ms: float
    """Mean of what a request waited for other endpoints."""
    idle_ms: float
    """Mean of what the application waited by itself: sleeps, and requests of others before this one."""

    @property
    def mean_calls(self) -> float:
        return float(np.mean(self.calls))

    @property
    def rounded_calls(self) -> int:
        return max(1, round(self.mean_calls))

    @property
    def fans_out(self) -> bool:
        """All at once is nearer to what was seen than one after the other."""
        return self.rounds < (1 + self.mean_calls) / 2

    @property
    def cpu_ms(self) -> float:
        """Before the first call: reading the request, and the answers of what is no model."""
        return self.message_cpu_ms * (1 + self.other_calls)

    @property
    def cpu_per_call_ms(self) -> float:
        """After each answer, or after all of them where they come at once."""
        return self.message_cpu_ms * (self.rounded_calls if self.fans_out else 1)


def app_model(places: Sequence[MeasuredPlace], stated_cpu_ms: float | None, slowdown: float) -> AppModel:
    """`slowdown` is what the CPU time was stretched by. Raises UserError where no model was asked."""
    good = [visit for place in places for visit in place.visits if visit.good]
    calls = [[call for call in visit.calls if call.answered] for visit in good]
    asked = list(chain.from_iterable(calls))
    if not asked:
        raise UserError(
            "no request was answered with the help of a model, so there is nothing to write a scenario of: "
            "look at what failed without --write-scenario"
        )
    others = float(np.mean([len(visit.calls) - len(made) for visit, made in zip(good, calls, strict=True)]))
    rounds = float(np.mean([_rounds(made) for made in calls]))
    message_ms = _message_cpu_ms(places, slowdown) if stated_cpu_ms is None else stated_cpu_ms
    busy_ms = message_ms * slowdown * (1 + others + rounds)
    return AppModel(
        calls=[len(made) for made in calls],
        rounds=rounds,
        models=Counter(call.model for call in asked),
        prompt_tokens=[call.prompt_tokens for call in asked],
        output_tokens=[call.output_tokens for call in asked],
        streamed=float(np.mean([call.streamed for call in asked])),
        opened=float(np.mean([call.cold for call in asked])),
        other_calls=others,
        message_cpu_ms=message_ms,
        elsewhere_ms=_mean(good, "platform"),
        idle_ms=max(0.0, _mean(good, "app") - busy_ms),
    )


def _mean(visits: Sequence[MeasuredVisit], part: str) -> float:
    return float(np.mean([visit.parts_ms.get(part, 0.0) for visit in visits]))


def _message_cpu_ms(places: Sequence[MeasuredPlace], slowdown: float) -> float:
    """All of its work in equal parts: which message cost how much was not measured."""
    messages = sum(1 + len(visit.calls) for place in places for visit in place.visits)
    return sum(place.app_cpu_ms for place in places) / slowdown / messages


def _rounds(calls: Sequence[MeasuredCall]) -> int:
    """The most calls of which none began before another one had ended."""
    found, free_ms = 0, float("-inf")
    for began_ms, ended_ms in sorted((_span(call) for call in calls), key=lambda span: span[1]):
        if began_ms >= free_ms:
            found, free_ms = found + 1, ended_ms
    return found


def _span(call: MeasuredCall) -> tuple[float, float]:
    """From when the application wanted it."""
    return call.bars[0][1], call.bars[-1][2]
