"""The locustfile in a process of its own: `import locust` rewires sockets and threads of its process."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOCUSTFILE = ROOT / "traffic" / "locustfile.py"

TABLES = f"""\
import json, runpy
from locust.env import Environment
names = runpy.run_path({str(LOCUSTFILE)!r})
environment = Environment()
options = names["LocustArgumentParser"]()
names["add_options"](options)
environment.parsed_options = options.parse_args([])
load = names["Load"](environment)
from locust.stats import RequestStats
environment.stats = RequestStats()
environment.events.request.add_listener(
    lambda request_type, name, response_time, response_length, exception, **_: (
        environment.stats.log_request(request_type, name, response_time, response_length),
        exception and environment.stats.log_error(request_type, name, exception),
    )
)
row = {{"kind": "chat", "intended_ns": 0, "output_tokens": 5, "error": "", "last_ns": 527_000_000}}
load.note(row)
for _ in range(9):
    load.note(row | {{"error": "429 rate_limit_exceeded", "last_ns": -1, "output_tokens": 0}})
for entry in (environment.stats.entries["chat", "E2E"], environment.stats.total):
    print(json.dumps([
        entry.num_requests, entry.num_failures, entry.get_response_time_percentile(0.5),
        entry.get_response_time_percentile(0.99), entry.avg_response_time, entry.min_response_time,
    ]))
"""


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )


def test_refusals_are_failures_and_leave_the_times_of_answers_alone() -> None:
    """One answer after 527 ms, which locust keeps as 530, and nine refusals."""
    done = python(TABLES)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert rows == [[10, 9, 530, 530, 527, 527]] * 2


def test_outside_its_environment_it_says_in_one_sentence_which_one_it_needs() -> None:
    done = python(f"import sys, runpy; sys.modules['traffic'] = None; runpy.run_path({str(LOCUSTFILE)!r})")
    assert done.returncode == 1
    (sentence,) = done.stderr.splitlines()
    assert "needs the environment that e80sim is installed in" in sentence
