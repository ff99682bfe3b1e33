"""The users of an app: who sends which request when, each over connections of its own."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import h11

from api_shim.clocks.clock import Clock, sleep_until
from api_shim.rehearsal.machines import MACHINE, VISIT, Machine
from api_shim.rehearsal.requests_file import UserRequest
from sim.network.places import PlaceSpec
from sim.time.units import ps_of_s

CHUNK_BYTES = 64 * 1024
KEPT_BYTES = 2000
"""Of an answer, to show what came back."""
JSON = "application/json"


@dataclass(slots=True)
class Visit:
    """One request of a user, and its end."""

    number: int
    row: int
    """Of the requests file, from 0."""
    intended_ps: int
    ended_ps: int = -1
    """Whatever came of it."""
    status: int = 0
    """0: there was no answer, and `problem` says why."""
    problem: str = ""
    answer_bytes: int = 0
    answer: bytearray = field(default_factory=bytearray)


@dataclass(frozen=True, slots=True)
class Crowd:
    """How users come."""

    concurrency: int
    """As many users; each sends its next request after its last answer, unless requests state `at`."""
    repeat: int
    pause_s: float
    """A user's, after each answer."""
    patience_s: float
    """Until a user gives an answer up."""


class Users:
    def __init__(
        self,
        clock: Clock,
        requests: Sequence[UserRequest],
        crowd: Crowd,
        place: PlaceSpec,
        server: str,
        headers: dict[str, str],
    ) -> None:
        self.visits: list[Visit] = []
        self._clock = clock
        self._requests = requests
        self._crowd = crowd
        self._place = place
        self._server = server
        self._headers = headers

    async def all_served(self) -> None:
        timed = self._requests[0].at is not None
        await (self._at_their_times() if timed else self._one_after_the_other())

    async def _one_after_the_other(self) -> None:
        count = len(self._requests) * self._crowd.repeat
        numbers = iter(range(count))

        async def user(index: int) -> None:
            device = self._device(index)
            for number in numbers:
                await self._visit(device, number, self._requests[number % len(self._requests)])
                await asyncio.sleep(self._crowd.pause_s)

        await asyncio.gather(*(user(index) for index in range(min(self._crowd.concurrency, count))))

    async def _at_their_times(self) -> None:
        """Whoever is free takes the next; where nobody is, another user comes."""
        free: list[Device] = []
        devices = 0
        rows = sorted(enumerate(self._requests), key=lambda row: row[1].at or 0.0)
        lasts_s = max((request.at or 0.0) for request in self._requests) + self._crowd.pause_s
        visits = []

        async def one(row: int, request: UserRequest, device: Device) -> None:
            await self._visit(device, row, request)
            free.append(device)

        for again in range(self._crowd.repeat):
            for row, request in rows:
                at_ps = ps_of_s(again * lasts_s + (request.at or 0.0))
                if at_ps > self._clock.now_ps():
                    await sleep_until(self._clock, at_ps)
                if free:
                    device = free.pop()
                else:
                    device, devices = self._device(devices), devices + 1
                visits.append(asyncio.create_task(one(row, request, device)))
        await asyncio.gather(*visits)

    def _device(self, index: int) -> "Device":
        return Device(
            Machine("user", f"user-{index}", self._place), self._server, self._headers, self._crowd.patience_s
        )

    async def _visit(self, device: "Device", row: int, request: UserRequest) -> None:
        visit = Visit(len(self.visits), row % len(self._requests), self._clock.now_ps())
        self.visits.append(visit)
        await device.visit(visit, request)
        visit.ended_ps = self._clock.now_ps()


class Device:
    """A user's, with one connection that is kept as long as the server keeps it."""

    def __init__(self, machine: Machine, server: str, headers: dict[str, str], patience_s: float) -> None:
        self._machine = machine
        self._server = server
        self._headers = headers
        self._patience_s = patience_s
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._http = h11.Connection(h11.CLIENT)

    async def visit(self, visit: Visit, request: UserRequest) -> None:
        MACHINE.set(self._machine)
        VISIT.set(visit.number)
        try:
            async with asyncio.timeout(self._patience_s):
                await self._ask_again_if_closed(visit, request)
        except TimeoutError:
            visit.status, visit.problem = 0, f"no whole answer within {self._patience_s:g} s"
        except (OSError, EOFError, h11.RemoteProtocolError) as error:
            visit.status, visit.problem = 0, str(error) or type(error).__name__
        if visit.problem or self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
            self._hang_up()
        else:
            self._http.start_next_cycle()

    async def _ask_again_if_closed(self, visit: Visit, request: UserRequest) -> None:
        """A kept connection that the server closes meanwhile is nobody's fault, as browsers have it."""
        kept = self._streams is not None
        try:
            await self._ask(visit, request)
        except EOFError:
            if not kept or visit.status:
                raise
            self._hang_up()
            await self._ask(visit, request)

    async def _ask(self, visit: Visit, request: UserRequest) -> None:
        if self._streams is None or self._streams[0].at_eof():
            self._hang_up()
            self._streams = await asyncio.open_connection(self._server, 443)
        reader, writer = self._streams
        payload, http = request.payload(), self._http
        sent = [
            http.send(
                h11.Request(method=request.method, target=request.path, headers=self._head(request, payload))
            )
        ]
        if payload:
            sent.append(http.send(h11.Data(data=payload)))
        sent.append(http.send(h11.EndOfMessage()))
        writer.write(b"".join(part or b"" for part in sent))
        while not isinstance(event := http.next_event(), h11.EndOfMessage):
            if event is h11.NEED_DATA:
                data = await reader.read(CHUNK_BYTES)
                if not data:
                    raise EOFError("the app closed the connection before its answer was whole")
                http.receive_data(data)
            elif isinstance(event, h11.Response):
                visit.status = event.status_code
            elif isinstance(event, h11.Data):
                visit.answer_bytes += len(event.data)
                visit.answer += bytes(event.data)[: max(0, KEPT_BYTES - len(visit.answer))]

    def _head(self, request: UserRequest, payload: bytes) -> list[tuple[str, str]]:
        headers = {"host": self._server, "user-agent": "e80sim", "accept": "*/*", **self._headers}
        if payload:
            headers |= {"content-type": JSON, "content-length": str(len(payload))}
        return list((headers | {name.lower(): value for name, value in request.headers.items()}).items())

    def _hang_up(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
        self._streams, self._http = None, h11.Connection(h11.CLIENT)
