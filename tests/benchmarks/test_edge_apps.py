"""What an application costs beside its own work: to start, and for each request. Told, not asserted."""

import statistics
import time  # noqa: TID251 -- applications are in real time
from pathlib import Path

import httpx
import pytest

from api_shim.edge.host import EdgeHost
from api_shim.edge.plan import AppLimits, EdgePlan
from tests.edge.apps import SOURCE
from tests.edge.conftest import ask, settle
from tests.support.served import serve
from tests.support.speeds import Speeds

ROUNDS = 500
MANIFEST = "project: bench\norganization_slug: us\nentrypoint: main:app\n"


def test_what_a_request_to_an_application_costs(speeds: Speeds, tmp_path: Path) -> None:
    (tmp_path / "8080.yaml").write_text(MANIFEST)
    (tmp_path / "main.py").write_text(SOURCE)
    served = serve(tmp_path, "--app", str(tmp_path), "--state", ":memory:")
    [url] = served.urls
    headers = {"authorization": "Bearer sk-me", "x-sim-place": "edge"}
    with httpx.Client(base_url=f"{url}/hosted/bench", headers=headers) as client:
        assert client.get("/").text == "hello"
        overhead = [float(client.get("/").headers["x-sim-overhead-ms"]) for _ in range(ROUNDS)]
        took = [timed(client) for _ in range(ROUNDS)]
    served.end()
    [line] = [line for line in served.lines if "running, after" in line]
    speeds.note("app: start", line.rpartition(", after ")[2])
    names = ("through the server", took), ("late by", overhead), ("to its socket alone", alone(tmp_path))
    for name, found in names:
        p50, p95 = (statistics.quantiles(found, n=20)[i] for i in (9, 18))
        speeds.note(f"app: request, {name}", f"{p50:8.2f} ms at p50, {p95:.2f} at p95")


def alone(folder: Path) -> list[float]:
    """The same application, asked without the server."""
    host = EdgeHost()
    app = host.thread.submit(host.start(EdgePlan("bench", "bench", "main:app", folder))).result()
    settle(host, app)
    assert app.life is not None
    transport = httpx.HTTPTransport(uds=str(app.life.socket))
    with httpx.Client(base_url="http://app", transport=transport) as client:
        client.get("/")
        found = [timed(client) for _ in range(ROUNDS)]
    host.close()
    return found


def timed(client: httpx.Client) -> float:
    began = time.perf_counter()
    client.get("/")
    return 1e3 * (time.perf_counter() - began)


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5])
def test_a_busy_application_gets_its_share_over_a_second(
    speeds: Speeds, tmp_path: Path, share: float
) -> None:
    (tmp_path / "main.py").write_text(SOURCE)
    host = EdgeHost()
    plan = EdgePlan("bench", "bench", "main:app", tmp_path, AppLimits(share=share))
    app = host.thread.submit(host.start(plan)).result()
    settle(host, app)
    assert app.life is not None
    cpu = app.life.watchdog.cpu
    began_s, used_s = time.monotonic(), cpu.used_s
    ask(app, "/work", str(share).encode())
    found = (cpu.used_s - used_s) / (time.monotonic() - began_s)
    host.close()
    speeds.note(f"app: CPU, {share:g} of a core", f"{found:8.3f}")
    assert found < 1.2 * share
