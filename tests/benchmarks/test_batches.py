"""The largest batch that there is, of the smallest requests, in virtual time and on a real disk."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.speeds import Speeds

REQUESTS = 50_000
LARGEST = f"""
import json, sys, tempfile, time
from pathlib import Path
from api_shim.store.batches import Batches
from api_shim.store.store import Store
from tests.benchmarks.test_shim import NODES, platform_with
from tests.support.batches import contents, requests, run
from tests.support.live import make_wire, scenario

commits, record = [], Batches.record

def counted(self, number, results, now_s):
    commits.append(len(results))
    record(self, number, results, now_s)

Batches.record = counted
with tempfile.TemporaryDirectory() as folder:
    wire = make_wire(scenario(**platform_with(NODES, 1.0)))
    store = wire.platform.shim.store = Store(Path(folder) / "state")
    began = time.monotonic(), time.process_time()
    batch = run(wire, requests({REQUESTS}))
    wall_s, cpu_s = time.monotonic() - began[0], time.process_time() - began[1]
    answers = contents(wire, batch["output_file_id"])
    store.close()
lines = Path("/proc/self/status").read_text().splitlines()
told = dict(
    status=batch["status"],
    counts=batch["request_counts"],
    answers=len({{answer["custom_id"] for answer in answers}}),
    tokens=batch["usage"]["output_tokens"],
    commits=len(commits),
    committed=sum(commits),
    wall_s=wall_s,
    cpu_s=cpu_s,
    peak_kb=int(next(line.split()[1] for line in lines if line.startswith("VmHWM"))),
)
print(json.dumps(told))
"""


def test_fifty_thousand_requests_for_one_token(speeds: Speeds) -> None:
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", LARGEST], cwd=root, capture_output=True, text=True, check=True
    )
    told: dict[str, Any] = json.loads(done.stdout)
    assert told["status"] == "completed"
    assert told["counts"] == {"total": REQUESTS, "completed": REQUESTS, "failed": 0}
    assert told["answers"] == told["tokens"] == told["committed"] == REQUESTS
    assert told["commits"] <= REQUESTS // 256 + 2
    assert told["peak_kb"] < 1_000_000
    speeds.note(
        "a batch of 50,000 requests for one token",
        f"{told['wall_s']:10.1f} s, {told['cpu_s']:.1f} s of CPU, {told['peak_kb'] / 1e3:.0f} MB at most",
    )
