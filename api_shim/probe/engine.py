"""The probe under way: one request after the other, then several at once, until it is done or has to stop.

It stops at the first 429, at `MOST_FAILURES` failures one behind the other, where a limit of tokens or money
might be exceeded, and when it is interrupted. What it has until then is kept. Nothing is ever sent twice.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from http import HTTPStatus
from typing import Any, NamedTuple

from api_shim.probe.design import REPEAT, WARM_UP, WAVES, Cell, Design
from api_shim.probe.endpoint import Endpoint, Heard
from api_shim.probe.ledger import NOTHING, Ledger, Tokens
from api_shim.probe.pace import Pace
from api_shim.probe.record import ProbedRequest, RoundTrip, connection_of, fill, message_of, rounded
from api_shim.probe.wording import Wording, most_tokens_of
from e80sim.mistakes import UserError

MOST_FAILURES = 3
MOST_UNDER_WAY = 1000
BODIES: tuple[tuple[str, Mapping[str, Any]], ...] = (
    ("max_tokens", {"ignore_eos": True}),
    ("max_tokens", {}),
    ("max_completion_tokens", {}),
)
"""Names for the cap of an answer and what goes along, tried in this order: engines take the first, others
refuse members that they do not know."""
REFUSALS = frozenset({401, 402, 403, 404})
"""For which no other body is better."""
LIMIT_HEADERS = ("retry-after", "retry-after-ms", "ratelimit", "x-ratelimit")
"""What headers about limits begin with."""


class Stopped(NamedTuple):
    kind: str
    """rate_limited, failing, refused, budget or interrupted."""
    sentence: str


class Due(NamedTuple):
    at_s: float
    """From the first one."""
    cell: Cell


class Probe:
    """`chats` and `trips` have a row for each request that was sent, in the order in which they ended."""

    def __init__(self, endpoint: Endpoint, model: str, pace: Pace, ledger: Ledger, wording: Wording) -> None:
        self.chats: list[ProbedRequest] = []
        self.trips: list[RoundTrip] = []
        self.stopped: Stopped | None = None
        self.notes: list[str] = []
        self.limits: dict[str, str] = {}
        """The newest headers about limits."""
        self.body: tuple[str, Mapping[str, Any]] = BODIES[0]
        self.on_row: Callable[[], None] = lambda: None
        self._endpoint, self._model = endpoint, model
        self._pace, self._ledger, self._wording = pace, ledger, wording
        self._given_up: set[str] = set()
        self._failures = 0
        self._in_flight = 0
        self._sent = 0
        self._began_s: float | None = None

    async def run(self, design: Design, seed: int) -> None:
        """All of `design`, or until `stopped`."""
        await self.warm_up(design.warm_ups)
        repeated = self._wording.fresh(design.first_of_repeats.prompt_tokens)
        await self.chat(design.first_of_repeats, repeated)
        for cell in design.shuffled(seed):
            await self.one(cell, repeated if cell.purpose == REPEAT else None)
        for cell in design.steps:
            await self._step(cell)

    async def replay(self, traffic: Sequence[Due], warm_ups: Sequence[Cell]) -> None:
        """Each request when it is due, whether or not those before have been answered."""
        await self.warm_up(warm_ups)
        loop, under_way = asyncio.get_running_loop(), set[asyncio.Task[Any]]()
        begin_s = loop.time() + self._pace.burst / self._pace.rate_per_s
        for due in traffic:
            await asyncio.sleep(max(0.0, begin_s + due.at_s - loop.time()))
            if self.stopped is not None:
                break
            if self._in_flight >= MOST_UNDER_WAY:
                self.stopped = Stopped("failing", f"{MOST_UNDER_WAY:,} requests were under way, unanswered")
                break
            intended_s = begin_s + due.at_s - self._origin(begin_s)
            under_way.add(asyncio.create_task(self.chat(due.cell, intended_s=intended_s)))
        await asyncio.gather(*under_way)

    async def close(self) -> None:
        await self._endpoint.close()

    async def one(self, cell: Cell, text: str | None = None) -> None:
        if cell.is_chat:
            await self.chat(cell, text)
        else:
            await self._round_trip(cell)

    async def warm_up(self, cells: Sequence[Cell]) -> None:
        """Find a body that the server takes; UserError where it takes none. Learns how prompts count."""
        await self._endpoint.find()
        *tries, last = cells
        bodies = list(BODIES)
        for cell in tries:
            row = await self.chat(cell)
            if row is None or row.status == HTTPStatus.OK:
                break
            if 400 <= (row.status or 0) < 500 and row.status != HTTPStatus.TOO_MANY_REQUESTS:
                bodies.pop(0)
                if row.status in REFUSALS or not bodies:
                    raise UserError(
                        f"{self._endpoint.url} refuses a chat of model {self._model!r}: {row.error}"
                    )
                self.body = bodies[0]
        if not any(row.status == HTTPStatus.OK for row in self.chats):
            why = self.chats[-1].error if self.chats else "it was not even sent"
            self.stopped = self.stopped or Stopped("failing", f"no warm-up was answered: {why}")
        await self.chat(last)

    async def _step(self, cell: Cell) -> None:
        """So many at once: whoever is answered asks again."""
        left = iter(range(WAVES * cell.in_flight))

        async def ask_again() -> None:
            for _ in left:
                await self.chat(cell)

        await asyncio.gather(*(ask_again() for _ in range(cell.in_flight)))

    # One request

    async def chat(
        self, cell: Cell, text: str | None = None, *, intended_s: float | None = None
    ) -> ProbedRequest | None:
        """None where it was not sent."""
        if self.stopped is not None or cell.name in self._given_up:
            return None
        text = self._wording.fresh(cell.prompt_tokens) if text is None else text
        most = Tokens(most_tokens_of(text), cell.output_tokens)
        row = ProbedRequest(
            0,
            0.0,
            cell=cell.name,
            purpose=cell.purpose,
            asked_prompt_tokens=cell.prompt_tokens,
            asked_output_tokens=cell.output_tokens,
            intended_s=intended_s,
        )
        body, new = self._body(text, cell.output_tokens), cell.fresh_connection
        took: Tokens | None = None
        try:
            heard = await self._endpoint.exchange(
                partial(self._leave, row, most), "POST", "/chat/completions", body, new=new
            )
            if heard is None:
                return None
            row.arrival_s = round(heard.sent_s - self._origin(heard.sent_s), 7)
            took = NOTHING if heard.never_left else None
            took = fill(row, heard) or took
        except asyncio.CancelledError:
            row.error = "interrupted"
            raise
        finally:
            if row.number:
                self._in_flight -= 1
                self._ledger.settle(most, took)
                self.chats.append(row)
                self.on_row()
        if took is not None:
            self._wording.learn(text, took.prompt)
        self._judge(heard, row.error, cell)
        return row

    async def _leave(self, row: ProbedRequest, most: Tokens) -> bool:
        """Wait for its turn; False where it must not be sent."""
        now_s = await self._turn()
        if now_s is None:
            return False
        if not self._ledger.reserve(most):
            self.stopped = Stopped(
                "budget", "one more request could have exceeded what was allowed, so it was not sent"
            )
            return False
        self._sent += 1
        row.number, row.in_flight = self._sent, self._in_flight
        self._in_flight += 1
        row.arrival_s = round(now_s - self._origin(now_s), 7)
        return True

    async def _turn(self) -> float | None:
        """Somebody else may have been refused while this one waited."""
        now_s = await self._pace.turn()
        return None if self.stopped is not None else now_s

    def _origin(self, now_s: float) -> float:
        if self._began_s is None:
            self._began_s = now_s
        return self._began_s

    def _body(self, text: str, output_tokens: int) -> dict[str, Any]:
        cap, others = self.body
        return {
            "model": self._model,
            "messages": [{"role": "user", "content": text}],
            cap: output_tokens,
            "stream": True,
            "stream_options": {"include_usage": True},
            **others,
        }

    async def _round_trip(self, cell: Cell) -> None:
        if self.stopped is not None:
            return
        dns_ms = await self._endpoint.look_up_ms() if cell.fresh_connection else None
        trip = RoundTrip(0, 0.0, None, dns_ms=None if dns_ms is None else rounded(dns_ms))

        async def leave() -> bool:
            now_s = await self._turn()
            if now_s is None:
                return False
            self._sent += 1
            trip.number, trip.sent_s = self._sent, round(now_s - self._origin(now_s), 7)
            return True

        heard = await self._endpoint.exchange(leave, "GET", "/models", new=cell.fresh_connection)
        if heard is None:
            return
        trip.status, trip.error = heard.status, heard.error
        if heard.status is not None:
            trip.total_ms = rounded(1e3 * (heard.ended_s - heard.sent_s))
        for name, value in connection_of(heard).items():
            setattr(trip, name, value)
        self.trips.append(trip)
        self.on_row()
        self._judge(heard, heard.error, None)

    # What an answer means for the rest

    def _judge(self, heard: Heard, error: str | None, cell: Cell | None) -> None:
        """`cell` of a chat."""
        found = {name: value for name, value in heard.headers.items() if name.startswith(LIMIT_HEADERS)}
        self.limits = found or self.limits
        status = heard.status or 0
        failed = heard.error is not None or status >= 500
        self._failures = self._failures + 1 if failed else 0
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            self.stopped = Stopped("rate_limited", _limited(heard))
        elif self._failures >= MOST_FAILURES:
            self.stopped = self.stopped or Stopped(
                "failing", f"{self._failures} requests failed one behind the other, the last one: {error}"
            )
        elif cell is not None and 400 <= status < 500 and cell.purpose != WARM_UP:
            if status in REFUSALS:
                self.stopped = Stopped("refused", f"the server refuses: {error}")
            elif cell.name not in self._given_up:
                self._given_up.add(cell.name)
                self.notes.append(f"{cell.name} was given up, since the server refuses it: {error}")


def _limited(heard: Heard) -> str:
    headers = [f"{name}: {value}" for name, value in heard.headers.items() if name.startswith(LIMIT_HEADERS)]
    told = f" ({'; '.join(headers)})" if headers else ", without a header about its limits"
    return f"the server answered 429{told}: {message_of(heard.body)}"
