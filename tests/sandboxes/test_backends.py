"""Where isolation cannot be had the refusal names the fix; Docker is asked in the words that isolate."""

import asyncio
import http.server
import json
import resource
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from api_shim.sandboxes.backend import NoIsolationError, SandboxRefusedError, Wish
from api_shim.sandboxes.bubblewrap import Bubblewrap, mapped_uids
from api_shim.sandboxes.docker import Docker
from api_shim.sandboxes.keeper import Ending, Keeper
from api_shim.sandboxes.limits import SandboxLimits
from api_shim.sandboxes.packages import PackageSource
from api_shim.sandboxes.sandbox import Program
from api_shim.sandboxes.seccomp import seccomp_filter
from tests.sandboxes.conftest import PATIENCE_S, Boxes
from tests.sandboxes.test_programs import CODE, wheel

MakeTool = Callable[[str], str]


@pytest.fixture
def many_sockets() -> Iterator[None]:
    """Of this machine: together they may hold more than a sandbox is allowed."""
    least, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 8192), most))
    with ExitStack() as kept:
        for _ in range(700):
            for end in socket.socketpair():
                kept.enter_context(end)
        yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (least, most))


@pytest.fixture
def tool(tmp_path: Path) -> MakeTool:
    """A stand-in for a program, from the lines of a Python script."""

    def made(script: str) -> str:
        path = tmp_path / "tool"
        path.write_text(f"#!/usr/bin/python3\nimport json, os, subprocess, sys\n{script}")
        path.chmod(0o755)
        for folder in (tmp_path, *tmp_path.parents[:3]):  # a dropped user has to find it
            folder.chmod(folder.stat().st_mode | 0o011)
        return str(path)

    return made


@pytest.mark.parametrize(
    ("said", "fix"),
    [
        ("bwrap: setting up uid map: Permission denied", "/etc/apparmor.d/bwrap"),
        ("bwrap: loopback: Failed RTM_NEWADDR: Operation not permitted", "/etc/apparmor.d/bwrap"),
        ("bwrap: Creating new namespace failed: nesting depth exceeded (ENOSPC)", "max_user_namespaces"),
        ("bwrap: Can't find source path /home/me/python: Permission denied", "name an interpreter"),
        ("bwrap: something else", "by hand"),
    ],
)
def test_a_refusal_says_what_bubblewrap_said_and_what_would_help(tool: MakeTool, said: str, fix: str) -> None:
    bwrap = tool(f"sys.stderr.write({said!r}); sys.exit(1)")
    with pytest.raises(NoIsolationError, match=fix) as refusal:
        asyncio.run(Bubblewrap(bwrap=bwrap).probe())
    assert said in str(refusal.value)


def test_without_bubblewrap_or_an_interpreter_the_refusal_says_what_to_install() -> None:
    with pytest.raises(NoIsolationError, match="apt-get install -y bubblewrap libseccomp2"):
        asyncio.run(Bubblewrap(bwrap="no-such-bwrap").probe())
    with pytest.raises(NoIsolationError, match="name an interpreter"):
        asyncio.run(Bubblewrap(python="/no/python3").probe())


@pytest.mark.usefixtures("isolation")
def test_a_failed_probe_is_tried_again(tool: MakeTool) -> None:
    keeper = Keeper(Bubblewrap(bwrap=(bwrap := tool("sys.exit('bwrap: no')"))))
    with pytest.raises(NoIsolationError):
        Boxes(keeper)()
    Path(bwrap).unlink()
    Path(bwrap).symlink_to("/usr/bin/bwrap")
    box = Boxes(keeper)()
    assert box.python("print(1)").output == b"1\n"
    keeper.close()


@pytest.mark.usefixtures("isolation")
def test_bubblewrap_has_no_images() -> None:
    keeper = Keeper(Bubblewrap())
    with pytest.raises(SandboxRefusedError, match="--sandboxes docker"):
        keeper.submit(keeper.create(Wish("a", SandboxLimits(), image="debian"))).result(PATIENCE_S)
    keeper.close()


def test_the_filter_is_small_and_made_of_whole_instructions() -> None:
    assert 500 < len(seccomp_filter()) < 8000
    assert len(seccomp_filter()) % 8 == 0


def test_users_come_from_what_a_container_may_give() -> None:
    assert mapped_uids("0 0 4294967295\n") == (1_000_000_000, 500_000_000)
    assert mapped_uids("0 1000 1\n1 100000 65536\n") == (32_769, 32_768)
    with pytest.raises(NoIsolationError, match="--uidmap"):
        mapped_uids("0 1000 1\n")


@pytest.mark.usefixtures("isolation")
def test_the_number_of_sandboxes_is_bounded_and_each_end_is_told_once() -> None:
    ends: list[Ending] = []
    keeper = Keeper(Bubblewrap(), most=2, on_end=ends.append)
    boxes = Boxes(keeper)
    first, _ = boxes(), boxes()
    with pytest.raises(SandboxRefusedError, match="2 sandboxes are running"):
        boxes()
    first.stop()
    first.stop()
    boxes()
    keeper.close()
    keeper.close()
    assert ends[0] == Ending("box-1", "stopped")
    assert sorted(end.name for end in ends) == ["box-1", "box-2", "box-4"]
    assert {end.why for end in ends[1:]} == {"the server ended"}


FAKE_DOCKER = """
with open(sys.argv[0] + ".log", "a") as log:
    log.write(json.dumps(sys.argv[1:]) + "\\n")
if sys.argv[1] == "run":
    image = sys.argv.index("python:3.12-slim")
    os.environ["HOME"] = os.environ["TMPDIR"] = os.path.dirname(sys.argv[0])
    os.execvp(sys.argv[image + 1], sys.argv[image + 1:])
"""


def test_docker_is_asked_for_a_container_that_reaches_nothing(tool: MakeTool) -> None:
    docker = tool(FAKE_DOCKER)
    keeper = Keeper(Docker(docker=docker))
    box = Boxes(keeper)(memory_mb=256, milli_cpus=500, processes=32, disk_mb=64)
    assert box.python("print(6 * 7)").output == b"42\n"
    assert box.shell("exit 3").exit_code == 3
    box.stop()
    keeper.close()
    calls: list[list[str]] = [json.loads(line) for line in Path(f"{docker}.log").read_text().splitlines()]
    assert calls[0] == ["version", "--format", "{{.Server.Version}}"]
    assert calls[-1] == ["rm", "--force", "e80sim-box-1"]
    run = calls[1]
    assert run[:2] == ["run", "--rm"]
    for option, value in {
        "--name": "e80sim-box-1",
        "--network": "none",
        "--cap-drop": "ALL",
        "--security-opt": "no-new-privileges",
        "--user": "65534:65534",
        "--pids-limit": "32",
        "--memory": "256m",
        "--memory-swap": "256m",
        "--cpus": "0.5",
        "--workdir": "/home/user",
    }.items():
        assert run[run.index(option) + 1] == value
    assert "--read-only" in run
    assert "--privileged" not in run
    assert not any(word in {"-v", "--volume", "--mount"} for word in run)
    assert "/home/user:rw,nosuid,nodev,size=67108864,nr_inodes=50000,mode=1777,exec" in run


def test_docker_without_a_daemon_is_refused_with_what_it_said(tool: MakeTool) -> None:
    docker = tool("sys.exit('Cannot connect to the Docker daemon')")
    with pytest.raises(NoIsolationError, match="Cannot connect to the Docker daemon; start it"):
        asyncio.run(Docker(docker=docker).probe())
    with pytest.raises(NoIsolationError, match="not installed"):
        asyncio.run(Docker(docker="/no/docker").probe())


class _Index(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None: ...


@pytest.mark.usefixtures("isolation")
@pytest.mark.usefixtures("many_sockets")
def test_an_index_is_asked_only_where_that_is_allowed(tmp_path: Path) -> None:
    folder = tmp_path / "simple" / "tiny-thing"
    folder.mkdir(parents=True)
    file = wheel(folder, "tiny_thing", "2.0")
    (folder / "index.html").write_text(f'<a href="{file.name}">{file.name}</a>')
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), lambda *given: _Index(*given, directory=str(tmp_path))
    )
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    keeper = Keeper(Bubblewrap(), PackageSource(index=f"http://127.0.0.1:{server.server_port}/simple"))
    try:
        box = Boxes(keeper)()
        done = box.wait(keeper.submit(keeper.install(box.sandbox, ["tiny-thing"])))
        assert (done.exit_code, done.errors) == (0, b"")
        assert box.run(Program(code=CODE)).output == b"2.0\n"
        reach = f"import socket; socket.create_connection(('127.0.0.1', {server.server_port}))"
        assert b"ConnectionRefusedError" in box.python(reach).errors
    finally:
        keeper.close()
        server.shutdown()
        serving.join()
        server.server_close()
