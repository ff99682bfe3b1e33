"""How many requests a second a node carries, by each of what it has: the step law at the batch that it holds.

Of a node whose ranks keep step, all figures are those of one rank, beside others that are loaded like it.

In the steady state as many requests start as end. If `starts` of them do per step, by Little's law
starts x (n - 1) sequences decode, for a request of n tokens decodes in n - 1 steps, and starts x (steps of a
prompt) are prefilled. What holds the batch down, slots, KV cache or tokens of a step, so gives the starts,
these and the law give the mean time of a step, and both together the requests a second.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import ceil, exp, inf

import numpy as np

from hwmodels.node_hardware import NodeHardware
from hwmodels.step_time import Chunk
from reports.arrays import Floats
from sim.bounds.chunks import Chunks
from sim.bounds.demand import Demand
from sim.scenario.schema import Model
from sim.time.units import PS_PER_S

LIKELY = 1e-9
"""Starts in one step that are less likely than this are left out."""
SETTLED = 200
"""Rounds in which a step agrees with itself; near capacity it takes the most."""
NEGLIGIBLE = 1e-6


@dataclass(frozen=True)
class NodeLoad:
    """Of a node that carries `at_per_s`: its step, who decodes, how long a request is in the batch."""

    at_per_s: float
    step_s: float
    starts: float
    """Requests per step."""
    decodes: float
    residence_s: float


class NodeBounds:
    """Of one node of `model`, or one of its ranks, under requests as in `demand`, of which it `prefills` and
    `decodes`.
    """

    def __init__(
        self,
        model: Model,
        hardware: NodeHardware,
        demand: Demand,
        *,
        prefills: bool = True,
        decodes: bool = True,
    ) -> None:
        self._law, self._hardware, self._model = hardware.step_time, hardware, model
        self.ranks = hardware.ranks
        self._demand = demand
        self._prompts = demand.prompts if prefills else np.zeros_like(demand.prompts)
        self._prompt = demand.mean(self._prompts)
        # An engine that schedules ahead hears of an end a step late: its row is in one step more for nothing.
        late = 1.0 if model.batching.schedules_ahead(hardware) else 0.0
        self._laters = demand.outputs - 1.0 + late if decodes else np.zeros_like(demand.outputs)
        """Steps in which a request decodes."""
        self._later = demand.mean(self._laters)
        block = model.block_size
        held = (demand.prompts + demand.outputs / 2 + block / 2) * self._laters
        self._context = demand.mean(held) / self._later if self._later else demand.prompt_tokens
        self._prompt_held = demand.prompt_tokens + block / 2 if prefills else 0.0
        self.whole = model.batching.prefill == "whole"

    @property
    def slots(self) -> int:
        """Sequences at once, as the node or the gateway before it allows."""
        flow, batching = self._model.flow_control, self._model.batching
        of_node = None if flow is None else max(1, flow.max_concurrency // self.ranks)
        stated = (batching.max_num_active_seqs, of_node)
        return min([self._hardware.max_num_seqs, *(most for most in stated if most is not None)])

    @property
    def kv_pool_tokens(self) -> float:
        block = self._model.block_size
        return self._hardware.kv_pool_tokens // block * block * (1 - self._model.batching.watermark)

    @property
    def overhead_s(self) -> float:
        """Of a request, while it has a slot."""
        hardware = self._hardware
        return hardware.request_overhead_ps / PS_PER_S if hardware.overhead_holds_slot else 0.0

    @property
    def step_tokens(self) -> int:
        return self._hardware.max_num_batched_tokens

    @cached_property
    def _sizes(self) -> tuple[Floats, Floats]:
        """Each size of a prompt once, and its share of all."""
        sizes, which = np.unique(self._prompts, return_inverse=True)
        shares: Floats = np.bincount(which, self._demand.shares).astype(np.float64)
        return sizes, shares

    @cached_property
    def _division(self) -> Chunks:
        return Chunks(*self._sizes)

    @cached_property
    def by_room(self) -> list[tuple[str, NodeLoad]]:
        """What fills up, in this order, and the load at which it does.

        What more room could carry at a slower step is never less than what fits before: it binds no earlier.
        """
        rooms = {
            "slots": self._by_slots(),
            "kv_pool": self._by_kv_pool(),
            "step_tokens": self._by_step_tokens(),
        }
        found, least_per_s = list[tuple[str, NodeLoad]](), 0.0
        for limit, load in sorted(rooms.items(), key=lambda one: one[1].starts):
            least_per_s = max(least_per_s, load.at_per_s)
            found.append((limit, replace(load, at_per_s=least_per_s)))
        return found

    @property
    def lone_first_s(self) -> float:
        """Until the first token of a request that is alone on the node."""
        return self._hardware.request_overhead_ps / PS_PER_S + self._prefill_s(1.0, alone=True)

    @property
    def lone_s(self) -> float:
        """Until its last one."""
        return self.lone_first_s + self._later * self._step_s(0, 1, 1.0, self.ranks)

    def _by_slots(self) -> NodeLoad:
        """Who waits out an overhead has a slot, and is not in the batch."""
        slots, overhead_s, away = self.slots, self.overhead_s, 0.0
        for _ in range(8 if overhead_s else 1):  # until it agrees with itself
            load = self._filling(max(1.0, slots - away), 1.0, self._prefill_steps)
            residence_s = load.residence_s + overhead_s
            away = slots * overhead_s / residence_s
        return replace(load, at_per_s=slots / residence_s, residence_s=residence_s) if overhead_s else load

    def _by_kv_pool(self) -> NodeLoad:
        """A prompt's blocks are taken chunk by chunk; who waits for the chunks of others has none yet."""
        return self._filling(
            self.kv_pool_tokens,
            self._context,
            lambda starts: self._prompt_held * (self._chunks(starts) + 1) / 2,
        )

    def _by_step_tokens(self) -> NodeLoad:
        """Every token of a step is used, by prompts and decodes in the proportion that requests have."""
        return self._load(self._most_starts)

    @property
    def _most_starts(self) -> float:
        """Requests per step, where their tokens fill every step."""
        return self.step_tokens / (self._prompt + self._later)

    def steady(self, rate_per_s: float) -> NodeLoad | None:
        """With so many requests a second, as one sees it who is inside; None where they do not fit.

        The longer steps take, the more others are in them: the shortest step that agrees with itself.
        """
        if rate_per_s >= min(load.at_per_s for _, load in self.by_room):
            return None
        step_s = 0.0
        for _ in range(SETTLED):
            starts = rate_per_s * step_s
            if starts >= self._most_starts:
                return None
            before_s, step_s = step_s, self._seen_step_s(starts)
            if step_s - before_s <= NEGLIGIBLE * step_s:
                break
        starts = rate_per_s * step_s
        steps = self._later + self._prefill_steps(starts)
        return NodeLoad(rate_per_s, step_s, starts, starts * self._later, steps * step_s)

    def prompt_s(self, prompt: int, load: NodeLoad) -> float:
        """The steps that hold it, beside who decodes, and those in which it waits for others' chunks."""
        room, decodes = max(1, int(self._room(load.starts))), min(load.decodes, self.slots - 1)
        chunks = [(min(room, prompt - at), at) for at in range(0, prompt, room)]
        kv_tokens = round(self._context * decodes)
        steps_ps = sum(self._step_ps(1, chunk, round(decodes), kv_tokens) for chunk in chunks)
        waits = self._prefill_steps(load.starts) - self._chunks(load.starts)
        return steps_ps / PS_PER_S + (0.0 if self.slots == 1 else waits * load.step_s)

    def _seen_step_s(self, starts: float) -> float:
        """By one who decodes in it, with others as they come."""
        most = (self.slots - 1) / self._later if self._later else inf
        return self._mean_step_s(min(starts, most), own=1.0)

    def by_prefill(self) -> float:
        """Requests a second if the node did nothing but prefill: where its prefill duty is 100 %."""
        return inf if not self._prompt else 1 / self._prefill_s(self._together())

    def by_decode(self) -> float:
        """Requests a second if it did nothing but decode, in the largest batch that it holds."""
        if not self._later:
            return inf
        batch = min(self.slots, self.kv_pool_tokens / self._context, self._hardware.max_num_batched_tokens)
        return batch / (self._later * self._step_s(0, 1, max(1.0, batch)))

    def by_batches(self, largest: int) -> NodeLoad:
        """Batches of `largest` that nobody joins: all are prefilled, and the longest answer ends one."""
        demand, later = self._demand, self._laters
        batch = min(float(largest), self.kv_pool_tokens / self._context)
        steps = _mean_of_largest(demand, later, max(1, round(batch)))
        active = batch * self._later / steps if steps else 0.0
        takes_s = steps * self._step_s(0, 1, active) if steps else 0.0
        if self._prompt:
            takes_s += batch * self._prefill_s(min(self._together(), batch))
        takes_s += self.overhead_s
        return NodeLoad(batch / takes_s, takes_s / (steps + 1), batch / (steps + 1), active, takes_s)

    def _filling(self, room: float, of_decode: float, of_prompt: Callable[[float], float]) -> NodeLoad:
        """The load that fills `room`: so much of a request in a step of decoding, and for its prompt.

        The latter in all, by how many start per step: the more do, the longer they wait for each other.
        """
        low, high = 0.0, self._most_starts
        for _ in range(50):
            starts = (low + high) / 2
            taken = starts * (of_decode * self._later + of_prompt(starts))
            low, high = (low, starts) if taken > room else (starts, high)
        return self._load(low)

    def _load(self, starts: float) -> NodeLoad:
        step_s = self._mean_step_s(starts)
        steps = self._later + self._prefill_steps(starts)
        return NodeLoad(starts / step_s, step_s, starts, starts * self._later, steps * step_s)

    def _room(self, starts: float) -> float:
        """Tokens of a step that prompts may have."""
        return max(1.0, self.step_tokens - starts * self._later)

    def _chunks(self, starts: float) -> float:
        """Steps that hold a part of the prompt of one request."""
        return self._division.mean(self._room(starts))

    def _prefill_steps(self, starts: float) -> float:
        """From its first step to its first token, with the wait for the chunks of others (as of M/G/1)."""
        if not self._prompt:
            return 0.0
        alone, room = self._chunks(starts), self._room(starts)
        busy = starts * self._prompt / room
        if self.whole or busy >= 1:
            return alone if self.whole else inf
        return alone + busy / (1 - busy) * self._spread / 2 * self._prompt / room

    @cached_property
    def _spread(self) -> float:
        """The mean of the squares of prompts, as a multiple of the square of their mean."""
        sizes, shares = self._sizes
        return float((shares * sizes**2).sum()) / self._prompt**2

    def _together(self) -> float:
        """Prompts that fit one step, each in a slot of its own."""
        return max(1.0, min(self.step_tokens / self._prompt, self.slots))

    def _mean_step_s(self, starts: float, own: float = 0.0) -> float:
        """Where so many requests start per step, at random; work that fits no step is in the next ones.

        `own` are decodes besides theirs.
        """
        decodes = starts * self._later + own
        if not self._prompt:
            return self._step_s(0, 1, decodes)
        chunks = starts * self._chunks(starts)
        if self.whole:  # prompts have steps of their own, and what decodes waits for them
            together = min(max(1.0, starts), self._together())
            return starts * self._prefill_s(together) + self._step_s(0, 1, decodes)
        room, size, ranks = self._room(starts), self._prompt / self._chunks(starts), self.ranks
        most = max(1, ceil(min(room / size, self.slots)))
        # Of all ranks together: whoever comes goes to the one with least to do, so pieces spread evenly.
        tokens = [min(number * size, ranks * room) for number in range(ranks * most + 1)]
        shares = _shares(ranks * chunks, tokens, ranks * starts * self._prompt)
        return sum(
            share * self._slowest_s(number, tokens[number], size, room, decodes)
            for number, share in enumerate(shares)
            if share
        )

    def _slowest_s(self, pieces: int, tokens: float, size: float, room: float, decodes: float) -> float:
        """A step of ranks with so many pieces and tokens of prompts in all: that of the one with most."""
        of_one = ceil(pieces / self.ranks)
        everybodys = round(tokens + decodes * self.ranks)
        return self._step_s(of_one, min(of_one * size, room), decodes, everybodys)

    def _step_s(self, chunks: int, tokens: float, decodes: float, everybodys: int | None = None) -> float:
        """Of so many tokens of prompts in `chunks` pieces, half of what is left of its prompt before each.

        `everybodys` are the tokens of all ranks; absent: each has as many as this one.
        """
        size = max(1, round(tokens / max(1, chunks)))
        before = max(0, round((self._prompt - size) / 2))
        low, share = int(decodes), decodes - int(decodes)
        kv_tokens, piece = round(self._context * decodes), (size, before)
        ends = [self._step_ps(chunks, piece, number, kv_tokens, everybodys) for number in (low, low + 1)]
        return (ends[0] * (1 - share) + ends[1] * share) / PS_PER_S

    def _step_ps(
        self, number: int, chunk: Chunk, decodes: int, kv_tokens: int, everybodys: int | None = None
    ) -> int:
        """Of `number` such chunks."""
        own_ps = self._law.alike_ps(number, chunk, decodes, kv_tokens)
        if self.ranks == 1:
            return own_ps
        tokens = number * chunk[0] + decodes
        in_all = tokens * self.ranks if everybodys is None else everybodys
        return own_ps + self._law.shared(min(in_all, self.ranks * self.step_tokens))

    def _prefill_s(self, together: float, *, alone: bool = False) -> float:
        """Of one request, with `together` of them in a step; of a long prompt all its chunks.

        Beside who is `alone` the other ranks make a token each.
        """
        budget, prompt = self._hardware.max_num_batched_tokens, max(1, round(self._prompt))
        if prompt > budget:  # its chunks have steps of their own
            done = [(min(budget, prompt - at), at) for at in range(0, prompt, budget)]
        else:
            done = [(prompt, 0)]
        number = max(1, int(together)) if prompt <= budget else 1
        others = self.ranks - 1
        steps = (self._step_ps(number, chunk, 0, 0, chunk[0] + others if alone else None) for chunk in done)
        return sum(steps) / number / PS_PER_S


def _shares(mean: float, amounts: Sequence[float], wanted: float) -> list[float]:
    """Of 0, 1, ... pieces in a step, Poisson with this mean, but as many steps full as `wanted` takes.

    `amounts` are the tokens of so many pieces, `wanted` the mean of them.
    """
    likely = [exp(-mean)]
    while len(likely) < len(amounts):
        likely.append(likely[-1] * mean / len(likely))
    total = sum(likely)
    if total < LIKELY:  # far beyond what a step holds
        return [*[0.0] * (len(amounts) - 1), 1.0]
    shares = [one / total for one in likely]
    kept = sum(amount * share for amount, share in zip(amounts, shares, strict=True))
    full = max(0.0, min(1.0, (wanted - kept) / (amounts[-1] - kept)))
    return [*(share * (1 - full) for share in shares[:-1]), shares[-1] * (1 - full) + full]


def _mean_of_largest(demand: Demand, of_each: Floats, number: int) -> float:
    """Expected largest of so many requests, which come as `demand` has them."""
    order = np.argsort(of_each)
    shares = demand.shares[order].cumsum()
    at_most = shares**number
    return float(of_each[order] @ np.diff(at_most, prepend=0.0))
