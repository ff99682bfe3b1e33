"""What a run will take is told before it starts; what cannot fit is refused with the figure and the fix."""

from pathlib import Path

import pytest

from e80sim.mistakes import UserError
from sim.run import estimate as module
from sim.run.estimate import (
    LONG_ROW_BYTES,
    PROCESS_BYTES,
    ROW_BYTES,
    WORKER_ROW_BYTES,
    available_bytes,
    estimate,
    require_fitting,
    require_room,
)
from sim.scenario.load import Plan, load
from tests.support.study import results_of

TEXT = """\
name: sized
models:
  llama:
    id: llama
    llm: llama3.1-8b
    hardware: {preset: hc1}
    context_tokens: 6000
network: {places: {here: {kind: edge}}}
apps: {agent: {place: here, model: llama, calls: 4}}
traffic:
  chat: &source
    place: here
    model: llama
    arrivals: {kind: poisson, rate_per_s: 3}
    lengths: {prompt: {kind: fixed, tokens: 50}, output: {kind: fixed, tokens: 20}}
  agents:
    place: here
    app: agent
    arrivals: {kind: constant, rate_per_s: 2}
    lengths: {prompt: {kind: fixed, tokens: 50}, output: {kind: fixed, tokens: 20}}
run: {horizon_s: 10, replications: 5}
variants:
  as_is: {}
  rush: {set: {traffic.chat.arrivals.rate_per_s: 7}}
"""


def plan(folder: Path, *settings: str) -> Plan:
    (folder / "sized.yaml").write_text(TEXT, encoding="utf-8")
    return load(folder / "sized.yaml", settings)


def test_requests_are_those_of_all_sources_calls_variants_and_replications(tmp_path: Path) -> None:
    """As is: 10 s of 3 + 2 x (1 user request and 4 calls) = 130; in the rush 170; five times both."""
    expected = estimate(plan(tmp_path), jobs=1)
    assert expected.requests == 5 * (130 + 170)
    assert expected.simulated_s == 100
    assert expected.most_from == "agents"
    assert expected.memory_bytes == PROCESS_BYTES + 1500 * ROW_BYTES


def test_requests_beyond_those_that_fit_into_memory_lie_on_the_disk(tmp_path: Path) -> None:
    """A thousand times the horizon: 1,500,000 requests, of which 131,072 may lie in memory as a whole."""
    expected = estimate(plan(tmp_path, "run.horizon_s=10000"), jobs=1)
    assert expected.requests == 1_500_000
    assert expected.memory_bytes == 125 * 10**6 + 131_072 * 1450 + (1_500_000 - 131_072) * LONG_ROW_BYTES
    assert expected.memory_bytes < 125 * 10**6 + 1_500_000 * 1450 / 4
    assert expected.disk_bytes == 3 * 10**6 + 3 * 1_500_000 * 60  # while they are put in order


def test_workers_count_with_what_each_of_them_holds(tmp_path: Path) -> None:
    lone, four = (estimate(plan(tmp_path), jobs=jobs) for jobs in (1, 4))
    assert four.memory_bytes >= 4 * (PROCESS_BYTES + WORKER_ROW_BYTES * 170) > lone.memory_bytes


def test_a_trace_sends_no_more_than_its_rows(tmp_path: Path) -> None:
    rows = "".join(
        f'{{"arrival_ps": {at * 10**12}, "prompt_tokens": 5, "output_tokens": 5}}\n' for at in range(7)
    )
    (tmp_path / "rows.jsonl").write_text(rows, encoding="utf-8")
    once = "traffic.chat.arrivals={kind: trace, path: rows.jsonl}"
    again = "traffic.chat.arrivals={kind: trace, path: rows.jsonl, loop: true}"
    for setting, of_chat in ((once, 7), (again, 100)):
        found = estimate(
            plan(tmp_path, setting, "run.horizon_s=100", "run.replications=1", "variants={}"), jobs=1
        )
        assert found.requests == pytest.approx(of_chat + 100 * 10)


def test_what_no_run_may_have_is_refused_whatever_the_machine(tmp_path: Path) -> None:
    with pytest.raises(UserError) as refused:
        require_fitting(estimate(plan(tmp_path, "traffic.chat.arrivals.rate_per_s=1e9"), jobs=1))
    assert str(refused.value) == (
        "sized: about 50,000,001,350 requests are more than the 1,000,000,000 that one run may have: "
        "lower traffic.chat.arrivals, run.horizon_s or run.replications"
    )


def test_what_does_not_fit_into_memory_is_refused_with_both_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = estimate(plan(tmp_path), jobs=1)
    monkeypatch.setattr(module, "available_bytes", lambda: expected.memory_bytes)
    require_fitting(expected)
    monkeypatch.setattr(module, "available_bytes", lambda: 10**8)
    with pytest.raises(UserError) as refused:
        require_fitting(expected)
    assert str(refused.value) == (
        "sized: about 1,500 requests need 127 MB of memory, and 100 MB are available here: lower "
        "traffic.agents.arrivals, run.horizon_s or run.replications, or run it with --force"
    )


def test_a_disk_without_room_is_refused(tmp_path: Path) -> None:
    expected = estimate(plan(tmp_path), jobs=1)
    require_room(expected, tmp_path / "runs" / "out")
    with pytest.raises(UserError, match=r"out needs about 1e\+09 TB, and .* are free on its disk"):
        require_room(expected._replace(disk_bytes=10**21), tmp_path / "runs" / "out")


def test_the_limit_of_a_container_counts_where_it_is_the_smaller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    meminfo, most, used = (tmp_path / name for name in ("meminfo", "max", "current"))
    meminfo.write_text("MemTotal:       16000 kB\nMemAvailable:    8000 kB\n")
    used.write_text("1000000\n")
    monkeypatch.setattr(module, "MEMINFO", meminfo)
    monkeypatch.setattr(module, "CGROUPS", ((most, used),))
    assert available_bytes() == 8_192_000
    most.write_text("max\n")
    assert available_bytes() == 8_192_000
    most.write_text("3000000\n")
    assert available_bytes() == 2_000_000


@pytest.mark.parametrize(("users", "think_s"), [(1, 0.0), (5, 1.0), (500, 0.1)])
def test_questions_of_closed_loop_users_are_those_that_they_and_the_nodes_have_time_for(
    tmp_path: Path, users: int, think_s: float
) -> None:
    settings = [
        f"traffic.chat.arrivals={{kind: ramp, users: {users}}}",
        f"traffic.chat.callers={{kind: closed_loop, think: {{kind: fixed, s: {think_s}}}}}",
        "traffic.agents.arrivals.rate_per_s=0.000001",
        "variants={}",
        "run.replications=1",
    ]
    spec = plan(tmp_path, *settings)
    asked = results_of(spec).tables.requests.num_rows
    assert asked <= 1.1 * estimate(spec, jobs=1).requests
    assert estimate(spec, jobs=1).requests <= 1.3 * asked


def test_turns_of_chats_count_one_by_one_and_so_do_calls_of_agents(tmp_path: Path) -> None:
    """30 chats of 4 turns, and 20 user requests with 2 calls each; once, and in the rush 70 chats."""
    settings = [
        "traffic.chat.callers={kind: chats, turns: {kind: fixed, count: 4}, think: {kind: fixed, s: 1}}",
        "apps.agent={place: here, model: llama, steps: {a: {kind: ask, then: b}, b: {kind: ask}}}",
        "run.replications=1",
    ]
    assert estimate(plan(tmp_path, *settings), jobs=1).requests == (120 + 60) + (280 + 60)
