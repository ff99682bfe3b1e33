"""An application's own code, in processes of their own, with times worked out by hand."""

import json
import os
import subprocess
import sys
import time  # noqa: TID251 -- real processes take real time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from textwrap import dedent
from typing import TypeVar

import pytest
import yaml

from api_shim.edge.manifest import read_app_folder
from api_shim.rehearsal.application import import_app
from api_shim.rehearsal.compared import comparison
from api_shim.rehearsal.compared_page import render_places
from api_shim.rehearsal.compared_text import compared_text
from api_shim.rehearsal.measured import MeasuredPlace
from api_shim.rehearsal.part import Part
from api_shim.rehearsal.rehearsals import rehearse
from e80sim.environment import prefer
from e80sim.mistakes import UserError
from tests.support.cli import e80sim
from tests.support.live import scenario_of_llama

T = TypeVar("T")
TWO_CALLS = """
    import os
    import time

    from fastapi import FastAPI
    from openai import AsyncOpenAI

    app = FastAPI()
    client = AsyncOpenAI(base_url=f"{os.environ['_8080_API_URL']}/v1", api_key=os.environ["_8080_API_KEY"])


    @app.post("/chat")
    async def chat(body: dict) -> dict:
        began = time.perf_counter()
        for _ in range(2):
            message = {"role": "user", "content": body["say"]}
            await client.chat.completions.create(
                model="8080/taalas/llama3.1-8b-instruct", messages=[message], max_tokens=2
            )
        return {"took_ms": round((time.perf_counter() - began) * 1000)}
"""


def app_folder(folder: Path, code: str, **fields: object) -> Path:
    manifest = {"project": "tried", "organization_slug": "me", "entrypoint": "main:app"} | fields
    (folder / "8080.yaml").write_text(yaml.safe_dump(manifest))
    (folder / "main.py").write_text(dedent(code))
    (folder / "requests.jsonl").write_text('{"path": "/chat", "json": {"say": "hello"}}\n')
    served = scenario_of_llama().model_dump(mode="json", exclude_unset=True)
    (folder / "platform.yaml").write_text(yaml.safe_dump(served, sort_keys=False))
    return folder


def part(folder: Path, place: str = "here") -> Part:
    return Part(
        folder=str(folder),
        requests=str(folder / "requests.jsonl"),
        scenario=str(folder / "platform.yaml"),
        variant=None,
        settings=[],
        place=place,
        users_at="away",
        concurrency=1,
        repeat=2,
        pause_s=0,
        patience_s=60,
        rate_per_s=None,
        app_cpu_ms=1.0,
        sandbox_run_ms=30.0,
        content="synthetic",
        seed=None,
    )


BLOCKING = """
    import os
    import time

    from fastapi import FastAPI
    from openai import OpenAI

    app = FastAPI()
    client = OpenAI(base_url=f"{os.environ['_8080_API_URL']}/v1", api_key=os.environ["_8080_API_KEY"])

    def ask(say: str) -> None:
        message = {"role": "user", "content": say}
        client.chat.completions.create(
            model="8080/taalas/llama3.1-8b-instruct", messages=[message], max_tokens=2
        )
        time.sleep(0.004)

    @app.post("/blocking")
    async def blocking(body: dict) -> None:
        ask(body["say"])

    @app.post("/threads")
    def threads(body: dict) -> None:
        ask(body["say"])
"""


@pytest.fixture(scope="module")
def rehearsed(tmp_path_factory: pytest.TempPathFactory) -> list[MeasuredPlace]:
    """Beside the platform twice, and with its users, 20 ms away from it; then what blocks, two ways."""
    one = part(app_folder(tmp_path_factory.mktemp("app"), TWO_CALLS))
    folder = app_folder(tmp_path_factory.mktemp("blocking"), BLOCKING)
    parts = [one, one, replace(one, place="away")]
    for path in ("/blocking", "/threads"):
        file = folder / f"{path[1:]}.jsonl"
        file.write_text(json.dumps({"path": path, "json": {"say": "hello"}}) + "\n")
        parts.append(replace(part(folder), requests=str(file), concurrency=2, app_cpu_ms=0.0))
    return rehearse(parts)


@pytest.fixture
def places(rehearsed: list[MeasuredPlace]) -> list[MeasuredPlace]:
    return rehearsed[:3]


def test_the_same_code_takes_at_each_place_what_one_works_out(places: list[MeasuredPlace]) -> None:
    """A call is 11 ms of prompt and 10 ms for its second token; each request and answer costs 1 ms of CPU.

    Beside the platform: 20 to connect, 10, 1, twice 21 + 1, 10; then without the 20.
    With the users: 1, 20 to connect, twice 10 + 21 + 10 + 1; then without the 20.
    """
    here, _, away = places
    assert [visit.felt_ms for visit in here.visits] == [85, 65]
    assert [visit.felt_ms for visit in away.visits] == [105, 85]
    assert {part: ms for part, ms in here.visits[0].parts_ms.items() if ms} == {
        "user_set_up": 20,
        "user_out": 10,
        "app": 3,
        "prefill": 22,
        "decode": 20,
        "user_back": 10,
    }
    assert {part: ms for part, ms in away.visits[1].parts_ms.items() if ms} == {
        "app": 3,
        "call_out": 20,
        "prefill": 22,
        "decode": 20,
        "call_back": 20,
    }
    assert (here.connections, away.connections) == (1, 1)
    assert [call.what for call in here.visits[0].calls] == ["POST /v1/chat/completions"] * 2


def test_the_same_seed_gives_the_same_numbers_to_the_picosecond(places: list[MeasuredPlace]) -> None:
    assert asdict(places[0]) == asdict(places[1])


def test_the_comparison_says_what_moved(places: list[MeasuredPlace]) -> None:
    here, away = comparison([places[0], places[2]])["places"]
    assert (here["felt_p50_ms"], away["felt_p50_ms"]) == (75, 95)
    assert away["more_than_first_p50_ms"] == 20
    assert (here["where_ms"]["user_path"], here["where_ms"]["model_path"]) == (30, 0)
    assert (away["where_ms"]["user_path"], away["where_ms"]["model_path"]) == (0, 50)
    for row in (here, away):
        assert sum(row["where_ms"].values()) == pytest.approx(row["felt_p50_ms"])
    text = compared_text(["About it."], [places[0], places[2]])
    assert "  away   95.0   104        95.0      2       0.5       0    +20.0" in text.splitlines()
    page = render_places("Two places", ["About it."], [places[0], places[2]])
    assert (
        "away: 20.0\u00a0ms later, request by request; most of the change is app to model, +50.0\u00a0ms"
        in page
    )


def test_the_command_writes_json_and_a_page(tmp_path: Path) -> None:
    folder = app_folder(
        tmp_path,
        """
        async def app(scope, receive, send):
            if scope["type"] == "lifespan":
                await receive()
                await send({"type": "lifespan.startup.complete"})
                await receive()
                return await send({"type": "lifespan.shutdown.complete"})
            await send({"type": "http.response.start", "status": 418, "headers": []})
            await send({"type": "http.response.body", "body": b"short and stout"})
        """,
        cpu_mhz=1500,
    )
    page = tmp_path / "page.html"
    options = ["--scenario", f"{folder}/platform.yaml", "--users-at", "away", "--repeat", "1"]
    done = e80sim(
        "edge", ["compare", str(folder), *options, "--places", "here", "--report", str(page), "--json"]
    )
    assert done.exit_code == 0, done.stderr
    (row,) = json.loads(done.stdout)["places"]
    assert (row["requests"], row["answered"], row["felt_p50_ms"]) == (1, 0, None)
    (visit,) = json.loads(done.stdout)["measured"][0]["visits"]
    assert visit["problem"] == "418: short and stout"
    assert visit["felt_ms"] == 20 + 10 + 2 + 10  # at half the reference core's speed
    assert "here: 1 failed: 418: short and stout" in page.read_text()


def test_a_client_that_blocks_stops_the_others_only_where_it_would_for_real(
    rehearsed: list[MeasuredPlace],
) -> None:
    """Two users at once, 30 ms from their first request. A call is 21 ms and a sleep 4, nothing else costs.

    In an `async` endpoint the second waits for the first to be done, in a plain one they are in threads.
    """
    felt = [sorted(visit.felt_ms for visit in place.visits) for place in rehearsed[3:]]
    assert felt == [[65, 90], [65, 65]]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import nothing_like_it\n", r"main\.py:1: nothing_like_it is not installed beside e80sim"),
        ("import e80_sdk\n", r"main\.py:1: e80_sdk is not installed; it needs Python 3\.13 or newer"),
        ("x = 1\n1 / 0\n", r"main\.py:2: the entrypoint main:app does not import: ZeroDivisionError"),
        ("import sys\nsys.exit(3)\n", r"main\.py:2: the entrypoint main:app does not import: SystemExit: 3"),
        ("app = 3\n", r"8080\.yaml: the entrypoint main:app is no ASGI application: `app` is of type int"),
        ("apq = 3\n", r"8080\.yaml: the entrypoint main:app does not import: AttributeError"),
    ],
)
def test_an_entrypoint_that_does_not_import_is_told_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, said: str
) -> None:
    folder = app_folder(tmp_path, code)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.delitem(sys.modules, "main", raising=False)
    with pytest.raises(UserError, match=said):
        import_app(read_app_folder(folder))
    sys.modules.pop("main", None)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["{}/none"], "there is no such folder"),
        (["{}", "--requests", "{}/none.jsonl"], "cannot read"),
        (["{}", "--places", "edge", "edge"], "--places names edge twice"),
        (["{}", "--report", "{}"], "is a folder: name a file in it, such as"),
        (["{}", "--report", "."], "--report . is a folder: name a file in it, such as report.html"),
        (["{}", "--report", "{}/none/page.html"], "page.html: there is no folder"),
        (["{}", "--write-scenario", "."], "--write-scenario . exists already: choose another name"),
        (["{}", "--write-scenario", "{}/none/model.yaml"], "model.yaml: there is no folder"),
        (
            ["{}", "--places", "gateway", "--write-scenario", "{}/new"],
            "no scenario has anybody at the gateway",
        ),
        (["{}", "--app-cpu", "much"], "--app-cpu much: write measured, or milliseconds from 0 to 60000"),
        (
            ["{}", "--repeat", "100000", "--requests", "{}/two.jsonl"],
            "that makes 200,000 requests, more than 100,000",
        ),
    ],
)
def test_what_is_wrong_with_the_command_is_one_sentence(
    tmp_path: Path, arguments: list[str], said: str
) -> None:
    app_folder(tmp_path, "app = None\n")
    (tmp_path / "two.jsonl").write_text('{"path": "/"}\n' * 2)
    done = e80sim("edge", ["compare", *(argument.format(tmp_path) for argument in arguments)])
    assert (done.exit_code, done.stdout) == (2, "")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


LOOPS = """
    import os

    async def app(scope: dict, receive: object, send: object) -> None:
        open("pid", "x").write(str(os.getpid()))
        while True:
            pass
"""


@pytest.mark.realtime
def test_an_application_that_loops_ends_with_the_command(tmp_path: Path) -> None:
    folder = app_folder(tmp_path, LOOPS)
    command = [sys.executable, "-m", "sim", "edge", "compare", str(folder), "--places", "edge"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        pid = wait_for(lambda: (folder / "pid").exists() and (folder / "pid").read_text())
        process.kill()
    wait_for(lambda: not Path(f"/proc/{pid}").exists())


def wait_for(what: Callable[[], T]) -> T:
    deadline_s = time.monotonic() + 60
    while not (found := what()):
        assert time.monotonic() < deadline_s
        time.sleep(0.05)
    return found


def test_an_application_has_its_users_environment_and_not_what_a_command_prefers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = """
        import os

        from fastapi import FastAPI

        app = FastAPI()

        @app.post("/chat")
        async def chat(body: dict) -> dict:
            assert "PREFERRED_HERE" not in os.environ
            return {"own": os.environ["OF_THE_USER"]}
    """
    monkeypatch.setenv("OF_THE_USER", "4")
    monkeypatch.delenv("PREFERRED_HERE", raising=False)
    prefer({"PREFERRED_HERE": "1"})
    try:
        (measured,) = rehearse([part(app_folder(tmp_path, code))])
    finally:
        del os.environ["PREFERRED_HERE"]
    assert [visit.status for visit in measured.visits] == [200, 200]
