"""`e80sim load`: a scenario served and loaded by locust, and what was simulated beside what was seen."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from math import ceil
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Annotated

import typer

from api_shim.cli import FASTEST
from api_shim.load.mix import mix_of, without_arrivals
from api_shim.load.processes import LoadError, run_locust, server
from e80sim.mistakes import FAILED, INTERRUPTED, UserError, stop
from reports.html import report_of
from reports.live import CLIENT_FILE, ClientFileError, live_json, read_client
from reports.live_text import live_text
from reports.run_directory import REPORT, RunDirectoryError, add_file, read, write_report, write_summary
from reports.text import summary_table
from sim.run.new_directory import new_directory, require_new
from sim.scenario.load import load as load_scenario
from sim.scenario.shipped import DOCUMENTED_PLATFORM
from traffic.mix import Mix

app = typer.Typer(add_completion=False)

LONGEST_S = 4_000_000
"""As the horizon of a scenario."""
SENDERS = 12
"""Locust's users in an open loop: enough for each kind of request to have one."""
SPAWN_PER_S = 100
STOP_S = 20
"""For answers that are under way when the time is up."""
HEAD_START_S = 0.5
"""Of the schedule, once locust has started."""
START_S = 60
"""What locust may take to start and to end, on a busy machine."""


@app.command()
def load(
    scenario: Annotated[
        Path,
        typer.Argument(
            metavar="[SCENARIO]",
            help="a scenario file (YAML); default: the documented platform",
            show_default=False,
        ),
    ] = DOCUMENTED_PLATFORM,
    users: Annotated[
        int | None,
        typer.Option(
            min=1, help="closed loop: so many users, who wait for their answers and think for a second"
        ),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(
            metavar="R",
            min=0.001,
            max=1e6,
            help="open loop: so many requests per simulated second, as Poisson arrivals",
        ),
    ] = None,
    duration: Annotated[
        float, typer.Option(metavar="S", min=0.1, max=LONGEST_S, help="simulated seconds of load")
    ] = 30.0,
    speed: Annotated[float, typer.Option(min=0.001, max=FASTEST, help="simulated seconds per second")] = 1.0,
    processes: Annotated[int, typer.Option(min=1, help="of locust")] = 1,
    out: Annotated[
        Path | None, typer.Option(help="the run directory; default runs/<name>/<time>-<hash>")
    ] = None,
    variant: Annotated[str | None, typer.Option(help="a variant of the scenario; default: the first")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="a.b.c=VALUE", help="put over the scenario; may be given several times"
        ),
    ] = None,
) -> None:
    """Serve SCENARIO on a free port, load it with locust, and write a run directory with both sides' report.

    Without --users and --rate, requests come when the scenario's own sources send them.
    """
    if find_spec("locust") is None:
        raise UserError("load needs locust, which is not installed: pip install 'e80sim[load]'")
    if users is not None and rate is not None:
        raise UserError("--users is a closed loop and --rate an open one: give one of them")
    plan = load_scenario(scenario, settings or [])
    mix = mix_of(plan.variant(variant))
    mix = mix if users is None and rate is None else without_arrivals(mix)
    directory = new_directory(plan) if out is None else out
    require_new(directory, "--out")
    served = [str(scenario), "--port", "0", "--speed", str(speed), "--record", str(directory)]
    served += [part for text in settings or [] for part in ("--set", text)]
    served += [] if variant is None else ["--variant", variant]
    with TemporaryDirectory(prefix="e80sim-load-") as folder:
        asked = _locust_arguments(Path(folder), mix, users, rate, duration, speed, processes)
        interrupted = _perform(served, asked, duration / speed + STOP_S + START_S)
        status = INTERRUPTED if interrupted else 0
        _finish(directory, Path(folder), status)


def _locust_arguments(
    folder: Path,
    mix: Mix,
    users: int | None,
    rate: float | None,
    duration: float,
    speed: float,
    processes: int,
) -> list[str]:
    (folder / "mix.json").write_text(mix.model_dump_json(exclude_none=True), encoding="utf-8")
    count = users or max(SENDERS, processes)
    options = {
        "--users": count,
        "--spawn-rate": min(count, SPAWN_PER_S),
        "--run-time": f"{ceil(duration / speed + HEAD_START_S)}s",
        "--stop-timeout": STOP_S,
        "--e80-mix": folder / "mix.json",
        "--e80-log": folder / "client",
        "--e80-speed": speed,
        "--e80-rate": rate or 0.0,
    }
    arguments = ["--headless", "--only-summary", "--exit-code-on-error", "0", "--loglevel", "WARNING"]
    if processes > 1:
        arguments += ["--processes", str(processes)]
    return [*arguments, *(str(part) for option in options.items() for part in option)]


def _perform(served: list[str], asked: list[str], patience_s: float) -> bool:
    """Whether somebody interrupted it."""
    try:
        with _terminated_like_interrupted(), server(served) as address:
            run_locust([*asked, "--host", address], patience_s)
    except LoadError as error:
        stop(str(error), FAILED)
    except KeyboardInterrupt:
        return True
    return False


def _finish(directory: Path, folder: Path, status: int) -> None:
    if not directory.exists():
        stop("nothing was asked, so nothing was written", status or FAILED)
    try:
        _add_client(directory, folder / "client")
    except (RunDirectoryError, ClientFileError) as error:
        stop(str(error), FAILED)
    run = read(directory)
    assert run.summary is not None
    typer.echo(summary_table(run.summary))
    typer.echo(live_text(run.summary["live"]))
    typer.echo(directory / REPORT)
    raise typer.Exit(status)


def _add_client(directory: Path, folder: Path) -> None:
    """What the client saw joins the server's records."""
    texts = [file.read_text(encoding="utf-8") for file in sorted(folder.glob("*.jsonl"))]
    run = add_file(directory, CLIENT_FILE, "".join(texts))
    assert run.summary is not None
    live = live_json(run.manifest["live"], run.tables.requests, read_client(directory / CLIENT_FILE))
    summary = {**run.summary, "live": live}
    write_summary(directory, summary)
    write_report(directory, report_of(replace(run, summary=summary)))


@contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """SIGTERM ends the children as Ctrl-C does."""

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
