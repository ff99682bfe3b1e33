"""Applications that behave, and those that do not. Each starts an interpreter or two, so there are few."""

import os
import signal
import subprocess
import sys
import textwrap
import time  # noqa: TID251 -- programs take real time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from api_shim.edge.edge_app import EdgeApp
from api_shim.edge.host import EdgeHost
from tests.edge.conftest import SECRET, ask, wait_until

Start = Callable[..., EdgeApp]


@pytest.fixture(scope="module")
def app(start: Start) -> EdgeApp:
    return start(memory_mb=256)


def is_there(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def told(app: EdgeApp, sentence: str) -> bool:
    return any(line.startswith(f"e80sim: {sentence}") for line in app.log.lines)


def test_an_application_runs_in_its_folder_with_the_variables_that_it_is_given(app: EdgeApp) -> None:
    assert str(app.state) == "running"
    assert app.started_in_s is not None
    assert 0 < app.started_in_s < 30
    environ = ask(app, "/environ").json()
    assert environ["cwd"] == str(app.plan.folder)
    assert environ["TOKEN"] == SECRET
    assert set(environ) <= {
        "TOKEN",
        "PYTHONUNBUFFERED",
        "PATH",
        "HOME",
        "USER",
        "LANG",
        "LC_ALL",
        "LC_CTYPE",
        "TZ",
        "TMPDIR",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "cwd",
    }


def test_its_log_shows_no_secret(app: EdgeApp) -> None:
    assert "it begins with [redacted]" in app.log.lines
    assert SECRET not in "\n".join(app.log.lines)


def test_what_crashes_is_started_again_and_takes_all_its_processes_along(
    app: EdgeApp, host: EdgeHost
) -> None:
    daemon = int(ask(app, "/daemon").text)
    assert is_there(daemon)
    before = app.restarts
    with pytest.raises(httpx.TransportError):
        ask(app, "/crash")
    wait_until(host, lambda: app.restarts == before + 1 and app.state.name == "running")
    assert told(app, "crashed: ended with status 3")
    assert not is_there(daemon)
    assert ask(app, "/").text == "hello"


def test_what_holds_too_much_is_ended_for_that(app: EdgeApp, host: EdgeHost) -> None:
    before = app.restarts
    with pytest.raises(httpx.TransportError):
        ask(app, "/eat")
    wait_until(host, lambda: app.restarts == before + 1 and app.state.name == "running")
    [line] = [line for line in app.log.lines if line.startswith("e80sim: out of memory: it held ")]
    assert line.endswith(" MiB, and 256 are allowed")


def test_what_does_not_answer_any_more_is_hung(start: Start, host: EdgeHost) -> None:
    app = start(hang_s=0.5, look_s=0.05)
    with pytest.raises(httpx.TransportError):
        ask(app, "/hang")
    wait_until(host, lambda: told(app, "hung: no answer for 0.5 s"))


@pytest.mark.parametrize(
    ("source", "entrypoint", "reason"),
    [
        (
            "app = 1",
            "other:app",
            'ended with status 3 while starting: Error loading ASGI app. Could not import module "other".',
        ),
        (
            "",
            "main:app",
            'ended with status 3 while starting: Error loading ASGI app. Attribute "app" not found',
        ),
        (
            "import not_there",
            "main:app",
            "ended with status 1 while starting: ModuleNotFoundError: No module named 'not_there'",
        ),
        ("raise RuntimeError('no')", "main:app", "ended with status 1 while starting: RuntimeError: no"),
    ],
)
def test_what_cannot_be_imported_says_so(
    start: Start, host: EdgeHost, source: str, entrypoint: str, reason: str
) -> None:
    app = start(source, entrypoint)
    wait_until(host, lambda: told(app, f"crashed: {reason}"))
    host.thread.submit(host.stop(app)).result()
    assert str(app.state) == "stopped"


@pytest.mark.soak
def test_what_never_answers_at_first_is_hung_too(start: Start, host: EdgeHost) -> None:
    app = start("import time; time.sleep(600)", start_s=0.3)
    wait_until(host, lambda: told(app, "hung: no answer within 0.3 s of its start"))
    host.thread.submit(host.stop(app)).result()


def test_nothing_is_left_when_the_server_is_killed(app: EdgeApp, host: EdgeHost) -> None:
    """Its processes, one that has left its session among them, and its socket."""
    server = textwrap.dedent(
        f"""
        import sys, time
        from pathlib import Path
        from api_shim.edge.host import EdgeHost
        from api_shim.edge.plan import EdgePlan
        from tests.edge.conftest import ask
        host = EdgeHost()
        plan = EdgePlan("a", "p", "main:app", Path({str(app.plan.folder)!r}))
        app = host.thread.submit(host.start(plan)).result()
        host.thread.submit(app.until_settled(60)).result()
        print(app.life.process.pid, ask(app, "/daemon").text, app.life.socket, flush=True)
        time.sleep(600)
        """
    )
    with subprocess.Popen([sys.executable, "-c", server], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        guard, daemon, socket = process.stdout.readline().split()
        assert is_there(int(guard))
        assert is_there(int(daemon))
        os.kill(process.pid, signal.SIGKILL)
    left = Path(socket).parent
    wait_until(host, lambda: not (is_there(int(guard)) or is_there(int(daemon)) or left.exists()))


@pytest.mark.soak
def test_a_share_of_a_processor_holds_within_3_percent_over_a_second(start: Start) -> None:
    app = start(share=0.25)
    assert app.life is not None
    cpu = app.life.watchdog.cpu
    began_s, used_s = time.monotonic(), cpu.used_s
    ask(app, "/work", b"0.5")
    assert (cpu.used_s - used_s) / (time.monotonic() - began_s) == pytest.approx(0.25, rel=0.03)
