"""Asynchronous scheduling as an engine does it: a step is formed when the one before the last ends.

The kernels form each step when it begins, by what was known then; this form shows that it comes to the same.
First come, first served, and KV blocks for everybody.
"""

from dataclasses import dataclass

from hwmodels.step_time import AffineStepTime


@dataclass(eq=False)
class Asked:
    at_ps: int
    prompt_tokens: int
    output_tokens: int
    stops: bool
    computed: int = 0
    """Tokens in steps that have been formed."""
    expected: int = 0
    """Answer tokens that those steps will have made, as far as the engine knows."""
    made: int = 0
    started_ps: int = -1
    first_ps: int = -1
    last_ps: int = -1


Rows = list[tuple[Asked, int]]


def serve(asks: list[Asked], law: AffineStepTime, slots: int, budget: int, launch_ps: int) -> None:
    """Stamps `asks`, which come in the order of their arrival."""
    coming, waiting, running = list(asks), list[Asked](), list[Asked]()
    in_flight: list[tuple[int, list[Asked]]] = []  # when it ends, and who then gets a token
    now_ps = 0
    while coming or waiting or running:
        if not (waiting or running or in_flight):
            now_ps = max(now_ps, coming[0].at_ps)
        while coming and coming[0].at_ps <= now_ps:
            waiting.append(coming.pop(0))
        while len(in_flight) < 2 and (rows := _formed(waiting, running, slots, budget)):
            start_ps = in_flight[-1][0] if in_flight else now_ps + launch_ps
            in_flight.append((start_ps + _lasting(rows, law), _begun(rows, start_ps)))
        now_ps, getting = in_flight.pop(0)
        for asked in getting:
            if asked.last_ps >= 0:
                continue  # in this step for nothing
            asked.made += 1
            asked.first_ps = now_ps if asked.made == 1 else asked.first_ps
            if asked.made == asked.output_tokens:
                asked.last_ps = now_ps
                running.remove(asked)


def _formed(waiting: list[Asked], running: list[Asked], slots: int, budget: int) -> Rows:
    rows: Rows = []
    for asked in running:
        if asked.stops or asked.expected < asked.output_tokens:
            rows.append((asked, min(max(1, asked.prompt_tokens - asked.computed), budget)))
            budget -= rows[-1][1]
    while waiting and len(running) < slots and budget:
        asked = waiting.pop(0)
        running.append(asked)
        rows.append((asked, min(asked.prompt_tokens, budget)))
        budget -= rows[-1][1]
    return rows


def _lasting(rows: Rows, law: AffineStepTime) -> int:
    chunks = [(new, asked.computed) for asked, new in rows if asked.computed < asked.prompt_tokens]
    cached = [asked.computed for asked, _ in rows if asked.computed >= asked.prompt_tokens]
    return law.step_ps(chunks, len(cached), sum(cached))


def _begun(rows: Rows, start_ps: int) -> list[Asked]:
    for asked, new in rows:
        asked.started_ps = start_ps if asked.started_ps < 0 else asked.started_ps
        asked.computed += new
    getting = [asked for asked, _ in rows if asked.computed >= asked.prompt_tokens]
    for asked in getting:
        asked.expected += 1
    return getting
