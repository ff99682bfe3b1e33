"""When users send what, over which connections."""

import asyncio
from typing import Any

import pytest

from api_shim.clocks.virtual_loop import VirtualClock
from api_shim.rehearsal.app_cpu import StatedCpu
from api_shim.rehearsal.application import AppServer
from api_shim.rehearsal.machines import Machine
from api_shim.rehearsal.rehearsal_loop import RehearsalLoop
from api_shim.rehearsal.requests_file import UserRequest
from api_shim.rehearsal.users import Crowd, Users, Visit
from api_shim.rehearsal.virtual_network import Host, VirtualNetwork
from api_shim.rehearsal.wire_exchange import WireExchange
from sim.network import Network
from sim.network.places import CustomPlace
from tests.rehearsal.test_virtual_network import echo
from tests.support.live import scenario

MS = 10**9
NAME = "app.test"
AWAY = CustomPlace(kind="custom", rtt_ms=20)
CROWD = Crowd(concurrency=1, repeat=1, pause_s=0, patience_s=60)


def served(
    requests: list[UserRequest], crowd: Crowd, app: Any = echo, keep_alive_s: float = 60
) -> tuple[list[Visit], list[WireExchange]]:
    """20 ms to connect, 10 out, 5 in the app, 10 back."""
    loop = RehearsalLoop()
    machine = Machine("app", "app", CustomPlace(kind="custom", rtt_ms=0))
    loop.network = network = VirtualNetwork(Network(scenario().network), 1, machine, StatedCpu(0))
    server = AppServer(app, keep_alive_s)
    network.listen(NAME, Host(machine, server.protocol, StatedCpu(0)))
    users = Users(VirtualClock(loop.timeline), requests, crowd, AWAY, NAME, {}, seed=1)
    try:
        loop.run_until_complete(users.all_served())
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        loop.run_until_complete(asyncio.wait(left) if left else asyncio.sleep(0))
        loop.run_until_complete(asyncio.sleep(1))  # until all that was said is heard
    finally:
        loop.close()
    return users.visits, network.seen


def spans(visits: list[Visit]) -> list[tuple[float, float]]:
    return [(visit.intended_ps / MS, visit.ended_ps / MS) for visit in visits]


ONE = UserRequest(path="/")


def test_a_user_sends_the_next_request_after_a_pause_over_the_same_connection() -> None:
    visits, seen = served([ONE], Crowd(concurrency=1, repeat=2, pause_s=1, patience_s=60))
    assert spans(visits) == [(0, 45), (1045, 1070)]
    assert [each.cold for each in seen] == [True, False]


def test_a_body_is_as_long_as_it_is_whatever_its_headers_state() -> None:
    stated = {"Content-Length": "999", "transfer-encoding": "chunked"}
    visits, _ = served([UserRequest(path="/", body="hello", headers=stated)], CROWD)
    assert [(visit.status, visit.problem) for visit in visits] == [(200, "")]


def test_users_share_the_requests_and_no_connections() -> None:
    visits, seen = served([ONE], Crowd(concurrency=2, repeat=3, pause_s=0, patience_s=60))
    assert spans(visits) == [(0, 45), (0, 45), (45, 70)]
    assert [each.cold for each in seen] == [True, True, False]


def test_requests_with_times_come_at_them_however_long_the_others_take() -> None:
    """At 40 ms the first user still waits, so another comes; at 50 it is free again."""
    requests = [UserRequest(path="/", at=at) for at in (0.05, 0, 0.04)]
    visits, seen = served(requests, CROWD)
    assert spans(visits) == [(0, 45), (40, 85), (50, 75)]
    assert [visit.row for visit in visits] == [1, 2, 0]
    assert {each.visit: each.cold for each in seen} == {0: True, 1: True, 2: False}


def test_a_rate_draws_the_same_arrivals_every_time() -> None:
    crowd = Crowd(concurrency=1, repeat=300, pause_s=0, patience_s=60, rate_per_s=100)
    visits, _ = served([ONE], crowd)
    assert [visit.intended_ps for visit in visits] == [visit.intended_ps for visit in served([ONE], crowd)[0]]
    mean_ms = visits[-1].intended_ps / MS / len(visits)
    assert mean_ms == pytest.approx(10, rel=0.2)  # 3.5 standard deviations


def test_a_connection_that_was_closed_meanwhile_is_opened_again() -> None:
    visits, seen = served([ONE], Crowd(concurrency=1, repeat=2, pause_s=3, patience_s=60), keep_alive_s=2)
    assert spans(visits) == [(0, 45), (3045, 3090)]
    assert [each.cold for each in seen] == [True, True]


def test_a_user_gives_up_and_the_next_request_has_a_connection_of_its_own() -> None:
    async def slow(_scope: Any, receive: Any, _send: Any) -> None:
        await receive()
        await asyncio.sleep(5)

    visits, seen = served([ONE], Crowd(concurrency=1, repeat=2, pause_s=0, patience_s=1), slow)
    assert spans(visits) == [(0, 1000), (1000, 2000)]
    assert [visit.problem for visit in visits] == ["no whole answer within 1 s"] * 2
    assert [each.cold for each in seen] == [True, True]
