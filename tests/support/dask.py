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
    with (
        process(folder, "scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard", "--no-jupyter"),
        worker(folder, address),
        worker(folder, address),
    ):
        until_there(address, workers=2)
        yield address


@contextmanager
def worker(folder: Path, address: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    more = ("--nthreads", "1", "--no-dashboard", "--memory-limit", "0", "--no-nanny")
    with process(folder, "worker", address, *more, **environment) as started:
        yield started


@contextmanager
def process(folder: Path, *command: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / f"{command[0]}.log").open("ab") as log:
        started = subprocess.Popen(
            [sys.executable, "-m", "dask", *command],
            cwd=folder,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "DASK_DISTRIBUTED__WORKER__DAEMON": "False",
                **environment,
            },
            stdout=log,
            stderr=log,
        )
    try:
        yield started
    finally:
        started.terminate()
        started.wait(PATIENCE_S)


def until_there(address: str, workers: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            with DaskCluster(address) as found:
                if found.places == workers * dask_cluster.AHEAD:
                    return
        except UserError:
            assert time.monotonic() < deadline, "no cluster came up"
        time.sleep(0.2)
