"""The users of an app: who sends which request when, each over connections of its own."""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import h11

from api_shim.clocks.clock import Clock, sleep_until
from api_shim.rehearsal.machines import MACHINE, VISIT, Machine
from api_shim.rehearsal.requests_file import UserRequest
from sim.network.places import PlaceSpec
from sim.time.streams import stream
from sim.time.units import ps_of_s

CHUNK_BYTES = 64 * 1024
KEPT_BYTES = 2000
"""Of an answer, to show what came back."""
JSON = "application/json"
OF_BODIES = ("content-length", "transfer-encoding")
"""Headers that are said of what is really sent, and not of what a file states."""


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
    rate_per_s: float | None = None
    """At which requests come, whether or not others are answered; None: as users are free, or at `at`."""


class Users:
    def __init__(
        self,
        clock: Clock,
        requests: Sequence[UserRequest],
        crowd: Crowd,
        place: PlaceSpec,
        server: str,
        headers: dict[str, str],
        seed: int,
    ) -> None:
        self.visits: list[Visit] = []
        self._devices: list[Device] = []
        self._clock = clock
        self._requests = requests
        self._crowd = crowd
        self._place = place
        self._server = server
        self._headers = headers
        self._seed = seed

    async def all_served(self) -> None:
        if self._crowd.rate_per_s is not None:
            await self._at_their_times(self._drawn(self._crowd.rate_per_s))
        elif self._requests[0].at is not None:
            await self._at_their_times(self._stated())
        else:
            await self._one_after_the_other()
        for device in self._devices:
            device.hang_up()

    async def _one_after_the_other(self) -> None:
        count = len(self._requests) * self._crowd.repeat
        numbers = iter(range(count))

        async def user() -> None:
            device = self._device()
            for number in numbers:
                await self._visit(device, number, self._requests[number % len(self._requests)])
                await asyncio.sleep(self._crowd.pause_s)

        await asyncio.gather(*(user() for _ in range(min(self._crowd.concurrency, count))))

    async def _at_their_times(self, times: Iterable[tuple[int, int]]) -> None:
        """(when, row) in order. Whoever is free takes the next; where nobody is, another user comes."""
        free: list[Device] = []
        visits = []

        async def one(row: int, device: Device) -> None:
            await self._visit(device, row, self._requests[row])
            free.append(device)

        for at_ps, row in times:
            if at_ps > self._clock.now_ps():
                await sleep_until(self._clock, at_ps)
            visits.append(asyncio.create_task(one(row, free.pop() if free else self._device())))
        await asyncio.gather(*visits)

    def _stated(self) -> Iterator[tuple[int, int]]:
        """Each repetition begins a pause after the last request of the one before it."""
        rows = sorted((ps_of_s(request.at or 0.0), row) for row, request in enumerate(self._requests))
        lasts_ps = rows[-1][0] + ps_of_s(self._crowd.pause_s)
        for again in range(self._crowd.repeat):
            for at_ps, row in rows:
                yield again * lasts_ps + at_ps, row

    def _drawn(self, rate_per_s: float) -> Iterator[tuple[int, int]]:
        """A Poisson process, the same at every place."""
        rng = stream(self._seed, 0, "rehearsal/arrivals")
        at_ps = 0
        for number in range(len(self._requests) * self._crowd.repeat):
            at_ps += ps_of_s(rng.exponential(1 / rate_per_s))
            yield at_ps, number % len(self._requests)

    def _device(self) -> "Device":
        """Of one user more."""
        machine = Machine("user", f"user-{len(self._devices)}", self._place)
        device = Device(machine, self._server, self._headers, self._crowd.patience_s)
        self._devices.append(device)
        return device

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
            self.hang_up()
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
            self.hang_up()
            await self._ask(visit, request)

    async def _ask(self, visit: Visit, request: UserRequest) -> None:
        if self._streams is None or self._streams[0].at_eof():
            self.hang_up()
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
        stated = {name.lower(): value for name, value in request.headers.items()}
        return list((headers | {name: stated[name] for name in stated if name not in OF_BODIES}).items())

    def hang_up(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
        self._streams, self._http = None, h11.Connection(h11.CLIENT)
