"""A server that stays up stays as large as it is. Counts are asserted; the long run tells its megabytes."""

import gc
import subprocess
import sys
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest

from sim.platform.recorder import FLUSH_ROWS, RecentBlocks
from sim.run.estimate import PROCESS_BYTES, ROW_BYTES
from sim.run.live import live_world
from sim.run.world import World
from sim.scenario.schema import Scenario
from tests.benchmarks.scenarios import ASIC
from tests.support.live import scenario
from tests.support.speeds import Speeds
from traffic.request import Request, caller_named

S = 10**12
PER_S = 200
LIMITS = {"requests_per_minute": 10_000, "tokens_per_minute": 10_000_000}
HOME = {"kind": "internet", "access": "cable", "near": "aws:us-east-1"}


def served() -> Scenario:
    asic = {
        "kind": "hardwired_asic",
        "decode_step_ms": 1.0,
        "prefill_ms_per_token": 0.01,
        "kv_pool_tokens": 2000,
    }
    model = {"id": "m", "llm": "llama3.1-8b", "hardware": asic, "nodes": 8, "context_tokens": 2000}
    spec = scenario(limits=LIMITS).model_dump(exclude_unset=True)
    spec["models"] = {"llama": model | {"limits": LIMITS}}
    spec["traffic"]["chat"]["place"] = "home"
    return Scenario.model_validate(spec | {"network": {"places": {"home": HOME}}})


class Served:
    """A live world without HTTP, whose callers hold `keys` keys and have deadlines of an hour."""

    def __init__(self, keys: int) -> None:
        self.world = live_world(served(), blocks=RecentBlocks())
        self._keys = keys
        self._asked = 0

    def ask(self, upto: int) -> None:
        """Until so many have been asked in all, `PER_S` a second."""
        world = self.world
        for number in range(self._asked, upto):
            now_ps = number * S // PER_S
            world.env.run_before(now_ps)
            key = f"key_{number * 7919 % self._keys}"
            caller = caller_named("key", key)
            asked = Request(number, "llama", 20, 5, 5, now_ps, "home", caller, key, key, "live", key)
            world.platform.submit(replace(asked, deadline_ps=now_ps + 3600 * S))
            if number % 256 == 0:
                self._forget()
        self._asked = upto

    def _forget(self) -> None:
        """As the shim does, where nobody streams."""
        for pool in self.world.platform.pools.values():
            for node in pool.nodes:
                node.kernel.forget(self.world.env.now)
        self.world.tidy()


def held(world: World) -> dict[str, int]:
    """How much of everything that could grow."""
    platform = world.platform
    return {
        "events": len(world.env._queue),
        "tickets": len(platform.inside),
        "links": len(platform.links),
        "limiters": sum(
            len(budget.limiters)
            for one in platform.gateway.admissions.values()
            if one.budgets
            for _, budget in one.budgets.named()
        ),
        "tenants": len(platform.records.labels.vocabulary()["tenant"]),
        "rows": len(platform.records.arrays("number")["number"]),
    }


def test_twice_the_requests_of_the_same_keys_take_the_same_memory(speeds: Speeds) -> None:
    tracemalloc.start()
    server = Served(keys=1000)
    server.ask(2 * FLUSH_ROWS)  # whole blocks of rows, so that none are under way either time
    gc.collect()
    before, counted = tracemalloc.get_traced_memory()[0], held(server.world)
    server.ask(4 * FLUSH_ROWS)
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    after = held(server.world)
    assert after["events"] < 2 * 1024
    assert after["tickets"] < 200
    assert after["rows"] <= 2 * 8192
    assert {name: after[name] for name in ("links", "limiters", "tenants")} == {
        name: counted[name] for name in ("links", "limiters", "tenants")
    }
    assert grown < 2 * FLUSH_ROWS * 28, "a tenth of what was kept of every request once"
    speeds.note("16,384 more requests of the same 1,000 keys", f"{grown / 1e3:10.0f} kB")


LONG = """
import gc
from pathlib import Path
from tests.benchmarks.test_memory import Served

def resident_mb():
    gc.collect()
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1000 for line in lines if line.startswith("VmRSS"))

server = Served(keys=10_000)
server.ask(10_000)
before = resident_mb()
server.ask(300_000)
print(before, resident_mb())
"""


@pytest.mark.soak
def test_three_hundred_thousand_requests_of_ten_thousand_keys_take_fifty_megabytes_at_most(
    speeds: Speeds,
) -> None:
    root = Path(__file__).resolve().parents[2]
    told = subprocess.run([sys.executable, "-c", LONG], cwd=root, capture_output=True, text=True, check=True)
    before, after = map(float, told.stdout.split())
    speeds.note("resident after 10,000 and 300,000 requests", f"{before:10.0f} MB, {after:.0f} MB")
    assert after <= before + 50


PEAK = """
import sys
from pathlib import Path
from sim.__main__ import main

assert main(sys.argv[1:]) == 0
lines = Path("/proc/self/status").read_text().splitlines()
print(next(line.split()[1] for line in lines if line.startswith("VmHWM")))
"""


def test_a_run_takes_the_memory_that_it_says(tmp_path: Path, speeds: Speeds) -> None:
    text = ASIC.replace("rate_per_s: 125 ", "rate_per_s: 500 ").replace("nodes: 8", "nodes: 64")
    (tmp_path / "asic.yaml").write_text(text, encoding="utf-8")
    run = [sys.executable, "-c", PEAK, "run", str(tmp_path / "asic.yaml"), "--jobs", "1", "--quiet"]
    peaks = []
    for horizon_s in (4, 44):
        options = ["--horizon", str(horizon_s), "--out", str(tmp_path / str(horizon_s))]
        root = Path(__file__).resolve().parents[2]
        told = subprocess.run([*run, *options], cwd=root, capture_output=True, text=True, check=True)
        peaks.append(int(told.stdout.split()[-1]) * 1024)
    for peak, requests in zip(peaks, (2_000, 22_000), strict=True):
        told_bytes = PROCESS_BYTES + ROW_BYTES * requests
        speeds.note(
            f"memory of a run of {requests:,} requests",
            f"{peak / 1e6:10.0f} MB, {told_bytes / 1e6:.0f} as told",
        )
        assert 0.6 * told_bytes <= peak <= 1.3 * told_bytes


STORED = """
import reports.spool, reports.stored

reports.stored.LARGE = reports.stored.ROWS_PER_GROUP = 8192
reports.spool.FIRST_ROWS, reports.spool.PART_ROWS = 8192, 4096
"""
"""As a run of sixteen times as many requests would be."""


def test_requests_of_a_long_run_lie_on_the_disk(tmp_path: Path, speeds: Speeds) -> None:
    """30,000 more of them took 43 MB while all lay in memory."""
    text = ASIC.replace("rate_per_s: 125 ", "rate_per_s: 500 ").replace("nodes: 8", "nodes: 64")
    (tmp_path / "asic.yaml").write_text(text, encoding="utf-8")
    run = [sys.executable, "-c", STORED + PEAK, "run", str(tmp_path / "asic.yaml"), "--jobs", "1", "--quiet"]
    peaks = []
    for horizon_s in (60, 120):
        options = ["--horizon", str(horizon_s), "--out", str(tmp_path / str(horizon_s))]
        root = Path(__file__).resolve().parents[2]
        told = subprocess.run([*run, *options], cwd=root, capture_output=True, text=True, check=True)
        peaks.append(int(told.stdout.split()[-1]) * 1024)
    each = (peaks[1] - peaks[0]) / 30_000
    speeds.note(
        "memory of each request more of a long run", f"{each:10.0f} bytes; {peaks[1] / 1e6:.0f} MB in all"
    )
    assert each <= 200
