"""Server-sent events: tokens are written when the model's clock has them due, all of them in one write."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import aclosing
from http import HTTPStatus

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api_shim.exchange.chunk_writer import KEEP_ALIVE, ChunkWriter
from api_shim.exchange.exchange import Exchange
from api_shim.exchange.refusals import refusal_of
from api_shim.exchange.stamps import RawHeaders, stamps_comment, usage
from api_shim.exchange.stream_faults import StreamCutError, StreamFault
from api_shim.wire.errors import ApiError
from sim.time.units import PS_PER_S
from traffic.request import KEEP_ALIVE_S

BeforeTheEnd = Callable[[ApiError | None], Awaitable[None]]
"""Is told what has gone wrong, if anything has. Raises ApiError where the end has to be another one."""
STREAM_HEADERS = {"cache-control": "no-cache", "x-accel-buffering": "no"}
_RAW_STREAM_HEADERS = [(name.encode(), value.encode()) for name, value in STREAM_HEADERS.items()]
EVENTS = b"content-type", b"text/event-stream; charset=utf-8"


class EventStream(Response):
    """The answer of an exchange that has begun. Closes it at the end, however that comes."""

    media_type = "text/event-stream"

    def __init__(
        self,
        exchange: Exchange,
        told: "TokensAsTheyCome",
        headers: RawHeaders,
        fault: StreamFault | None = None,
    ) -> None:
        """`fault` is what its client wants to go wrong with it."""
        self.status_code = HTTPStatus.OK
        self.background = None
        self.raw_headers = [*_RAW_STREAM_HEADERS, *headers, EVENTS]
        self._exchange = exchange
        self._told = told
        self._fault = fault

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        shim, trace = self._exchange.shim, self._exchange.trace
        shim.streams += 1
        try:
            await send(
                {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
            )
            async with aclosing(self._told.chunks()) as made:
                async for chunk in made if self._fault is None else self._fault.on(made):
                    if trace is not None:
                        trace.wrote(chunk)
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
            if not self._exchange.call.gone:
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        except StreamCutError:
            return  # without an end: the server closes the connection
        finally:
            shim.streams -= 1
            self._exchange.close()


class TokensAsTheyCome:
    """What a stream says of an exchange, and when."""

    def __init__(
        self,
        exchange: Exchange,
        writer: ChunkWriter,
        *,
        with_usage: bool,
        with_stamps: bool,
        one_by_one: bool,
        before_the_end: BeforeTheEnd | None = None,
    ) -> None:
        """`before_the_end` is waited for ahead of the last chunk."""
        self._exchange = exchange
        self._writer = writer
        self._with_usage = with_usage
        self._with_stamps = with_stamps
        self._one_by_one = one_by_one
        self._before_the_end = before_the_end
        self._sent = [0] * exchange.call.request.samples
        self._letters = [0] * exchange.call.request.samples

    async def chunks(self) -> AsyncGenerator[bytes]:
        exchange, call, clock = self._exchange, self._exchange.call, self._exchange.call.clock
        silence_ps = round(KEEP_ALIVE_S * clock.speed * PS_PER_S)
        opening = b"".join(self._writer.opening(choice) for choice in range(call.request.samples))
        speak_by_ps = clock.timeline.now
        while not call.is_over():
            spoken = False
            for chunk in self._gained(exchange.tokens_due()):
                if spoken:
                    await asyncio.sleep(0)
                yield opening + chunk
                spoken, opening = True, b""
            if not spoken and clock.timeline.now >= speak_by_ps:
                yield KEEP_ALIVE
                spoken = True
            if spoken:
                speak_by_ps = clock.timeline.now + silence_ps
            if not call.is_over():
                await call.change(clock.timeline.now + exchange.shim.flush_ps)
        if call.gone:
            return
        exchange.note_lateness(call.ended_ps)
        rest = opening
        for chunk in self._gained([exchange.plan.output_tokens * exchange.answered] * call.request.samples):
            if rest != opening:
                yield rest
                await asyncio.sleep(0)
                opening = rest = b""
            rest += chunk
        yield rest + await self._ending()

    async def _ending(self) -> bytes:
        exchange, call = self._exchange, self._exchange.call
        refusal = None
        if not exchange.answered:
            refusal = refusal_of(call, exchange.model_id, self._writer.prompt_param, exchange.lateness_ps)
        try:
            if self._before_the_end is not None:
                await self._before_the_end(refusal)
        except ApiError as error:
            refusal = error
        if refusal is not None:
            return self._writer.refused(refusal)
        plan = exchange.plan
        chunks = [self._writer.closing(choice, plan.finish_reason) for choice in range(call.request.samples)]
        if self._with_usage:
            chunks.append(self._writer.usage(usage(call, plan.reasoning_tokens)))
        if self._with_stamps:
            chunks.append(stamps_comment(call, exchange.lateness_ps))
        return b"".join([*chunks, self._writer.end])

    def _gained(self, due: list[int]) -> Iterator[bytes]:
        """What the choices have gained since the last time: as a rule one chunk, none if nothing."""
        chunks: list[bytes] = []
        room = self._writer.tokens_at_once
        for choice, tokens in enumerate(due):
            while (sent := self._sent[choice]) < tokens:
                until = min(tokens, sent + room)
                for stretch in self._exchange.plan.stretches(choice, sent, until):
                    letters = self._letters[choice]
                    chunks.append(self._writer.content(choice, stretch, letters, one_by_one=self._one_by_one))
                    if stretch.part.kind == "text":
                        self._letters[choice] += sum(map(len, stretch.pieces))
                self._sent[choice] = until
                room -= until - sent
                if not room:
                    yield b"".join(chunks)
                    chunks, room = [], self._writer.tokens_at_once
        if text := b"".join(chunks):
            yield text
