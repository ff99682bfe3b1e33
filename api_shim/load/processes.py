"""A load test in two child processes: the server, and locust against it. Both end before this one does."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from sim.workers import lifeline

LOCUSTFILE = Path(__file__).resolve().parents[2] / "traffic" / "locustfile.py"
READY = re.compile(r"(http://\S+)/v1 answers callers at")
READY_S = 60.0
"""Vocabularies take a second each to load, more on a busy machine."""
GRACE_S = 30.0
"""For what is under way when a child is asked to end."""
Command = Sequence[str]


class LoadError(Exception):
    """One sentence for the user."""


@contextmanager
def server(arguments: Command) -> Iterator[str]:
    """Its address. Ended by SIGTERM and waited for, so that what it records is complete.

    Raises LoadError.
    """
    with _child("sim", ["serve", *arguments], stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        said = _Listener(process.stderr)
        try:
            yield said.address(process)
        finally:
            _end(process, signal.SIGTERM)
            said.join()
        if process.returncode:
            raise LoadError(f"the server ended with status {process.returncode}: {said.last}")


def run_locust(arguments: Command, patience_s: float) -> None:
    """Its tables go to stderr: stdout is for the result. Raises LoadError."""
    with _child("locust", ["-f", str(LOCUSTFILE), *arguments], stdout=sys.stderr) as process:
        try:
            process.wait(patience_s)
        except subprocess.TimeoutExpired:
            raise LoadError(f"locust did not end within {patience_s:g} s") from None
    if process.returncode:
        raise LoadError(f"locust ended with status {process.returncode}; what it said stands above")


@contextmanager
def _child(
    module: str, arguments: Command, stdout: IO[str] | None = None, stderr: int | None = None
) -> Iterator[subprocess.Popen[str]]:
    """In a session of its own: Ctrl-C comes to this process alone, which then ends its children in order.

    Where this process is killed they notice by the pipe, of which it alone holds the other end.
    """
    theirs, ours = os.pipe()
    try:
        process = subprocess.Popen(  # noqa: S603 -- this program and locust, no shell
            lifeline.command(theirs, module, arguments),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            text=True,
            start_new_session=True,
            pass_fds=[theirs],
        )
    finally:
        os.close(theirs)
    try:
        yield process
    finally:
        _end(process, signal.SIGTERM)
        os.close(ours)


def _end(process: subprocess.Popen[str], asked: signal.Signals) -> None:
    if process.poll() is not None:
        return
    process.send_signal(asked)
    try:
        process.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        pass
    finally:  # also when somebody loses patience and asks twice
        process.kill()
        process.wait()


class _Listener(threading.Thread):
    """Passes on what a server says, and notes its address."""

    def __init__(self, stream: IO[str]) -> None:
        super().__init__(daemon=True)
        self.last = "it said nothing"
        self._stream = stream
        self._address = ""
        self._known = threading.Event()
        self.start()

    def run(self) -> None:
        with self._stream as lines:
            for line in lines:
                with suppress(OSError):  # nobody listens; the server must still be heard to its end
                    sys.stderr.write(line)
                self.last = line.strip().removeprefix("e80sim: ")
                found = READY.search(line)
                if found and not self._address:
                    self._address = found[1]
                    self._known.set()
        self._known.set()

    def address(self, process: subprocess.Popen[str]) -> str:
        """Raises LoadError."""
        self._known.wait(READY_S)
        if not self._address:
            _end(process, signal.SIGTERM)
            raise LoadError(f"the server did not start: {self.last}")
        return self._address
