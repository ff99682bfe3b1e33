"""Users who ask, wait, think and ask again: how many there are bounds how much is asked at once."""

from collections.abc import Callable, Generator, Iterator
from typing import Any

from simpy import Event

from sim.callers.session_records import SessionRecords, Talk
from sim.time.timeline import ARRIVAL, FEEDBACK, Timeline
from sim.time.units import ps_of_s
from traffic.callers import LEAST_CYCLE_S

LEAST_CYCLE_PS = ps_of_s(LEAST_CYCLE_S)

AskAndThink = Callable[[int], Event]
"""(think_ps): asks now. The event comes when the answer, good or bad, is there and has been thought over."""


def use(
    records: SessionRecords, talk: Talk, horizon_ps: int, think_ps: Iterator[int], ask: AskAndThink
) -> Generator[Event, Any, None]:
    """One user, from now to the horizon."""
    env = records.env
    while env.now < horizon_ps:
        asked_ps = env.now
        talk.turns += 1
        yield ask(next(think_ps))
        soonest_ps = asked_ps + LEAST_CYCLE_PS
        if env.now < soonest_ps:
            yield at(env, soonest_ps)
    records.end(talk, "horizon", horizon_ps)


def at(env: Timeline, at_ps: int, event: Event | None = None) -> Event:
    """`event`, or a new one, happens then."""
    event = event or Event(env.simpy)
    env.succeed_at(event, None, at_ps, ARRIVAL if at_ps > env.now else FEEDBACK)
    return event
