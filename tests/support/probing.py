"""Probing a served platform in virtual time: whatever connects anew comes with a key that nobody has seen."""

from collections.abc import Callable
from itertools import count
from pathlib import Path

import httpx

from api_shim.probe.design import Design
from api_shim.probe.directory import write
from api_shim.probe.endpoint import Endpoint
from api_shim.probe.engine import Probe
from api_shim.probe.ledger import Ledger
from api_shim.probe.pace import Pace
from api_shim.probe.plan import Plan
from api_shim.probe.sitting import about
from api_shim.probe.wording import Wording
from api_shim.testing import VirtualPlatform
from api_shim.testing.asgi_transport import make_transport
from hwmodels.calibrate.endpoint.fit import EndpointFit, fit_endpoint
from hwmodels.calibrate.endpoint.seen import read_seen
from sim.scenario.schema import Scenario
from tests.support.live import LLAMA

SMALL = Design((50, 100, 400, 800), (8, 32, 64), (2, 4), 2)


def clients_of(platform: VirtualPlatform, place: str) -> Callable[[], httpx.AsyncClient]:
    """The model's connections belong to keys, so a new key is a new connection."""
    keys = count()

    def make_client() -> httpx.AsyncClient:
        headers = {"authorization": f"Bearer sk-{next(keys)}", "x-sim-place": place}
        return httpx.AsyncClient(transport=make_transport(httpx, platform.app), headers=headers)

    return make_client


def probe_of(
    platform: VirtualPlatform,
    *,
    place: str = "away",
    rate: float = 1000.0,
    burst: int = 1,
    ledger: Ledger | None = None,
    url: str = "http://e80sim.invalid/v1",
    model: str = LLAMA,
) -> Probe:
    endpoint = Endpoint(url, make_client=clients_of(platform, place), timeout_s=600)
    return Probe(endpoint, model, Pace(rate, burst), ledger or Ledger(), Wording(1))


def probed(
    folder: Path,
    scenario: Scenario,
    design: Design = SMALL,
    *,
    place: str = "away",
    rate: float = 1000.0,
    url: str = "http://e80sim.invalid/v1",
) -> EndpointFit:
    """Serve, probe, write and fit, as a user does."""
    with VirtualPlatform(scenario) as platform:
        probe = probe_of(platform, place=place, rate=rate, url=url)
        platform.run(probe.run(design, 1))
    assert probe.stopped is None, probe.stopped
    plan = Plan(url, LLAMA, design.requests, "", rate, 1, design.expects, design.at_most, "")
    write(folder, about(probe, plan, Ledger(), {}, {}), probe.chats, probe.trips)
    return fit_endpoint(read_seen(folder))
