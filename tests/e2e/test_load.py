"""A server on the wall clock, recorded, loaded and replayed: processes, sockets and locust."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time  # noqa: TID251 -- these tests wait for real time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from api_shim.load import cli as load_cli
from api_shim.load.processes import LOCUSTFILE, LoadError, server
from reports.check import checked
from reports.run_directory import read
from reports.stored import whole
from sim.__main__ import main

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 60
MODEL = "8080/taalas/llama3.1-8b-instruct"
SCENARIO = f"""\
name: small
models:
  llama:
    id: {MODEL}
    llm: llama3.1-8b
    hardware: {{preset: hc1}}
    nodes: 2
    context_tokens: 6000
network:
  places:
    edge: {{kind: edge}}
    home: {{kind: internet, access: cable, near: "aws:us-east-1"}}
traffic:
  near:
    place: edge
    tenant: near
    model: llama
    arrivals: {{kind: poisson, rate_per_s: 20}}
    lengths: &lengths {{prompt: {{kind: fixed, tokens: 50}}, output: {{kind: fixed, tokens: 40}}}}
  far:
    place: home
    tenant: far
    model: llama
    stream: false
    arrivals: {{kind: poisson, rate_per_s: 20}}
    lengths: *lengths
run: {{horizon_s: 60}}
"""


MARK = "E80SIM_TEST_THAT_STARTED_THIS"


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    file = tmp_path / "small.yaml"
    file.write_text(SCENARIO)
    return file


@pytest.fixture(autouse=True)
def marked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whatever a test starts carries its mark: other tests run beside it and start the same programs."""
    monkeypatch.setenv(MARK, str(tmp_path))


def started_here() -> dict[int, str]:
    """Command lines of whatever this test has started and is still there, by process."""
    mark = f"{MARK}={os.environ[MARK]}".encode()
    found = {}
    for process in Path("/proc").iterdir():
        with suppress(OSError):  # it has ended meanwhile
            if process.name.isdecimal() and mark in (process / "environ").read_bytes().split(b"\0"):
                found[int(process.name)] = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    return {pid: line for pid, line in found.items() if line}


def children_of_tests() -> str:
    return "\n".join(started_here().values())


def e80sim(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sim", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def replayed(*arguments: str | Path) -> tuple[int, str, str]:
    """Exit status, stdout and stderr, without a process for it."""
    with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as err:
        status = main(["replay", *map(str, arguments)])
    return status, out.getvalue(), err.getvalue()


def recording(run: Path) -> Path:
    """What has come in at a server that makes `run`."""
    return run.with_name(f"{run.name}.recording") / "arrivals.jsonl"


def until_requests_come(run: Path) -> None:
    """Locust takes some seconds to begin, more on a busy machine."""
    deadline = time.monotonic() + PATIENCE_S
    while not (recording(run).exists() and recording(run).read_text().count("\n") > 20):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def live_of(directory: Path) -> Any:
    summary = read(directory).summary
    assert summary is not None
    return summary["live"]


def lines_of(file: Path) -> list[Any]:
    return [json.loads(line) for line in file.read_text().splitlines()]


async def ask(address: tuple[str, int], number: int) -> None:
    """Every fifth client hangs up after a few milliseconds; every other one streams."""
    await asyncio.sleep(number * 0.01)
    body = json.dumps(
        {
            "model": MODEL,
            "stream": number % 2 == 0,
            "messages": [{"role": "user", "content": "word " * (number % 50)}],
            "max_tokens": 2000 if number % 5 == 0 else 40,
            "ignore_eos": True,
        }
    ).encode()
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nhost: here\r\nauthorization: Bearer sk-me\r\n"
        f"x-sim-place: {'home' if number % 3 else 'edge'}\r\nconnection: close\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection(*address)
    writer.write(head.encode() + body)
    await writer.drain()
    if number % 5:
        assert b"200 OK" in await reader.readline()
        await reader.read()
    else:
        await asyncio.sleep(0.02)
    writer.close()


@pytest.mark.realtime
def test_two_hundred_requests_on_the_wall_clock_replay_offline_to_the_picosecond(
    scenario: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"

    async def crowd(address: tuple[str, int]) -> None:
        await asyncio.gather(*(ask(address, number) for number in range(200)))

    with server([str(scenario), "--port", "0", "--record", str(run)]) as url:
        asyncio.run(crowd(("127.0.0.1", int(url.rpartition(":")[2]))))
    arrivals = lines_of(run / "arrivals.jsonl")
    assert len(arrivals) == 200
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".recording"] == []
    assert sum("left" in line for line in arrivals) > 20
    outcomes = read(run).tables.requests["outcome"].to_pylist()
    assert outcomes.count("cancelled") > 20
    assert outcomes.count("completed") >= 160
    status, said, complaints = replayed(run, "--out", tmp_path / "again")
    assert (status, complaints) == (0, "")
    assert "200 requests replayed" in said
    assert "every stamp is equal, to the picosecond" in said
    assert read(tmp_path / "again").tables.requests.equals(whole(read(run).tables.requests))

    arrivals[100]["prompt_tokens"] += 1
    (run / "arrivals.jsonl").write_text("".join(json.dumps(line) + "\n" for line in arrivals))
    status, said, _ = replayed(run)
    assert status == 1
    assert f"row {arrivals[100]['number']} has prompt_tokens" in said


@pytest.mark.realtime
def test_of_a_server_that_is_killed_what_came_in_makes_a_run(scenario: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    command = [sys.executable, "-m", "sim", "serve", str(scenario), "--port", "0", "--record", str(run)]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as serve:
        assert serve.stderr is not None
        try:
            port = int(serve.stderr.readline().split("/v1")[0].rpartition(":")[2])
            assert any(
                "models" in line for line in serve.stderr
            )  # the last that it says before requests come

            async def crowd() -> None:
                await asyncio.gather(*(ask(("127.0.0.1", port), number) for number in range(20)))

            asyncio.run(crowd())
        finally:
            serve.kill()
    assert not run.exists()
    left = tmp_path / "run.recording"
    assert sorted(path.name for path in left.iterdir()) == ["arrivals.jsonl", "scenario.yaml"]
    status, said, complaints = replayed(left)
    assert (status, said) == (2, "")
    assert "--out makes a run of what it holds" in complaints
    assert replayed(left, "--out", run) == (0, f"{run}: 20 requests recovered from {left}.\n", "")
    assert read(run).tables.requests.num_rows == 20
    assert replayed(run)[0] == 0


@pytest.mark.realtime
def test_load_sends_the_scenarios_traffic_and_reports_three_columns_for_each_place(
    scenario: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    done = e80sim("load", scenario, "--duration", "4", "--out", run)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == str(run / "report.html")
    client, arrivals = lines_of(run / "client.jsonl"), lines_of(run / "arrivals.jsonl")
    assert 90 < len(arrivals) < 240  # 40/s over 4 s
    assert sorted(line["number"] for line in client) == sorted(line["number"] for line in arrivals)
    assert {(line["kind"], line["stream"]) for line in client} == {("near", True), ("far", False)}
    assert {line["output_tokens"] for line in client} == {40}
    assert {line["prompt_tokens"] for line in client} == {line["prompt_tokens"] for line in arrivals} == {60}
    assert f"Aggregated  {len(client)}" in " ".join(done.stderr.split()).replace(
        "Aggregated ", "Aggregated  "
    )
    near, far = sorted(live_of(run)["groups"], key=lambda group: str(group["place"]))
    assert (near["source"], near["place"], far["source"], far["place"]) == ("near", "edge", "far", "home")
    for group in (near, far):
        e2e = {name: column["p50"]["value"] for name, column in group["metrics"]["e2e"].items()}
        assert 0 < e2e["simulated"] < e2e["wall"]
        assert 0 < e2e["lag"] < 0.5
    assert (
        near["metrics"]["ttft"]["wall"]["p50"]["value"] > near["metrics"]["ttft"]["simulated"]["p50"]["value"]
    )
    assert "refused" in far["metrics"]["ttft"]["wall"]["p50"]
    assert replayed(run)[0] == 0
    assert checked(run).findings == []
    assert "/live shows what comes of it" in done.stderr
    assert children_of_tests() == ""


@pytest.mark.realtime
def test_users_of_a_closed_loop_over_two_processes_write_a_line_for_each_request(
    scenario: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    load = ["--users", "8", "--processes", "2", "--speed", "4", "--duration", "5"]
    done = e80sim("load", scenario, *load, "--out", run)
    assert done.returncode == 0, done.stderr
    client, arrivals = lines_of(run / "client.jsonl"), lines_of(run / "arrivals.jsonl")
    assert len(client) >= len(arrivals) > 20
    answered = [line["number"] for line in client if not line["error"]]
    assert len(set(answered)) == len(answered) > 20
    assert set(answered) <= {line["number"] for line in arrivals}  # the end of the test may cut others off
    assert live_of(run)["speed"] == 4.0
    assert live_of(run)["client"]["answered"] == len(answered)


@contextmanager
def stopped_for(pid: int, seconds: float) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        time.sleep(seconds)
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def pid_of_server() -> int:
    (pid,) = [pid for pid, line in started_here().items() if " sim serve " in line]
    return pid


@pytest.mark.realtime
def test_a_server_frozen_for_a_second_shows_in_the_tail_of_an_open_loop(
    scenario: Path, tmp_path: Path
) -> None:
    """Of 40 requests/s for 6 s a sixth fall into the frozen second, and wait half of it on average."""
    run = tmp_path / "run"
    command = [sys.executable, "-m", "sim", "load", str(scenario), "--rate", "40", "--duration", "6"]
    with subprocess.Popen(
        [*command, "--out", str(run)],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as load:
        assert load.stderr is not None
        assert "answers callers" in load.stderr.readline()
        until_requests_come(run)
        with stopped_for(pid_of_server(), 1.0):
            pass
        load.stderr.read()
        assert load.wait(PATIENCE_S) == 0
    client = lines_of(run / "client.jsonl")
    waited_ms = sorted((line["last_ns"] - line["intended_ns"]) / 1e6 for line in client)
    assert len(waited_ms) > 150
    assert waited_ms[int(0.99 * len(waited_ms))] > 700
    assert sum(wait > 100 for wait in waited_ms) > 0.08 * len(waited_ms)
    simulated = [line["sim"]["ended_ps"] - line["sim"]["sent_ps"] for line in client]
    assert sorted(simulated)[int(0.5 * len(simulated))] < 200 * 10**9
    slip_ms = sorted((line["sent_ns"] - line["intended_ns"]) / 1e6 for line in client)
    assert slip_ms[int(0.9 * len(slip_ms))] < 100  # the schedule went on meanwhile
    assert not live_of(run)["paced"] or live_of(run)["client"]["answered"] == len(client)


@pytest.mark.realtime
def test_ctrl_c_ends_server_and_locust_and_keeps_what_was_measured(scenario: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    command = [sys.executable, "-m", "sim", "load", str(scenario), "--duration", "60", "--out", str(run)]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as load:
        assert load.stderr is not None
        assert "answers callers" in load.stderr.readline()
        until_requests_come(run)
        load.send_signal(signal.SIGINT)
        load.stderr.read()
        assert load.wait(PATIENCE_S) == 130
    assert children_of_tests() == ""
    assert live_of(run)["client"]["answered"] > 0
    assert replayed(run)[0] == 0


@pytest.mark.realtime
def test_server_and_locust_end_with_a_load_test_that_is_killed(scenario: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sim", "load", str(scenario), "--duration", "60"]
    with subprocess.Popen(
        [*command, "--out", str(tmp_path / "run")],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as load:
        assert load.stderr is not None
        assert "answers callers" in load.stderr.readline()
        until_requests_come(tmp_path / "run")
        assert str(LOCUSTFILE) in children_of_tests()
        load.kill()
        load.stderr.read()
    deadline = time.monotonic() + PATIENCE_S
    while children_of_tests():  # the server still writes its record
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert read(tmp_path / "run").summary is not None


def test_load_without_locust_says_how_to_get_it(
    scenario: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(load_cli, "find_spec", lambda _name: None)
    assert main(["load", str(scenario)]) == 2
    assert capsys.readouterr().err == (
        "e80sim: load needs locust, which is not installed: pip install 'e80sim[load]'\n"
    )


def test_load_and_serve_refuse_what_cannot_be_in_one_sentence(
    scenario: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["load", str(scenario), "--users", "3", "--rate", "2"]) == 2
    assert capsys.readouterr().err == (
        "e80sim: --users is a closed loop and --rate an open one: give one of them\n"
    )
    (tmp_path / "there").mkdir()
    assert main(["load", str(scenario), "--out", str(tmp_path / "there")]) == 2
    assert "there exists already: choose a directory that does not" in capsys.readouterr().err
    assert main(["serve", str(scenario), "--record", str(tmp_path / "there")]) == 2
    assert "--record" in capsys.readouterr().err
    assert main(["replay", str(tmp_path / "there")]) == 2
    assert "is not the directory of a run" in capsys.readouterr().err


@pytest.mark.realtime
def test_a_port_that_is_taken_is_told_in_one_sentence(scenario: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with (
            pytest.raises(
                LoadError, match=r"the server did not start: cannot listen on 127\.0\.0\.1 port \d+: Address"
            ),
            server([str(scenario), "--port", port]),
        ):
            pass
