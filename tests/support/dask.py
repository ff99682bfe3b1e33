"""A Dask scheduler and two workers on the loopback, as people start them."""

import os
import subprocess
import sys
import time  # noqa: TID251 -- to wait for a cluster
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import socket

from e80sim.mistakes import UserError
from sim.workers import dask_cluster
from sim.workers.dask_cluster import DaskCluster

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 120


@contextmanager
def two_workers(folder: Path) -> Iterator[str]:
    """The address of their scheduler."""
    with socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    port = address.rpartition(":")[2]
    worker = ("worker", address, "--nthreads", "1", "--no-dashboard", "--memory-limit", "0", "--no-nanny")
    with (
        process(folder, "scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard", "--no-jupyter"),
        process(folder, *worker),
        process(folder, *worker),
    ):
        until_there(address)
        yield address


@contextmanager
def process(folder: Path, *command: str) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / f"{command[0]}.log").open("ab") as log:
        started = subprocess.Popen(
            [sys.executable, "-m", "dask", *command],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "DASK_DISTRIBUTED__WORKER__DAEMON": "False"},
            stdout=log,
            stderr=log,
        )
    try:
        yield started
    finally:
        started.terminate()
        started.wait(PATIENCE_S)


def until_there(address: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            with DaskCluster(address) as found:
                if found.places == 2 * dask_cluster.AHEAD:
                    return
        except UserError:
            assert time.monotonic() < deadline, "no cluster came up"
        time.sleep(0.2)
