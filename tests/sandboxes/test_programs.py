"""Programs, files, terminals and packages in a sandbox, and a server inside that lies."""

import asyncio
import base64
import hashlib
import json
import shutil
import socket
import struct
import time  # noqa: TID251 -- sandboxes are in real time
import zipfile
from pathlib import Path

import pytest

from api_shim.sandboxes import inside
from api_shim.sandboxes.backend import SandboxRefusedError
from api_shim.sandboxes.bubblewrap import Bubblewrap
from api_shim.sandboxes.connection import BrokenRulesError, Channel, Connection, ConnectionLostError
from api_shim.sandboxes.keeper import Keeper
from api_shim.sandboxes.packages import PackageSource
from api_shim.sandboxes.sandbox import Execution, Program
from tests.sandboxes.conftest import PATIENCE_S, Box, Boxes


def test_python_runs_as_its_interpreter_would(box: Box) -> None:
    code = """
import sys, threading, atexit
from dataclasses import dataclass
@dataclass
class Point: x: int
atexit.register(lambda: print("bye"))
threading.Thread(target=lambda: print(Point(3))).start()
print(__name__, sys.argv, file=sys.stderr)
"""
    done = box.python(code)
    assert (done.exit_code, done.errors) == (0, b"__main__ ['-c']\n")
    assert done.output == b"Point(x=3)\nbye\n"


@pytest.mark.parametrize(
    ("code", "exit_code", "errors"),
    [
        ("raise SystemExit(3)", 3, b""),
        ("raise SystemExit('no')", 1, b"no\n"),
        ("import os; os._exit(7)", 7, b""),
        ("1/0", 1, b'Traceback (most recent call last):\n  File "<code>", line 1, in <module>\n'),
        ("x =", 1, b"SyntaxError: invalid syntax\n"),
        ("import os; os.kill(os.getpid(), 15)", -15, b""),
    ],
)
def test_exit_codes_and_tracebacks_are_pythons(box: Box, code: str, exit_code: int, errors: bytes) -> None:
    done = box.python(code)
    assert done.exit_code == exit_code
    assert errors in done.errors
    assert b"inside.py" not in done.errors


def test_a_command_has_streams_a_directory_and_an_environment(box: Box) -> None:
    program = Program(
        ("sh", "-c", 'cat; pwd; echo "$NAME" >&2; exit 5'), directory="/tmp", environment=(("NAME", "v"),)
    )
    done = box.run(program, stdin=b"in\n")
    assert (done.exit_code, done.output, done.errors) == (5, b"in\n/tmp\n", b"v\n")
    assert box.run(Program(("nothing",))).exit_code == 127
    assert box.run(Program(("/etc",))).exit_code in {126, 127}


def test_megabytes_go_in_and_out_while_other_programs_run(box: Box) -> None:
    data = bytes(range(256)) * 8192
    slow = box.keeper.submit(box.sandbox.run(Program(("sh", "-c", "sleep 0.5; echo slow"))))
    echoed = box.run(Program(("cat",)), stdin=data, most_bytes=2**22)
    assert not slow.done()
    assert echoed.output == data
    assert box.wait(slow).output == b"slow\n"


def test_files_persist_and_come_back_byte_for_byte(box: Box) -> None:
    data = bytes(range(256)) * 4096
    box.put("some/folder/file", data)
    assert box.get("/home/user/some/folder/file") == data
    assert box.shell("wc -c < some/folder/file").output.split() == [b"1048576"]
    box.put("empty", b"")
    assert box.get("empty") == b""
    with pytest.raises(SandboxRefusedError, match="larger than 1,000 bytes"):
        box.get("some/folder/file", most_bytes=1000)
    with pytest.raises(SandboxRefusedError, match="No space left"):
        box.put("big", bytes(300 * 2**20))
    assert box.shell("ls").output == b"empty\nsome\n"


def test_what_a_program_leaves_running_goes_on_writing(box: Box) -> None:
    began = time.monotonic()
    box.shell("(sleep 0.2; echo late; echo alive > file) &")
    assert time.monotonic() - began < 5
    assert box.shell("sleep 0.5; cat file").output == b"alive\n"


async def _until(execution: Execution, text: bytes) -> bytes:
    seen = b""
    async with asyncio.timeout(20):
        while text not in seen:
            piece = await execution.read()
            assert piece is not None, seen
            seen += piece[1]
    return seen


def test_a_terminal_has_a_size_job_control_and_an_exit_code(box: Box) -> None:
    async def story() -> int:
        shell = await box.sandbox.start(Program(("bash", "--norc", "-i"), terminal=(33, 101)))
        await shell.write(b"stty size\n")
        await _until(shell, b"33 101")
        shell.channel.resize(50, 132)
        await shell.write(b"stty size; echo do''ne\n")
        assert b"50 132" in await _until(shell, b"done")
        await shell.write(b"(echo go''ing; exec sleep 100)\n")
        await _until(shell, b"going")
        await shell.write(b"\x03")
        await shell.write(b"echo af''ter\n")
        await _until(shell, b"after")
        await shell.write(b"exit 3\n")
        while await shell.read() is not None:
            pass
        return shell.exit_code

    assert box.wait(box.keeper.submit(story())) == 3


def test_javascript_runs_where_there_is_node(box: Box) -> None:
    running = box.keeper.submit(box.sandbox.run_js("console.log([1, 2].map(x => x * 21).join())"))
    if shutil.which("node", path="/usr/bin:/usr/local/bin") is None:
        with pytest.raises(SandboxRefusedError, match="nodejs"):
            running.result(PATIENCE_S)
    else:
        assert running.result(PATIENCE_S).output == b"21,42\n"


def wheel(folder: Path, name: str, version: str) -> Path:
    info = f"{name}-{version}.dist-info"
    contents = {
        f"{name}.py": f"VERSION = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = [
        f"{path},sha256={base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b'=').decode()},"
        f"{len(text)}"
        for path, text in contents.items()
    ]
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as file:
        for inner, text in contents.items():
            file.writestr(inner, text)
        file.writestr(f"{info}/RECORD", "\n".join([*rows, f"{info}/RECORD,,"]))
    return path


@pytest.mark.usefixtures("isolation")
def test_packages_come_from_a_folder_of_wheels_without_a_network() -> None:
    wheelhouse = Path("/var/tmp") / f"wheels-{time.monotonic_ns()}"
    wheelhouse.mkdir(mode=0o755)
    wheel(wheelhouse, "tiny_thing", "1.0").chmod(0o644)
    keeper = Keeper(Bubblewrap(wheelhouse=wheelhouse), PackageSource(wheelhouse))
    try:
        box = Boxes(keeper)()
        done = box.wait(keeper.submit(keeper.install(box.sandbox, ["tiny-thing==1.0"])))
        assert (done.exit_code, done.errors) == (0, b"")
        for program in (Program(code=CODE), Program(("python3", "-c", CODE))):
            assert box.run(program).output == b"1.0\n"
        missing = box.wait(keeper.submit(keeper.install(box.sandbox, ["absent"])))
        assert missing.exit_code == 1
        assert b"absent" in missing.errors
    finally:
        keeper.close()
        shutil.rmtree(wheelhouse)


CODE = "import tiny_thing; print(tiny_thing.VERSION)"


@pytest.mark.parametrize(
    "bad", ["-r x", "--index-url=http://x", "a @ http://x", "../a.whl", "", "a;b", "a b"]
)
def test_requirements_are_names_and_versions_only(box: Box, bad: str) -> None:
    source = PackageSource(Path("/wheels"))
    with pytest.raises(SandboxRefusedError, match="is no package"):
        box.wait(box.keeper.submit(source.install(box.sandbox, [bad], box.keeper.backend)))


def test_without_a_source_of_packages_the_refusal_says_how_to_have_one(box: Box) -> None:
    with pytest.raises(SandboxRefusedError, match="--wheelhouse DIR"):
        box.wait(box.keeper.submit(box.keeper.install(box.sandbox, ["numpy"])))
    assert box.wait(box.keeper.submit(box.keeper.install(box.sandbox, []))).exit_code == 0


async def _all_of(channel: Channel) -> None:
    while await channel.read() is not None:
        pass


def _frame(kind: int, channel: int, payload: bytes, length: int | None = None) -> bytes:
    return struct.pack(">IBI", len(payload) + 5 if length is None else length, kind, channel) + payload


@pytest.mark.parametrize(
    ("lie", "why"),
    [
        (_frame(inside.OUTPUT, 1, b"", length=2**31), "bytes"),
        (_frame(inside.OUTPUT, 1, b"", length=4), "bytes"),
        (_frame(inside.OUTPUT, 7, b"x"), "channel 7"),
        (_frame(99, 1, b"x"), "kind 99"),
        (_frame(inside.ENDED, 1, b"not json"), "JSON"),
        (_frame(inside.ENDED, 1, b"[]"), "object"),
        (_frame(inside.ENDED, 1, b"[" * 30_000), "JSON"),
        (_frame(inside.MORE, 1, struct.pack(">I", 1)), "taken"),
        (_frame(inside.OUTPUT, 1, bytes(60_000)) * 5, "more output"),
    ],
)
def test_a_server_that_breaks_the_rules_has_lost(lie: bytes, why: str) -> None:
    async def story() -> str:
        ours, theirs = socket.socketpair()
        reader, writer = await asyncio.open_connection(sock=ours)
        connection = Connection(reader, writer)
        channel = connection.start(kind="command")
        theirs.setblocking(True)
        await asyncio.to_thread(theirs.sendall, lie)
        broken = await connection.listen()
        connection.lose()
        with pytest.raises(ConnectionLostError):
            await _all_of(channel)
        writer.close()
        theirs.close()
        return broken

    assert why in asyncio.run(story())


def test_a_first_frame_that_is_none_is_refused() -> None:
    async def story() -> None:
        ours, theirs = socket.socketpair()
        reader, writer = await asyncio.open_connection(sock=ours)
        theirs.sendall(_frame(inside.OUTPUT, 0, json.dumps({}).encode()))
        try:
            with pytest.raises(BrokenRulesError):
                await Connection(reader, writer).greeting()
        finally:
            writer.close()
            theirs.close()

    asyncio.run(story())


def test_a_server_inside_that_is_stopped_costs_the_sandbox_its_life_and_nobody_his_time(box: Box) -> None:
    freeze = "import os, signal; os.kill(os.getppid(), signal.SIGSTOP)"
    with pytest.raises(Exception, match="did not do as it was told"):
        box.python(freeze, timeout_s=0.5)
    assert box.until_over() == "its server did not do as it was told"


def test_the_death_of_the_server_inside_ends_the_sandbox(box: Box) -> None:
    kill = "import os, signal; os.kill(os.getppid(), signal.SIGKILL)"
    with pytest.raises(Exception, match="its server ended"):
        box.python(kill)
