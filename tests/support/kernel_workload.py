"""Random workloads for node kernels, with everything in them that could make two kernels differ."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hwmodels.step_time import AffineStepTime
from sim.node.kernel import BatchLimits
from tests.support.kernel_driver import Action, Arrive, Ask, Cancel, ChangeLaw, Drain, Event, Workload

SIBLINGS = 3
"""Completions of one prompt beside the first, at most."""


def random_law(rng: np.random.Generator) -> AffineStepTime:
    base_ps = int(rng.integers(1, 6_000_000))
    rise_ps = int(rng.choice([0, 0, 100, 20_000]))
    knee = int(rng.choice([1, 8, 100]))
    tile = (1, 1, 4, 32)[base_ps % 4]  # in which matrix products work
    return AffineStepTime(
        dense_ps=tuple(base_ps + rise_ps * (-(-tokens // tile) * tile) for tokens in range(knee)),
        token_ps=int(rng.integers(0, 30_000)),
        pair_ps=int(rng.choice([0, 1, 30, 500])),
        chunk_ps=int(rng.choice([0, 100_000])),
        decode_ps=int(rng.integers(0, 30_000)),
        kv_ps=int(rng.choice([0, 1, 50, 400])),
        mixed_kv_ps=int(rng.choice([0, 1, 80, 400])),
        prefill_tile_tokens=int(rng.choice([0, 1, 128])),
        prompts_ps=int(rng.choice([0, 0, 500_000])),
    )


def random_workload(rng: np.random.Generator, most: int = 80) -> Workload:
    """Budgets above, at and below the slots, KV pools that hold one sequence or all, bursts, ties."""
    count = int(rng.integers(2, most))
    prompts = rng.integers(1, int(rng.choice([3, 20, 300, 1500])) + 1, 2 * count)
    outputs = rng.integers(1, int(rng.choice([1, 3, 50, 300])) + 1, 2 * count)
    block_size = int(rng.choice([1, 4, 16]))
    slots = int(rng.choice([1, 2, 3, 8, 32, 64]))
    budget = int(rng.choice([max(1, slots - 1), slots, slots + 1, slots // 2 + 1, 64, 128, 512, 2048]))
    blocks = int(-(-(prompts + outputs).max() // block_size) * rng.choice([1.0, 1.2, 1.5, 4.0, 1000.0]))
    mean_gap_ps = float(rng.choice([1e5, 1e6, 1e7, 1e8, 1e9]))
    times = np.cumsum(rng.exponential(mean_gap_ps, count)).astype(np.int64)
    if rng.random() < 0.1:
        times[:] = 0
    elif rng.random() < 0.2:
        times -= times % int(4 * mean_gap_ps)  # several at a time
    arrivals = [
        _random_arrival(rng, number, int(prompts[number]), int(outputs[number]))
        for number in range(2 * count)
    ]
    followed, shared = rng.random() * 0.5, float(rng.choice([0.0, 0.0, 0.3, 1.0]))
    tie, late = float(rng.choice([0.0, 0.1, 0.6])), float(rng.choice([0.0, 0.5]))
    numbers = rng.permutation(count)  # numbers need not grow with time
    events = []
    for at_ps, number in zip(times, numbers, strict=True):
        arrival = arrivals[number]
        if rng.random() < followed:
            arrival = replace(arrival, follower=arrivals[count + number])
        if rng.random() < shared:
            others = range(int(rng.integers(1, SIBLINGS + 1)))
            arrival = replace(arrival, siblings=tuple(_sibling(rng, arrival, count, i) for i in others))
        events.append(Event(int(at_ps), arrival, bool(rng.random() < tie), bool(rng.random() < late)))
    events += _random_disturbances(rng, times, count, tie, late)
    law = random_law(rng)
    watermark = int(blocks * rng.choice([0.0, 0.0, 0.0, 0.01, 0.1, 0.5]))
    return Workload(BatchLimits(slots, budget, block_size, blocks, watermark), law, events)


def _sibling(rng: np.random.Generator, arrival: Arrive, count: int, index: int) -> Arrive:
    number = 2 * count + SIBLINGS * arrival.number + index
    output = max(1, int(arrival.output_tokens * rng.choice([0.1, 0.6, 1.0])))
    other = _random_arrival(rng, number, arrival.prompt_tokens, output)
    return replace(other, priority=arrival.priority, key=arrival.key)


def _random_arrival(rng: np.random.Generator, number: int, prompt: int, output: int) -> Arrive:
    generated = int(rng.integers(0, output)) if rng.random() < 0.1 else 0
    computed = int(rng.integers(0, prompt + generated)) if rng.random() < 0.15 else 0
    return Arrive(
        number,
        prompt,
        output,
        computed,
        generated,
        hangs_up=bool(rng.random() < 0.05),
        priority=int(rng.choice([-1, 0, 0, 100])),
        key=f"key {rng.integers(4)}",
        stops=number % 2 == 1,
    )


def _random_disturbances(
    rng: np.random.Generator, times: NDArray[np.int64], count: int, tie: float, late: float
) -> list[Event]:
    span_ps = float(times[-1]) * float(rng.choice([1.0, 1.5])) + 1e8
    number_of = {
        "cancel": int(rng.choice([0, 2, count])),
        "law": int(rng.choice([0, 0, 1, 5])),
        "drain": int(rng.choice([0, 0, 0, 1, 2])),
        "ask": int(rng.choice([0, 3])),
    }

    def action(kind: str) -> Action:
        match kind:
            case "cancel":
                return Cancel(int(rng.integers(0, (2 + SIBLINGS * int(rng.integers(2))) * count)))
            case "law":
                return ChangeLaw(random_law(rng))
            case "drain":
                return Drain(comes_back=bool(rng.random() < 0.5))
        forget = float(rng.random()) if rng.random() < 0.3 else None
        return Ask(tuple(rng.random(3).tolist()), forget)

    return [
        Event(
            int(rng.random() * span_ps),
            action(kind),
            bool(rng.random() < max(tie, 0.3)),
            bool(rng.random() < late),
        )
        for kind, n in number_of.items()
        for _ in range(n)
    ]


def with_prefixes(rng: np.random.Generator, workload: Workload) -> Workload:
    """Prompts that begin alike: of few origins, left early, within a block and across many, with answers."""
    groups = int(rng.choice([1, 2, 8]))
    depth = int(rng.integers(1, 4))

    def prefixed(arrive: Arrive) -> Arrive:
        tokens = arrive.prompt_tokens
        whole = arrive.output_tokens if rng.random() < 0.3 else 0  # the answer belongs to it too
        ends = sorted({int(rng.integers(1, tokens + 1)) for _ in range(int(rng.integers(0, depth + 1)))})
        if rng.random() < 0.3:  # prompts that are whole multiples of each other's
            ends = sorted({tokens * (i + 1) // depth for i in range(depth)} - {0})
        if ends and ends[-1] == tokens:
            ends[-1] += whole
        prefix = tuple((f"{rng.integers(groups)}", end) for end in ends)
        follower = None if arrive.follower is None else prefixed(arrive.follower)
        siblings = tuple(replace(one, prefix=prefix) for one in arrive.siblings)
        return replace(arrive, prefix=prefix, siblings=siblings, follower=follower)

    events = [
        replace(event, action=prefixed(event.action)) if isinstance(event.action, Arrive) else event
        for event in workload.events
    ]
    return replace(workload, events=events)


def with_hand_overs(rng: np.random.Generator, workload: Workload) -> Workload:
    """Some leave with their first token, and their blocks stay for a while."""

    def handing_over(arrive: Arrive) -> Arrive:
        if arrive.generated or arrive.siblings or rng.random() < 0.5:
            return arrive
        return replace(arrive, kept_ps=int(rng.choice([0, 10**5, 10**7])))

    events = [
        replace(event, action=handing_over(event.action)) if isinstance(event.action, Arrive) else event
        for event in workload.events
    ]
    return replace(workload, events=events)
