"""Responses that are made while nobody waits. Acknowledged ones outlive the server: the next one makes them.

A response is over when its end is in the store; until then whatever was made of it counts for nothing, so a
server that is killed makes it again and none is made twice.
"""

import asyncio
import json
import sqlite3
from collections.abc import AsyncGenerator, Iterator
from dataclasses import asdict
from functools import partial
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import StreamingResponse

from api_shim.accounts.callers import Caller
from api_shim.content.plan import ContentPlan, Part
from api_shim.exchange.asker import Asker
from api_shim.exchange.chunk_writer import TOKENS_AT_ONCE, as_json
from api_shim.exchange.event_stream import STREAM_HEADERS, TokensAsTheyCome
from api_shim.exchange.exchange import ClientGoneError, Exchange
from api_shim.exchange.response_object import OutputForm, cancelled, failed
from api_shim.exchange.response_writer import ResponseWriter
from api_shim.generating import BodyOrigin
from api_shim.routes.responses.keeping import encoded, outcome, remember, written
from api_shim.routes.responses.understanding import UnderstoodResponse, prompts, understand
from api_shim.shim import Shim
from api_shim.store.full_disk import StorageFullError
from api_shim.store.responses import StoredResponse
from api_shim.wire.errors import SERVER, ApiError, crashed
from api_shim.wire.responses.items import ItemIds

Json = dict[str, Any]
MOST_JOBS = 10_000
"""Responses that are being made, or wait for it."""
FULL_DISK_S = 1.0
"""Between two tries to keep an end for which the disk has no room."""
NOTHING_SAID = ContentPlan(([],), "stop")


class Job:
    """One response. `head` is how clients see it while it is made."""

    def __init__(self, understood: UnderstoodResponse, asker: Asker, head: Json) -> None:
        self.understood = understood
        self.head = head
        self.exchange: Exchange | None = None
        self.opened = asyncio.Event()
        """There is an exchange, or never will be one."""
        self.over = asyncio.Event()
        self.end = head
        """What it has come to, once it is over."""
        self._asker = asker
        self._cancelled = False

    @property
    def queued(self) -> Json:
        return {**self.head, "status": "queued"}

    @property
    def now(self) -> Json:
        """As it is seen at the present."""
        if self.over.is_set():
            return self.end
        ticket = None if self.exchange is None else self.exchange.call.ticket
        return self.queued if ticket is None or ticket.admitted_ps < 0 else self.head

    async def cancel(self) -> Json:
        """Answers what it has come to, which may be that it was over already."""
        self._cancelled = True
        if self.exchange is not None:
            self.exchange.call.hang_up()
        await self.over.wait()
        return self.end

    async def run(self) -> None:
        try:
            end, plan = await self._made()
        except ApiError as error:
            end, plan = failed(self.head, error), None
        except ClientGoneError:
            end, plan = cancelled(self.head), None
        except Exception:
            await self._finish(failed(self.head, crashed()), None)
            raise
        finally:
            self.opened.set()
            if self.exchange is not None:
                self.exchange.close()
        await self._finish(end, plan)

    async def _made(self) -> tuple[Json, ContentPlan]:
        """Raises ApiError, and ClientGoneError where it is cancelled."""
        understood, shim = self.understood, self.understood.shim
        (prompt,) = prompts(shim, self._asker, understood)
        self.exchange = await shim.open(
            self._asker,
            understood.model,
            prompt.ask,
            prompt.tokens,
            stream=bool(understood.body.stream),
            written=prompt.written,
            priority=understood.body.stated_priority,
        )
        self.opened.set()
        if self._cancelled:
            self.exchange.call.hang_up()
        await self.exchange.until_over("input")
        return outcome(self.exchange, understood, self.head), self.exchange.plan

    async def _finish(self, end: Json, plan: ContentPlan | None) -> None:
        understood, shim = self.understood, self.understood.shim
        text = await encoded(shim, end)
        tokens = None if plan is None else as_json(_kept_plan(plan, understood.form))

        def write(connection: sqlite3.Connection) -> None:
            if shim.store.responses.finish(connection, understood.id, text, tokens):
                remember(connection, understood, end)

        while True:
            try:
                await shim.writes.write(write)
                break
            except (
                StorageFullError
            ):  # it has been acknowledged, and can still be kept when there is room again
                await asyncio.sleep(FULL_DISK_S)
        self.end = end
        self.over.set()

    def stream(self, *, after: int, stamps: bool) -> StreamingResponse:
        """What comes after the event of that number, as it comes."""
        chunks = self._chunks(after, stamps=stamps)
        return StreamingResponse(chunks, media_type="text/event-stream", headers=STREAM_HEADERS)

    async def _chunks(self, after: int, *, stamps: bool) -> AsyncGenerator[bytes]:
        await self.opened.wait()
        understood, exchange = self.understood, self.exchange
        writer = ResponseWriter(
            understood.shown(self.head),
            NOTHING_SAID if exchange is None else exchange.plan,
            understood.form,
            ended=lambda: understood.shown(self.end),
            failed=lambda _error: understood.shown(self.end),
            after=after,
        )
        yield writer.opening(0)
        if exchange is not None:
            told = TokensAsTheyCome(
                exchange,
                writer,
                with_usage=True,
                with_stamps=stamps,
                one_by_one=True,  # so that the numbers are the same for whoever comes back
                before_the_end=self._until_over,
            )
            async for chunk in told.chunks():
                yield chunk
        if exchange is None or exchange.call.gone:
            await self.over.wait()
            yield writer.last(understood.shown(self.end))

    async def _until_over(self, _refusal: ApiError | None) -> None:
        await self.over.wait()


class Background:
    """The jobs of a server."""

    def __init__(self, shim: Shim) -> None:
        self._shim = shim
        self._jobs: dict[str, Job] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def begin(self, understood: UnderstoodResponse, asker: Asker) -> Job:
        """Durable when this returns. Raises ApiError."""
        if len(self._jobs) >= MOST_JOBS:
            message = f"There are {MOST_JOBS:,} background responses to be made already."
            raise ApiError(HTTPStatus.SERVICE_UNAVAILABLE, message, type=SERVER, code="server_overloaded")
        shim, created_s = self._shim, int(self._shim.clock.unix_s())
        job = Job(understood, asker, understood.head(created_s))
        row = StoredResponse(
            understood.id,
            understood.origin.project,
            created_s,
            understood.body.previous_response_id,
            as_json(job.queued),
            as_json(understood.shown_items()),
            task=as_json(_task_of(understood, asker)),
        )
        await written(shim, lambda connection: shim.store.responses.add(connection, row))
        self._start(job)
        return job

    def job(self, response_id: str) -> Job | None:
        return self._jobs.get(response_id)

    async def resume(self) -> None:
        """What the last server on this state has left."""
        for row in await self._shim.clock.aside(self._shim.store.responses.unfinished):
            await self._resume(row)

    async def stop(self) -> None:
        """The server ends: what is under way is for the next one to make."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _resume(self, row: StoredResponse) -> None:
        """A body that is not understood any more, since models or earlier turns are gone, has failed."""
        shim, task, queued = self._shim, json.loads(row.task or "{}"), json.loads(row.response)
        try:
            origin = BodyOrigin(row.project, task.pop("from_8080"))
            understood = await understand(shim, origin, task.pop("body").encode())
        except ApiError as error:
            text = as_json(failed(queued, error))
            await shim.writes.write(partial(_discard, shim, row.id, text))
            return
        understood = understood._replace(id=row.id)
        asker = Asker(caller=Caller(**task.pop("caller")), **task)
        self._start(Job(understood, asker, understood.head(row.created_s)))

    def _start(self, job: Job) -> None:
        self._jobs[job.understood.id] = job
        task = asyncio.create_task(job.run())
        self._tasks.add(task)
        task.add_done_callback(partial(self._ended, job))

    def _ended(self, job: Job, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        del self._jobs[job.understood.id]


def background_of(request: Request) -> Background:
    background: Background = request.app.state.background
    return background


def _discard(shim: Shim, id_: str, text: str, connection: sqlite3.Connection) -> None:
    shim.store.responses.finish(connection, id_, text, None)


def _task_of(understood: UnderstoodResponse, asker: Asker) -> Json:
    """All that making it takes: the body as it came, and who asks."""
    return {
        "body": understood.raw.decode(),
        "from_8080": understood.origin.from_8080,
        "caller": asdict(asker.caller),
        "place": asker.place,
        "request_id": asker.request_id,
        "output_tokens": asker.output_tokens,
    }


# A response that is over tells its events again from its tokens.


def _kept_plan(plan: ContentPlan, form: OutputForm) -> Json:
    return {
        "pieces": plan.choices[0],
        "finish_reason": plan.finish_reason,
        "parts": [
            [part.kind, part.start, part.stop, part.number, part.name, part.lead] for part in plan.parts
        ],
        "logprobs": form.logprobs,
        "seals_reasoning": form.seals_reasoning,
    }


def events_again(stored: StoredResponse, after: int) -> Iterator[bytes]:
    """Of a background response that is over: those after the event of that number."""
    end = json.loads(stored.response)
    kept = None if stored.tokens is None else json.loads(stored.tokens)
    plan, form = NOTHING_SAID, OutputForm(ItemIds(stored.id, "o"))
    if kept is not None:
        parts = tuple(Part(*part) for part in kept["parts"])
        plan = ContentPlan((kept["pieces"],), kept["finish_reason"], parts)
        form = form._replace(logprobs=kept["logprobs"], seals_reasoning=kept["seals_reasoning"])
    head = {
        **end,
        "status": "in_progress",
        "completed_at": None,
        "incomplete_details": None,
        "error": None,
        "output": [],
        "usage": None,
    }
    writer = ResponseWriter(head, plan, form, ended=lambda: end, failed=lambda _error: end, after=after)
    yield writer.opening(0)
    for start in range(0, plan.output_tokens, TOKENS_AT_ONCE):
        for stretch in plan.stretches(0, start, min(start + TOKENS_AT_ONCE, plan.output_tokens)):
            yield writer.content(0, stretch, 0, one_by_one=True)
    if kept is None:  # it broke off, wherever that was
        writer.forget_numbers()
    yield writer.last(end)
