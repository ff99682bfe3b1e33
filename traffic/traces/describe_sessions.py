"""What a recording's sessions are like: how long, how wide, and what lies between their turns."""

from typing import TypedDict

import numpy as np

from traffic.traces.describe import QUANTILES
from traffic.traces.recording import RecordedSession, Recording
from traffic.units import PS_PER_S


class Spread(TypedDict):
    mean: float
    min: float
    quantiles: dict[str, float]
    max: float


class SessionsDescription(TypedDict):
    sessions: int
    turns: int
    turns_per_session: Spread
    turns_in_a_row: Spread
    """Of a session, the most of which each waits for the one before."""
    delay_s: Spread | None
    """Between the last answer that a turn waits for and the turn; None where no turn waits."""
    shortest_s: Spread
    """What a session would take if answers took no time: its delays, along the longest way."""
    waiting_for_several: int
    """Turns that wait for more than one answer."""
    stamped: int
    """Turns that leave no earlier than at their stamp."""
    prompt_growth: float | None
    """Prompt tokens of the last turn over those of the first, the median of sessions with several."""


def describe_sessions(recording: Recording) -> SessionsDescription:
    sessions = recording.sessions
    turns = [turn for session in sessions for turn in session.turns]
    delays = [turn.delay_ps / PS_PER_S for turn in turns if turn.after]
    growth = [
        session.turns[-1].prompt_tokens / session.turns[0].prompt_tokens
        for session in sessions
        if len(session.turns) > 1
    ]
    return {
        "sessions": len(sessions),
        "turns": len(turns),
        "turns_per_session": _spread([len(session.turns) for session in sessions]),
        "turns_in_a_row": _spread([_in_a_row(session) for session in sessions]),
        "delay_s": _spread(delays) if delays else None,
        "shortest_s": _spread([_shortest_ps(session) / PS_PER_S for session in sessions]),
        "waiting_for_several": sum(len(turn.after) > 1 for turn in turns),
        "stamped": sum(turn.not_before_ps > 0 for turn in turns),
        "prompt_growth": float(np.median(growth)) if growth else None,
    }


def _in_a_row(session: RecordedSession) -> int:
    rows: list[int] = []
    for turn in session.turns:
        rows.append(1 + max((rows[before] for before in turn.after), default=0))
    return max(rows)


def _shortest_ps(session: RecordedSession) -> int:
    sent_ps: list[int] = []
    for turn in session.turns:
        free_ps = max((sent_ps[before] for before in turn.after), default=0)
        sent_ps.append(max(free_ps + turn.delay_ps, turn.not_before_ps))
    return max(sent_ps)


def _spread(values: list[int] | list[float]) -> Spread:
    return {
        "mean": float(np.mean(values)),
        "min": float(min(values)),
        "quantiles": {name: float(np.percentile(values, level)) for name, level in QUANTILES.items()},
        "max": float(max(values)),
    }
