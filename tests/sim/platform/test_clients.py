"""Clients of a source: each has its own limits, and all calls of a user request are one client's."""

from collections import defaultdict
from typing import Any

import pytest

from sim.run.world import World
from sim.scenario.schema import Scenario
from traffic.request import Request

PS = 10**12


def world_of(clients: dict[str, Any] | None, *, app_calls: int = 0) -> World:
    """Ten user requests, one a second; a limit of one model request a minute for each project."""
    target = {"app": "agent"} if app_calls else {"model": "m"}
    scenario = {
        "name": "clients",
        "models": {
            "m": {
                "id": "m",
                "llm": "llama3.1-8b",
                "hardware": {"preset": "hc1"},
                "context_tokens": 1000,
                "limits": {
                    "requests_per_minute": 1,
                    "tokens_per_minute": 100_000,
                    "algorithm": "fixed_window",
                },
            }
        },
        "network": {"places": {"here": {"kind": "custom", "rtt_ms": 0.0}}},
        "apps": {"agent": {"place": "here", "model": "m", "calls": app_calls}} if app_calls else {},
        "traffic": {
            "chat": {
                "place": "here",
                **target,
                "tenant": "acme",
                "clients": clients,
                "arrivals": {"kind": "constant", "rate_per_s": 1, "offset_s": 0},
                "lengths": {
                    "prompt": {"kind": "fixed", "tokens": 10},
                    "output": {"kind": "fixed", "tokens": 2},
                },
            }
        },
        "run": {"horizon_s": 10.0},
    }
    return World(Scenario.model_validate(scenario), seed=3, replication=0)


def asked(world: World, monkeypatch: pytest.MonkeyPatch) -> list[Request]:
    """Everything that a run submits."""
    requests: list[Request] = []
    submit = world.platform.submit

    def recording(request: Request, *rest: Any) -> Any:
        requests.append(request)
        return submit(request, *rest)

    monkeypatch.setattr(world.platform, "submit", recording)
    world.run_to(20 * PS)
    return requests


def admitted(world: World) -> int:
    outcomes = world.tables("base").requests["outcome"].to_pylist()
    return outcomes.count("completed")


def test_without_clients_a_tenant_is_one_project(monkeypatch: pytest.MonkeyPatch) -> None:
    world = world_of(None)
    assert {request.project for request in asked(world, monkeypatch)} == {"acme"}
    assert admitted(world) == 1


def test_each_client_has_its_own_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    world = world_of({"count": 4})
    requests = asked(world, monkeypatch)
    projects = {request.project for request in requests}
    assert projects <= {"acme-0", "acme-1", "acme-2", "acme-3"}
    assert len(projects) >= 3
    assert {request.tenant for request in requests} == {"acme"}
    assert all(request.key == request.project for request in requests)
    assert admitted(world) == len(projects)


def test_all_calls_of_a_user_request_are_one_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    world = world_of({"count": 1000}, app_calls=3)
    by_visit: dict[int, list[str]] = defaultdict(list)
    for request in asked(world, monkeypatch):
        by_visit[request.parent].append(request.project)
    assert len(by_visit) == 10
    assert all(len(set(projects)) == 1 for projects in by_visit.values())
    assert len({projects[0] for projects in by_visit.values()}) >= 9
