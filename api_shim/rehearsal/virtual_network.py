"""The network that a program sees in virtual time: names, hosts, ways between them, and what went over these.

Nothing outside is ever reached.
"""

import asyncio
import errno
from collections.abc import Callable
from contextvars import Context, ContextVar
from typing import NamedTuple

from api_shim.rehearsal.app_cpu import AppCpu, NoCpu
from api_shim.rehearsal.machines import MACHINE, VISIT, Machine
from api_shim.rehearsal.route import Course, Route
from api_shim.rehearsal.wire_exchange import WireExchange
from sim.network import Network
from sim.time.streams import stream

NO_CPU = NoCpu()
EXCHANGE: ContextVar[WireExchange | None] = ContextVar("EXCHANGE", default=None)
"""That a server is working on."""


class Host(NamedTuple):
    """A server under some name, on a machine."""

    machine: Machine
    make_protocol: Callable[[], asyncio.Protocol]
    cpu: AppCpu


class Dialled(NamedTuple):
    """A connection on its way to a host."""

    name: str
    host: Host
    client: Machine
    course: Course
    began_ps: int


class VirtualNetwork:
    def __init__(self, network: Network, seed: int, app: Machine, app_cpu: AppCpu) -> None:
        """`app` is whoever has said no name for itself."""
        self.app = app
        self.app_cpu = app_cpu
        self.seen: list[WireExchange] = []
        """All exchanges, in the order of their beginning."""
        self.unreachable: dict[str, int] = {}
        """How often somebody wanted to reach what is outside, by name."""
        self._network = network
        self._seed = seed
        self._hosts: dict[str, Host] = {}
        self._addresses: dict[str, str] = {}
        self._names: dict[str, str] = {}
        self._routes: dict[tuple[str, str], Route] = {}

    def listen(self, name: str, host: Host) -> None:
        self._hosts[name] = host

    def address(self, name: str) -> str:
        """Of a name, or the address that it is. Raises OSError where there is no such host here."""
        if name in self._names:
            return name
        self.host(name)
        if name not in self._addresses:
            number = len(self._addresses) + 1
            self._addresses[name] = address = f"198.18.{number // 256}.{number % 256}"  # RFC 2544's
            self._names[address] = name
        return self._addresses[name]

    def host(self, name_or_address: str) -> tuple[str, Host]:
        """(name, host). Raises OSError."""
        name = self._names.get(name_or_address, name_or_address)
        if name not in self._hosts:
            self.unreachable[name] = self.unreachable.get(name, 0) + 1
            raise OSError(
                errno.ENETUNREACH,
                f"{name} cannot be reached: in virtual time there is nothing outside; "
                f"there are {', '.join(self._hosts)}",
            )
        return name, self._hosts[name]

    def dial(self, name_or_address: str, now_ps: int) -> Dialled:
        """From the machine that this is called on. Raises OSError."""
        name, host = self.host(name_or_address)
        client = MACHINE.get() or self.app
        began_ps = self.cpu_of(client).leaves_ps(now_ps)
        return Dialled(name, host, client, Course(self._route(client, name, host), began_ps), began_ps)

    def _route(self, client: Machine, name: str, host: Host) -> Route:
        key = client.name, name
        if key not in self._routes:
            path = self._network.path_between(client.place, host.machine.place)
            rng = stream(self._seed, 0, f"rehearsal/{client.name}/{name}")
            keep_alive = self._network.keep_alive(client.place)
            self._routes[key] = Route(path, rng, keep_alive, self._network.wire)
        return self._routes[key]

    def cpu_of(self, machine: Machine) -> AppCpu:
        return self.app_cpu if machine.kind == "app" else NO_CPU


def context_of(machine: Machine, seen: WireExchange) -> Context:
    """In which a server works on an exchange."""
    context = Context()
    context.run(MACHINE.set, machine)
    context.run(VISIT.set, seen.visit)
    context.run(EXCHANGE.set, seen)
    return context
