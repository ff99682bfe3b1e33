"""One batch, from its input to its output. Where a server was killed, the next one goes on.

What counts is in the store: the status, and the results of the lines that have one. A request that was under
way at a kill has had no effect, as the platform that it ran in ended with the process: it is run from its
beginning.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from functools import partial
from http import HTTPStatus
from typing import Any, NamedTuple, TypeVar

from pydantic_core import to_json

from api_shim.accounts.callers import Caller
from api_shim.batches.budget import BudgetQueue
from api_shim.batches.input_file import InputFile, InputLine, check, parsed
from api_shim.batches.output import line_id, write_outputs
from api_shim.batches.results import Results, answered, failed, patiently, sleep
from api_shim.clocks.clock import sleep_until
from api_shim.exchange.asker import Asker
from api_shim.exchange.exchange import Exchange
from api_shim.generating import BodyOrigin, Generating, close
from api_shim.shim import Shim
from api_shim.store.batches import UNFINISHED, BatchStatus, LineResult, StoredBatch
from api_shim.store.database import Value, Write
from api_shim.store.full_disk import StorageFullError
from api_shim.tracing.kept import WhoAsks
from api_shim.wire.batch_objects import ERRORS, BatchError
from api_shim.wire.errors import ApiError, bad_value
from sim.time.units import PS_PER_S
from traffic.request import BATCH_PRIORITY, caller_named

T = TypeVar("T")
Endpoints = Mapping[str, Generating[Any]]
"""By path."""
PLACE = "in-platform"
"""In the records: no place of a scenario has such a name."""
CONNECTIONS = caller_named("inside", "batches")
RETRY_AFTER = "retry-after-ms"
ENDINGS: dict[BatchStatus, tuple[BatchStatus, BatchStatus]] = {
    "finalizing": ("completed", "finalizing"),
    "cancelling": ("cancelled", "cancelling"),
    "in_progress": ("expired", "in_progress"),
}
LONGEST_CANCELLING_S = 600
"""What is under way when somebody cancels has so long to end."""


class BatchJob:
    def __init__(self, shim: Shim, endpoints: Endpoints, budget: BudgetQueue, batch: StoredBatch) -> None:
        self.number = batch.number
        self._shim = shim
        self._endpoint = endpoints[batch.endpoint]
        self._budget = budget
        self._batch = batch
        self._caller = Caller(
            batch.key,
            batch.project,
            batch.tenant,
            batch.source,
            CONNECTIONS,
            PLACE,
            BATCH_PRIORITY,
            batch=True,
        )
        self._in_flight = shim.world.scenario.serve.batch_requests_in_flight
        self._turn = asyncio.Lock()
        """For what costs CPU time, so that a batch does not hold up everybody else's answers."""
        self._cancelled = asyncio.Event()

    def cancel(self) -> None:
        """The store says so already."""
        self._cancelled.set()

    async def run(self) -> None:
        """Until it is over. Where the disk stays full, or the server ends, it is left to the next server."""
        try:
            await self._from_where_it_stands()
        except StorageFullError:
            return
        except Exception:
            fault = BatchError(
                code="server_error", message="The server had an error while running the batch."
            )
            await self._fail([fault])
            raise

    async def _from_where_it_stands(self) -> None:
        if self._batch.status == "validating":
            await self._validate()
        if self._batch.status == "in_progress":
            await self._work()
        if self._batch.status in UNFINISHED:
            await self._finish()

    async def _validate(self) -> None:
        file = self._input()
        try:
            found = await check(self._shim, file, self._batch.endpoint)
        finally:
            file.close()
        if found.errors:
            await self._fail(found.errors)
        else:
            await self._move("in_progress", ["validating"], lines=found.lines, model=found.model)

    async def _fail(self, errors: list[BatchError]) -> None:
        await self._move("failed", UNFINISHED, errors=ERRORS.dump_json(errors).decode())
        await self._shim.clock.aside(partial(self._shim.store.batches.let_go, self.number))

    async def _work(self) -> None:
        """All lines that have no result yet; fewer where the time is over or somebody cancels."""
        clock, store = self._shim.clock, self._shim.store.batches
        done = await clock.aside(partial(store.recorded, self.number))
        results = Results(clock, lambda taken: store.record(self.number, taken, clock.unix_s()))
        file = self._input()
        working = asyncio.ensure_future(self._all_lines(file, done, results))
        committing = asyncio.create_task(results.commit_now_and_then())
        ending = asyncio.create_task(self._time_is_over())
        tasks: list[asyncio.Future[None]] = [working, committing, ending]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            file.close()
            await results.commit()
        for task in tasks:
            if not task.cancelled():
                task.result()  # raises what it raised
        if not working.cancelled():
            await self._move("finalizing", ["in_progress"])
        self._batch = await clock.aside(partial(store.read, self.number))

    async def _time_is_over(self) -> None:
        clock = self._shim.clock
        left_s = self._batch.expires_s - clock.unix_s()
        over = asyncio.create_task(
            sleep_until(clock, clock.now_ps() + max(0, round(left_s * clock.speed * PS_PER_S)))
        )
        cancelled = asyncio.create_task(self._cancelled.wait())
        try:
            await asyncio.wait([over, cancelled], return_when=asyncio.FIRST_COMPLETED)
            if cancelled.done():
                await sleep_until(clock, clock.now_ps() + LONGEST_CANCELLING_S * PS_PER_S)
        finally:
            over.cancel()
            cancelled.cancel()

    async def _all_lines(self, file: InputFile, done: set[int], results: Results) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(self._in_flight):
                group.create_task(self._line_after_line(file, done, results))

    async def _line_after_line(self, file: InputFile, done: set[int], results: Results) -> None:
        while not self._cancelled.is_set() and (line := await file.next()) is not None:
            if line.number not in done:
                await results.add(await self._result(line))

    async def _result(self, line: InputLine) -> LineResult:
        request, id_ = parsed(line), line_id(self._batch, line.number)
        request_id = self._shim.new_id("req_")
        try:
            answer = await self._answer(to_json(request.body), request_id)
        except ApiError as error:
            code = error.code or error.type
            return LineResult(line.number, True, failed(id_, request.custom_id, code, error.message))
        result = answered(id_, request.custom_id, request_id, answer.json)
        return LineResult(line.number, False, result, *answer.tokens, answer.along)

    async def _answer(self, raw: bytes, request_id: str) -> "_Answer":
        """As a client of the endpoint gets it. Raises ApiError."""
        while True:
            try:
                return await self._one_try(raw, request_id)
            except ApiError as error:
                if error.status != HTTPStatus.TOO_MANY_REQUESTS or RETRY_AFTER not in error.headers:
                    raise
                # Others spend the same budget: they were quicker.
                await sleep(self._shim.clock, int(error.headers[RETRY_AFTER]) / 1000)

    async def _one_try(self, raw: bytes, request_id: str) -> "_Answer":
        shim, endpoint = self._shim, self._endpoint
        asker = Asker(
            self._caller,
            PLACE,
            request_id,
            priority=BATCH_PRIORITY,
            until_room=self._budget.until_room,
        )
        along: list[Write] = []
        origin = BodyOrigin(self._caller.project, along=along)
        exchanges: list[Exchange] = []
        who, trace = partial(self._who_asks, request_id), None
        try:
            understood = await self._in_turn(partial(endpoint.understood, shim, origin, raw))
            trace = shim.tracer.begin(who, raw, log=bool(understood.body.log))
            if understood.body.stream:
                raise bad_value("stream", "A batch has no streams: leave 'stream' out.", "invalid_request")
            await endpoint.open(shim, asker._replace(trace=trace), understood, exchanges)
            await endpoint.until_over(exchanges)
            json = await self._in_turn(partial(endpoint.answer, exchanges, understood))
            if trace is not None:
                trace.answer(HTTPStatus.OK, json)
            return _Answer(json, _tokens(exchanges), along)
        except ApiError as error:
            shim.tracer.refused(trace, who, raw, error)
            raise
        finally:
            close(exchanges)

    def _who_asks(self, request_id: str) -> WhoAsks:
        caller = self._caller
        return WhoAsks(
            self._batch.endpoint, request_id, caller.project, caller.key, secret="", traceparent=""
        )

    async def _in_turn(self, work: Callable[[], Awaitable[T]]) -> T:
        async with self._turn:
            done = await work()
            await asyncio.sleep(0)
        return done

    async def _finish(self) -> None:
        """From what is in the store to the files of the client."""
        status, from_ = ENDINGS[self._batch.status]
        await write_outputs(self._shim, self._batch, self._input, status, from_)
        await self._shim.clock.aside(partial(self._shim.store.batches.let_go, self.number))

    def _input(self) -> InputFile:
        path = self._shim.store.batches.input(self.number)
        return InputFile(path, self._shim.clock, self._shim.settings.body_limit_bytes)

    async def _move(self, status: BatchStatus, from_: Collection[BatchStatus], **values: Value) -> None:
        """Somebody may have been quicker, who cancelled it."""
        clock, store = self._shim.clock, self._shim.store.batches

        def move() -> None:
            store.move(self.number, status, from_, clock.unix_s(), **values)

        await patiently(clock, partial(clock.aside, move))
        self._batch = await clock.aside(partial(store.read, self.number))


class _Answer(NamedTuple):
    json: bytes
    tokens: tuple[int, int, int]
    """Input, output, and the part of the output that is reasoning."""
    along: list[Write]


def _tokens(exchanges: list[Exchange]) -> tuple[int, int, int]:
    return (
        sum(exchange.call.request.prompt_tokens for exchange in exchanges),
        sum(exchange.plan.output_tokens * exchange.call.request.samples for exchange in exchanges),
        sum(exchange.plan.reasoning_tokens for exchange in exchanges),
    )
