"""Every way out that we know, tried from inside; the harmless ones outside as well, where they must succeed.

That the suite runs as root is the usual case, and the harder one: limits of a user do not hold root.
"""

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api_shim.sandboxes.bubblewrap import PYTHON
from api_shim.sandboxes.limits import SandboxLimits
from api_shim.sandboxes.sandbox import Program
from tests.sandboxes.conftest import Boxes

SOURCE = Path(__file__).with_name("attempts.py").read_text()
ORDINARY_UID = 300_000
OPEN_OUTSIDE = {
    "a secret of the host",
    "TCP to the host",
    "UDP to the host",
    "an abstract socket of the host",
    "a socket file of the host",
    "a signal to a process of the host",
    "the environment of a process of the host",
    "the host's environment",
    "memfd_create",
    "process_vm_readv",
    "AF_NETLINK",
    "AF_NETLINK with the upper half set",
}
"""To an ordinary user of any machine, so that a denial inside is the sandbox's doing."""


@pytest.fixture(scope="module")
def host() -> Iterator[dict[str, Any]]:
    """Targets for the attempts: a secret, servers, and a process of the same ordinary user."""
    folder = Path("/var/tmp") / f"e80sim-{os.getpid()}"
    folder.mkdir(mode=0o755)
    (folder / "secret").write_text("s")
    name = f"e80sim-{os.getpid()}"
    tcp, udp = socket.create_server(("127.0.0.1", 0)), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("127.0.0.1", 0))
    abstract, path = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
    abstract.bind(f"\0{name}")
    path.bind(str(folder / "socket"))
    (folder / "socket").chmod(0o777)
    for listening in (abstract, path):
        listening.listen()
    victim = subprocess.Popen(["sleep", "600"], cwd="/", env={}, **_ordinary())
    yield {
        "secret": str(folder / "secret"),
        "tcp": tcp.getsockname()[1],
        "udp": udp.getsockname()[1],
        "abstract": name,
        "socket": str(folder / "socket"),
        "pid": victim.pid,
    }
    victim.kill()
    victim.wait()
    for made in (tcp, udp, abstract, path):
        made.close()
    shutil.rmtree(folder)


def _ordinary() -> dict[str, Any]:
    return {"user": ORDINARY_UID, "group": ORDINARY_UID, "extra_groups": []} if os.geteuid() == 0 else {}


def test_outside_the_attempts_reach_their_targets(host: dict[str, Any]) -> None:
    environment = {
        "ATTEMPTS": json.dumps(host | {"sandboxed": False}),
        "HOST_SECRET": "s",
        "PATH": "/usr/bin",
    }
    done = subprocess.run(
        [PYTHON, "-I", "-c", SOURCE], capture_output=True, check=True, cwd="/", env=environment, **_ordinary()
    )
    got = json.loads(done.stdout)
    assert {name for name, what in got.items() if not what.startswith("denied")} >= OPEN_OUTSIDE


def test_inside_every_attempt_is_denied(boxes: Boxes, host: dict[str, Any]) -> None:
    os.environ["HOST_SECRET"] = "s"
    box = boxes(memory_mb=512, disk_mb=64, temporary_mb=32)
    try:
        environment = (("ATTEMPTS", json.dumps(host | {"sandboxed": True})),)
        done = box.run(Program(code=SOURCE, environment=environment))
    finally:
        del os.environ["HOST_SECRET"]
        box.stop()
    got = json.loads(done.output)
    assert len(got) >= 40, done.errors
    assert {name: what for name, what in got.items() if not what.startswith("denied")} == {}
    assert got["filling /"] == got["filling /dev"] == "denied EROFS after 0 MiB"
    assert got["filling /dev/shm"] == "denied ENOSPC after 8 MiB"
    assert got["filling /tmp"] == "denied ENOSPC after 32 MiB"
    assert got["filling /home/user"] == "denied ENOSPC after 64 MiB"
    forks = int(got["forks"].split()[-2])
    assert 50 < forks < SandboxLimits().processes
    assert 256 <= int(got["memory of one process"].split()[-2]) < 512


def test_each_sandbox_of_root_has_a_user_of_its_own(boxes: Boxes) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give them")
    pair = [boxes(), boxes()]
    users = {Path(f"/proc/{box.sandbox.launched.process.pid}").stat().st_uid for box in pair}
    for box in pair:
        box.stop()
    assert len(users) == 2
    assert min(users) >= 1_000_000_000


def test_what_one_sandbox_writes_no_other_sees(boxes: Boxes) -> None:
    one, other = boxes(), boxes()
    one.put("/home/user/mine", b"1")
    one.put("/tmp/mine", b"1")
    seen = other.shell("cat /home/user/mine /tmp/mine; ps -e | wc -l")
    one.stop()
    other.stop()
    assert seen.errors.count(b"No such file") == 2


def test_only_the_sandboxs_own_processes_are_seen(boxes: Boxes) -> None:
    box = boxes()
    pids = box.python("import os; print(*sorted(int(p) for p in os.listdir('/proc') if p.isdigit()))").output
    box.stop()
    assert len(pids.split()) == 3  # bubblewrap's own, the server and who asks


def test_links_and_archives_lead_nowhere_outside(boxes: Boxes, host: dict[str, Any]) -> None:
    box = boxes()
    secret = host["secret"]
    box.shell(f"ln -s {secret} link; ln -s / root; mkfifo pipe")
    for path in ("link", f"root{secret}", f"../../..{secret}"):
        with pytest.raises(Exception, match="No such file"):
            box.get(path)
    with pytest.raises(Exception, match="not a regular file"):
        box.get("pipe")
    with pytest.raises(Exception, match=r"Read-only|Permission|No such"):
        box.put("/etc/../usr/pwned", b"x")
    box.put("link", b"replaced")  # the name, not what it points to
    assert box.get("link") == b"replaced"
    assert Path(secret).read_text() == "s"
    code = f"""
import io, tarfile
data = io.BytesIO()
with tarfile.open(fileobj=data, mode="w") as tar:
    entry = tarfile.TarInfo("../../..{secret}"); entry.size = 1
    tar.addfile(entry, io.BytesIO(b"p"))
data.seek(0)
tarfile.open(fileobj=data).extractall("/home/user")
"""
    unpacked = box.python(code)
    box.stop()
    assert unpacked.exit_code == 1
    assert Path(secret).read_text() == "s"
