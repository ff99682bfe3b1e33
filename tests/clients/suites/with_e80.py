"""8080's own command line and SDK on sandboxes, in the last two versions: their commands, and a terminal."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from importlib.metadata import version
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

API = os.environ["OPENAI_BASE_URL"].removesuffix("/v1")
KEY = os.environ["OPENAI_API_KEY"]
COMMAND = str(Path(sys.executable).with_name("8080"))
NEWER = version("e80") == "0.1.0a14"
PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def token() -> str:
    """Of a login, as `8080 login` gets it."""
    page = httpx.get(f"{API}/accounts/login/oauth", params={"redirect_uri": "http://localhost:1"})
    given = dict(parse_qsl(urlsplit(page.headers["location"]).query))
    form = given | {"grant_type": "authorization_code"}
    return str(httpx.post(f"{API}/accounts/login/oauth/token", data=form).json()["access_token"])


@pytest.fixture
def project(tmp_path: Path, token: str) -> Path:
    """A folder that belongs to a project, beside the home of somebody who has logged in."""
    home = tmp_path / "home"
    (home / ".8080").mkdir(parents=True)
    (home / ".8080" / "user.yaml").write_text(
        f"auth_info:\n  {API}:\n    auth_token: {token}\nproject_api_keys:\n  demo-app: {KEY}\n"
    )
    folder = tmp_path / "project"
    folder.mkdir()
    lines = {
        "project": "demo",
        "organization_slug": "org",
        "project_slug": "demo-app",
        "entrypoint": "main:app",
    }
    (folder / "8080.yaml").write_text("".join(f"{name}: {value}\n" for name, value in lines.items()))
    return folder


def environment(project: Path) -> dict[str, str]:
    """Without the size that a parallel run of tests states: the client would take it for the terminal's."""
    home = str(project.with_name("home"))
    here = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES"}}
    return here | {
        "HOME": home,
        "_8080_API_URL": API,
        "_8080_PLATFORM_URL": API,
        "PYTHONWARNINGS": "ignore",
    }


def run(project: Path, *arguments: str) -> str:
    done = subprocess.run(
        [COMMAND, *arguments],
        capture_output=True,
        text=True,
        check=True,
        cwd=project,
        env=environment(project),
    )
    return done.stdout


def create(project: Path) -> str:
    said = run(project, "v1", "sandboxes", "create") if NEWER else run(project, "sandbox", "create")
    found = re.search(r"sbx_[0-9a-f]+", said)
    assert found, said
    return found[0]


def list_them(project: Path) -> str:
    return run(project, "v1", "sandboxes", "list") if NEWER else run(project, "sandbox", "list")


def stop(project: Path, id_: str) -> None:
    run(project, *(["v1", "sandboxes", "delete"] if NEWER else ["sandbox", "stop"]), id_)


def status_of(id_: str, token: str = KEY) -> str:
    headers = {"authorization": f"Bearer {token}", "x-8080-project-slug": "demo-app"}
    answer = httpx.get(f"{API}/v1/sandboxes/{id_}", headers=headers)
    return str(answer.json()["status"])


def test_a_sandbox_is_made_listed_and_stopped(project: Path, token: str) -> None:
    id_ = create(project)
    assert id_ in list_them(project)
    if NEWER:
        run(project, "v1", "sandboxes", "expose", id_, "--ports", "[8000]")
        assert '"as_port": 8000' in list_them(project)
        assert id_ in run(project, "v1", "sandboxes", "history", "list")
    assert status_of(id_, token) == "active"
    stop(project, id_)
    assert status_of(id_, token) == "finished"


def test_a_terminal_connects_shows_its_size_and_ends(project: Path) -> None:
    id_ = create(project)
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(project)
        os.execve(COMMAND, [COMMAND, "sandbox", "connect", id_], environment(project))
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 101, 0, 0))
    seen = read_until(terminal, "sandbox:")
    assert "sandbox:" in seen
    os.write(terminal, "stty size; echo café do''ne\r".encode())
    seen = read_until(terminal, "café done")
    assert "33 101" in seen
    os.write(terminal, b"exit 3\r")
    read_until(terminal, None)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert status == (0 if NEWER else 3)  # the newer dialect has no frame for it
    stop(project, id_)


def read_until(terminal: int, text: str | None) -> str:
    """Up to the end of what it shows where `text` is None."""
    seen, until_s = b"", time.monotonic() + PATIENCE_S
    while (text is None or text.encode() not in seen) and time.monotonic() < until_s:
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                piece = os.read(terminal, 4096)
            except OSError:
                break
            if not piece:
                break
            seen += piece
    return seen.decode(errors="replace")


def test_the_sdk_runs_code_in_a_sandbox_and_ends_it() -> None:
    from e80_sdk.agents.tools.sandbox import SandboxClient

    answer = httpx.post(
        f"{API}/v1/sandboxes", json={}, headers={"authorization": f"Bearer {KEY}"}, timeout=30
    )
    created = answer.json()
    client = SandboxClient(created["auth_token"], created["address"])
    client.wait_until_ready()
    assert client.run_python("print(6 * 7)").result == "42\n"
    failed = client.run_python("1/0")
    assert not failed.is_successful
    assert "ZeroDivisionError" in failed.error
    slow = client.run_python("import time; time.sleep(6); print('late')")  # beyond its own time-out of 5 s
    assert slow.result == "late\n"
    client.install_python_dependencies([])
    client.destroy()
    assert status_of(created["id"]) == "finished"
