"""Makes `scenarios/recorded-sessions.jsonl`: made-up agents, stamped as the platform of its scenario answers.

Run it as `python docs/data/build_recorded_sessions.py` after that platform, or its hardware, has changed.
A plan is followed by rounds of two to four helpers side by side, after tools of their own, and a turn that
reads what they found; prompts grow with what was said.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.random import Generator

from sim.run.world import World
from sim.scenario.load import load
from traffic.traces import write_recording
from traffic.traces.recording import RecordedSession, RecordedTurn, Recording
from traffic.units import PS_PER_S

SCENARIOS = Path(__file__).parents[2] / "scenarios"
FILE, SCENARIO = SCENARIOS / "recorded-sessions.jsonl", SCENARIOS / "recorded-sessions.yaml"
SEED, SESSIONS, SESSIONS_PER_S = 20261129, 90, 1.5
MS = 10**9


def sessions(rng: Generator) -> Iterator[RecordedSession]:
    starts_s = np.cumsum(rng.exponential(1 / SESSIONS_PER_S, SESSIONS))
    for number, start_s in enumerate(starts_s - starts_s[0]):
        yield RecordedSession(f"agent {number}", round(float(start_s) * 1000) * MS, tuple(agent(rng)))


def agent(rng: Generator) -> Iterator[RecordedTurn]:
    prompt, output = tokens(rng, 1500), tokens(rng, 120)
    said = prompt + output
    yield RecordedTurn(prompt, output)
    place = 0
    for _ in range(rng.integers(1, 4)):
        helpers = tuple(range(place + 1, place + 1 + int(rng.integers(2, 5))))
        found = 0
        for _ in helpers:
            prompt, output = tokens(rng, 700), tokens(rng, 150)
            yield RecordedTurn(prompt, output, (place,), pause_ps(rng, 0.6))
            found += output
        prompt, output = said + found + tokens(rng, 60), tokens(rng, 200)
        said, place = prompt + output, helpers[-1] + 1
        yield RecordedTurn(prompt, output, helpers, pause_ps(rng, 0.2))


def tokens(rng: Generator, median: int) -> int:
    return max(1, round(rng.lognormal(np.log(median), 0.5)))


def pause_ps(rng: Generator, median_s: float) -> int:
    """In whole milliseconds."""
    return max(1, round(rng.lognormal(np.log(median_s), 0.8) * 1000)) * MS


def stamps(recording: Recording) -> dict[tuple[int, int], int]:
    """By session and turn: when it is sent to the platform of the scenario's first variant."""
    write(with_stamps(recording, {}))  # all the same: its other variants are read, too
    scenario = next(iter(load(SCENARIO).variants.values()))
    world = World(scenario, scenario.run.seed, 0)
    world.run_to(10 * round(scenario.run.horizon_s) * PS_PER_S)
    rows = world.tables("base").requests.to_pylist()
    return {(row["session"], row["turn"]): row["intended_ps"] for row in rows}


def with_stamps(recording: Recording, sent_ps: dict[tuple[int, int], int]) -> Recording:
    return replace(
        recording,
        sessions=tuple(
            replace(
                session,
                turns=tuple(
                    replace(turn, sent_ps=sent_ps.get((number, place), 0))
                    for place, turn in enumerate(session.turns)
                ),
            )
            for number, session in enumerate(recording.sessions)
        ),
    )


def write(recording: Recording) -> None:
    FILE.unlink(missing_ok=True)
    write_recording(recording, FILE, "sessions_jsonl")


def main() -> None:
    made = Recording(FILE.name, tuple(sessions(np.random.default_rng(SEED))))
    write(with_stamps(made, stamps(made)))


if __name__ == "__main__":
    main()
