"""Connections over the loopback device, made by programs that are ours and that are not."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from api_shim.accounts.own_programs import End, is_own_program

CONNECT = """
import socket, sys
connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
print(connection.getsockname()[1], flush=True)
sys.stdin.read()
"""
ANOTHER_USER = ("setpriv", "--reuid=65534", "--clear-groups", "--")
ISOLATED = ("bwrap", "--unshare-user", "--dev-bind", "/", "/", "--")
"""With the user outside that the server has, as it is where nobody is root."""


@pytest.fixture(params=[("127.0.0.1", socket.AF_INET), ("::", socket.AF_INET6)], ids=["IPv4", "both"])
def server(request: pytest.FixtureRequest) -> Iterator[socket.socket]:
    host, family = request.param
    with socket.socket(family) as listening:
        listening.bind((host, 0))
        listening.listen()
        yield listening


def ends(server: socket.socket) -> tuple[socket.socket, End, End]:
    """The accepted connection, and what a server of HTTP knows of it."""
    accepted, client = server.accept()
    return accepted, client[:2], accepted.getsockname()[:2]


@pytest.mark.parametrize(
    ("around", "ours"), [((), True), (ISOLATED, False), (ANOTHER_USER, False)], ids=["plain", "bwrap", "user"]
)
def test_a_program_is_ours_by_its_user_and_its_namespace(
    server: socket.socket, around: tuple[str, ...], *, ours: bool
) -> None:
    if around == ANOTHER_USER and os.geteuid() != 0:
        pytest.skip("only root can be somebody else")
    python = "/usr/bin/python3" if around else sys.executable  # which every user may run
    command = [*around, python, "-c", CONNECT, str(server.getsockname()[1])]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
        accepted, client, own = ends(server)
        with accepted:
            assert client[1] == int(program.stdout.readline())  # type: ignore[union-attr]
            assert is_own_program(client, own) is ours
            program.stdin.close()  # type: ignore[union-attr]


def test_who_has_left_is_nobody(server: socket.socket) -> None:
    with socket.create_connection(("127.0.0.1", server.getsockname()[1])):
        accepted, client, own = ends(server)
        assert is_own_program(client, own)
    with accepted:
        assert not is_own_program(client, own)
    assert not is_own_program(("127.0.0.1", 1), own)
