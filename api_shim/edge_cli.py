"""`e80sim edge run` and `edge compare`: an application's own code, run beside the platform, or measured."""

import json
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from e80sim.mistakes import UserError, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from api_shim.edge.manifest import AppFolder
    from api_shim.rehearsal.part import Part

app = typer.Typer(add_completion=False)
edge = typer.Typer(help="An application with an 8080.yaml: run it, or measure it in several places.")
app.add_typer(edge, name="edge")

WORDS = (
    "the words of the models: synthetic, echo or replay:FILE; default: answers.jsonl of the folder, if it "
    "has one, else synthetic"
)
PLACES = ("edge", "aws:us-east-1", "internet")
REQUESTS = ("requests.jsonl", "requests.http")
ANSWERS = "answers.jsonl"
MEASURED = "measured"
GATEWAY = "gateway"
STATED_CPU_MS = 1.0
"""For each request or answer that the application reads, on a core of reference speed: assumed, and
`--app-cpu measured` says what an application takes on the machine at hand."""
STATED_SANDBOX_RUN_MS = 30.0
"""A few lines of Python, from the start of their interpreter to its end; measured here at 20 to 45 ms."""
MOST_PLACES = 8
MOST_REQUESTS = 100_000


@edge.command()
def run(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="the application's folder, with its 8080.yaml")
    ],
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="of the platform and the application; 0: any free one")
    ] = 8080,
    scenario: Annotated[
        Path | None, typer.Option(metavar="FILE", help="the platform; default: the documented one")
    ] = None,
    variant: Annotated[str | None, typer.Option(help="a variant of the scenario; default: the first")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="a.b.c=VALUE", help="put over the scenario; may be given several times"
        ),
    ] = None,
    content: Annotated[str | None, typer.Option(metavar="WORDS", help=WORDS)] = None,
    python: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="its interpreter; default: that of DIR/.venv, or this one"),
    ] = None,
) -> None:
    """Run DIR's application as a process of its own beside the platform, in real time. Ctrl-C ends it.

    It is `e80sim serve --app DIR`, with the words of the folder's answers.jsonl, if it has one.
    """
    from api_shim.cli import serve
    from api_shim.edge.manifest import read_app_folder
    from api_shim.rehearsal.requests_file import read_requests

    app_folder = read_app_folder(folder)
    example = next(
        (app_folder.folder / name for name in REQUESTS if (app_folder.folder / name).is_file()), None
    )
    if example is not None and port:
        request = read_requests(example)[0]
        address = f"http://{app_folder.manifest.slug}.hosted.localhost:{port}{request.path}"
        say(f"when it runs: {_curl(request.method, address, request.payload().decode())}")
    serve(
        scenario,
        port=port,
        variant=variant,
        settings=settings,
        content=content or _content_of(app_folder.folder),
        app_folders=[folder],
        app_python=python,
    )


def _curl(method: str, address: str, body: str) -> str:
    """To be typed into a shell."""
    words = ["curl", "-s", "-X", method, address, "-H", "Authorization: Bearer sk-me"]
    if body:
        words += ["-H", "Content-Type: application/json", "-d", body]
    return shlex.join(words)


@edge.command()
def compare(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="the application's folder, with its 8080.yaml")
    ],
    requests: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="what users send: JSON lines with method, path, json and perhaps at, or an .http file; "
            "default: requests.jsonl of the folder",
        ),
    ] = None,
    places: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PLACE...",
            help="edge, a region such as aws:us-east-1, internet (with the users), "
            "internet:ACCESS:REGION, or a place of the scenario; the first is the baseline; "
            "default: edge aws:us-east-1 internet",
        ),
    ] = None,
    more: Annotated[list[str] | None, typer.Argument(metavar="", hidden=True)] = None,
    users_at: Annotated[
        str,
        typer.Option(metavar="PLACE", help="where the users are; internet is a cable line near the platform"),
    ] = "internet",
    scenario: Annotated[
        Path | None, typer.Option(metavar="FILE", help="the platform; default: the documented one")
    ] = None,
    variant: Annotated[str | None, typer.Option(help="a variant of the scenario; default: the first")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="a.b.c=VALUE", help="put over the scenario; may be given several times"
        ),
    ] = None,
    repeat: Annotated[
        int, typer.Option(min=1, max=MOST_REQUESTS, help="how often all requests are sent")
    ] = 10,
    concurrency: Annotated[
        int, typer.Option(min=1, max=10_000, help="users at once, each with connections of its own")
    ] = 1,
    rate: Annotated[
        float | None,
        typer.Option(
            min=0.001,
            max=100_000,
            metavar="PER_S",
            help="requests come at this rate (Poisson), answered or not",
        ),
    ] = None,
    pause_s: Annotated[float, typer.Option(min=0, max=86_400, help="of a user after each answer")] = 0.0,
    patience_s: Annotated[
        float, typer.Option(min=0.001, max=86_400, help="after which a user gives an answer up")
    ] = 120.0,
    app_cpu: Annotated[
        str,
        typer.Option(
            metavar="measured|MS",
            help="the application's own CPU time: so many ms for each request or answer that it reads, or "
            "measured while it runs, which no two runs agree on; stretched by the manifest's cpu_mhz",
        ),
    ] = f"{STATED_CPU_MS:g}",
    sandbox_run: Annotated[
        str,
        typer.Option(
            metavar="measured|MS",
            help="what a program in a sandbox takes: so many ms, however long it really ran, or measured",
        ),
    ] = f"{STATED_SANDBOX_RUN_MS:g}",
    content: Annotated[
        str | None,
        typer.Option(metavar="WORDS", help=WORDS),
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="default: the scenario's")] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="write a page with waterfalls, too")
    ] = None,
    write_scenario: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="write the application's timing model, too: a scenario for `e80sim run`"
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="everything that was measured, as JSON")] = False,
) -> None:
    """Run DIR's application in virtual time at each place, and show what its users feel and why."""
    from api_shim.edge.manifest import read_app_folder
    from api_shim.rehearsal.compared import comparison
    from api_shim.rehearsal.compared_page import render_places
    from api_shim.rehearsal.compared_text import compared_text
    from api_shim.rehearsal.model_scenario import scenario_text
    from api_shim.rehearsal.part import Part
    from api_shim.rehearsal.performance import environment_of
    from api_shim.rehearsal.rehearsals import rehearse
    from api_shim.rehearsal.requests_file import read_requests
    from api_shim.rehearsal.start_up import start_up_ms
    from reports.run_directory import replace_file
    from sim.scenario.load import load
    from sim.scenario.shipped import DOCUMENTED_PLATFORM

    app_folder = read_app_folder(folder)
    file = requests or _requests_of(app_folder.folder)
    count = len(read_requests(file)) * repeat
    if count > MOST_REQUESTS:
        raise UserError(f"--repeat {repeat}: that makes {count:,} requests, more than {MOST_REQUESTS:,}")
    wanted = _places([*(places or []), *(more or [])])
    _check_report(report)
    _check_new(write_scenario, [*wanted, users_at])
    platform = scenario or DOCUMENTED_PLATFORM
    spec = load(platform, settings or []).variant(variant)
    part = Part(
        folder=str(app_folder.file),
        requests=str(file.absolute()),
        scenario=str(platform.absolute()),
        variant=variant,
        settings=list(settings or []),
        place="",
        users_at=users_at,
        concurrency=concurrency,
        repeat=repeat,
        pause_s=pause_s,
        patience_s=patience_s,
        rate_per_s=rate,
        app_cpu_ms=_stated("--app-cpu", app_cpu),
        sandbox_run_ms=_stated("--sandbox-run", sandbox_run),
        content=content or _content_of(app_folder.folder),
        seed=seed,
    )
    measured = rehearse([Part(**{**asdict(part), "place": place}) for place in wanted])
    about = _about(app_folder, part, spec.title or spec.name, count, spec.run.seed if seed is None else seed)
    title = f"{app_folder.manifest.project} in {len(measured)} places"
    if report is not None:
        replace_file(report, render_places(title, about, measured))
    if write_scenario is not None:
        cold_start_ms = start_up_ms(app_folder, spec.edge, environment_of(app_folder, spec))
        text = scenario_text(app_folder, spec, part, measured, cold_start_ms)
        replace_file(write_scenario, text)
        say(f"the model is in {write_scenario}: e80sim run {shlex.quote(str(write_scenario))}")
    if as_json:
        found = comparison(measured) | {"about": about, "measured": [asdict(place) for place in measured]}
        typer.echo(json.dumps(found))
    else:
        typer.echo(compared_text(about, measured), nl=False)


def _check_report(file: Path | None) -> None:
    """Before anything is measured. Raises UserError."""
    if file is not None and file.is_dir():
        raise UserError(f"--report {file} is a folder: name a file in it, such as {file / 'report.html'}")
    if file is not None and not file.parent.is_dir():
        raise UserError(f"--report {file}: there is no folder {file.parent}")


def _check_new(file: Path | None, places: list[str]) -> None:
    """Before anything is measured: a scenario may have been changed by hand. Raises UserError."""
    if file is not None and file.exists():
        raise UserError(f"--write-scenario {file} exists already: choose another name")
    if file is not None and not file.parent.is_dir():
        raise UserError(f"--write-scenario {file}: there is no folder {file.parent}")
    if file is not None and GATEWAY in places:
        raise UserError("--write-scenario: no scenario has anybody at the gateway; the next place is edge")


def _requests_of(folder: Path) -> Path:
    found = next((folder / name for name in REQUESTS if (folder / name).is_file()), None)
    if found is None:
        raise UserError(f"{folder} has no {' or '.join(REQUESTS)}: name the file with --requests")
    return found


def _content_of(folder: Path) -> str:
    answers = folder / ANSWERS
    return f"replay:{answers}" if answers.is_file() else "synthetic"


def _places(stated: list[str]) -> list[str]:
    wanted = stated or list(PLACES)
    twice = next((place for place in wanted if wanted.count(place) > 1), None)
    if twice is not None:
        raise UserError(f"--places names {twice} twice")
    if len(wanted) > MOST_PLACES:
        raise UserError(f"--places: {len(wanted)} of them; at most {MOST_PLACES} are compared")
    return wanted


def _stated(option: str, text: str) -> float | None:
    """None: measured."""
    if text == MEASURED:
        return None
    try:
        ms = float(text)
    except ValueError:
        ms = -1.0
    if not 0 <= ms <= 60_000:
        raise UserError(f"{option} {text}: write {MEASURED}, or milliseconds from 0 to 60000")
    return ms


def _about(app_folder: "AppFolder", part: "Part", platform: str, count: int, seed: int) -> "Sequence[str]":
    manifest = app_folder.manifest
    cpu = (
        "its CPU time is measured, so that no two runs are alike"
        if part.app_cpu_ms is None
        else f"its CPU time is stated: {part.app_cpu_ms:g} ms for each request or answer that it reads"
    )
    share = "" if manifest.cpu_mhz is None else f" at {manifest.cpu_mhz:g} MHz"
    users = "1 user" if part.concurrency == 1 else f"{part.concurrency} users"
    users = users if part.rate_per_s is None else f"users who come {part.rate_per_s:g} times a second"
    what = f"{manifest.project} ({manifest.entrypoint}{share})"
    sent = f"{count} requests of {Path(part.requests).name} by {users} at {part.users_at}"
    return [f"{what}: {sent}; {cpu}.", f"Platform: {platform}; seed {seed}. All times are simulated, in ms."]
