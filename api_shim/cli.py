"""`e80sim serve`."""

import asyncio
import os
import re
import secrets
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from socket import socket
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from api_shim.content.contents import forms, make_content
from api_shim.sandboxes.choice import BackendName, SandboxChoice
from api_shim.settings import IN_MEMORY, LoginMode, StreamChunks
from e80sim.mistakes import UserError, say
from reports.text import milliseconds
from sim.time.units import PS_PER_S

if TYPE_CHECKING:
    from api_shim.edge.manifest import AppFolder
    from api_shim.node_ports import NodePort
    from api_shim.recording import LiveRecorder
    from api_shim.shim import Shim
    from api_shim.tracing.otlp import Exporting

app = typer.Typer(add_completion=False)

FASTEST = 1e6
"""A bound on `--speed`, far above what any machine keeps up with."""
STATES = "state"
OTLP_VARIABLES = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
OTLP_PATH = "/v1/traces"
ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^\s/,]+|null")


@app.command()
def serve(
    scenario: Annotated[
        Path | None,
        typer.Argument(metavar="[SCENARIO]", help="a scenario file (YAML); default: the documented platform"),
    ] = None,
    more: Annotated[
        list[str] | None, typer.Argument(metavar="[PLACE:PORT]...", help="more listeners, as after --listen")
    ] = None,
    host: Annotated[str, typer.Option(help="the address to listen on")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="the main port; 0 takes any that is free")
    ] = 8080,
    listen: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PLACE:PORT", help="a further port whose callers are at PLACE, a place or a region"
        ),
    ] = None,
    node_ports: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[MODEL:]PORT",
            help="every node of MODEL (default: the only one) on a port of its own from PORT on, past the "
            "gateway and its limits, with a vLLM server's /metrics, for routers of others; 0 takes any that "
            "are free; may be given once for each model",
        ),
    ] = None,
    speed: Annotated[float, typer.Option(min=0.001, max=FASTEST, help="simulated seconds per second")] = 1.0,
    stream_chunks: Annotated[
        StreamChunks,
        typer.Option(help="per_token: an event for each token; coalesced: one for all that are due"),
    ] = "coalesced",
    flush_ms: Annotated[
        float | None,
        typer.Option(
            min=0.1, help="between two writes of a stream; default: grows with the number of streams"
        ),
    ] = None,
    content: Annotated[str, typer.Option(help=f"the words: {forms()}")] = "synthetic",
    upstream_model: Annotated[
        str | None, typer.Option(help="model to ask upstream for; default: that of the request")
    ] = None,
    no_auth: Annotated[bool, typer.Option("--no-auth", help="requests need no API key")] = False,
    login: Annotated[
        LoginMode,
        typer.Option(
            help="who may log in with 8080's command line: whoever is on this machine, who knows the token "
            "of the dashboard, or nobody"
        ),
    ] = "local",
    cors: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ORIGIN",
            help="a page's origin (https://host:port, or * for all) whose scripts may ask from a browser; "
            "may be given several times; default: none",
        ),
    ] = None,
    no_sim_comment: Annotated[
        bool, typer.Option("--no-sim-comment", help="streams end without the comment that holds their stamps")
    ] = False,
    sandboxes: Annotated[
        BackendName,
        typer.Option(help="what isolates the code of sandboxes; off: none are given"),
    ] = "bubblewrap",
    sandbox_python: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="the interpreter in sandboxes; default: the system's python3"),
    ] = None,
    wheelhouse: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            exists=True,
            file_okay=False,
            help="wheels that sandboxes may install; default: no packages",
        ),
    ] = None,
    package_index: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="an index that sandboxes may install packages from, over the network"
        ),
    ] = None,
    app_folders: Annotated[
        list[Path] | None,
        typer.Option(
            "--app",
            metavar="DIR",
            help="run the application of a folder with an 8080.toml, 8080.yaml or 8080.yml, at "
            "SLUG.hosted.localhost and under /hosted/SLUG; may be given several times",
        ),
    ] = None,
    app_python: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="the interpreter of applications; default: that of DIR/.venv, or this one"
        ),
    ] = None,
    variant: Annotated[str | None, typer.Option(help="a variant of the scenario; default: the first")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="a.b.c=VALUE", help="put over the scenario; may be given several times"
        ),
    ] = None,
    state: Annotated[
        str | None,
        typer.Option(
            metavar=f"DIR|{IN_MEMORY}",
            help=f"where files are kept; {IN_MEMORY} keeps nothing; default {STATES}/PORT, "
            f"and {IN_MEMORY} with --port 0",
        ),
    ] = None,
    trace_sample: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="the share of requests that is traced without bodies, beside those that say log; "
            "default: 1 with --otlp, else 0",
        ),
    ] = None,
    otlp: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="an OpenTelemetry collector that traces are sent to, such as http://localhost:4318; "
            f"default: {', '.join(OTLP_VARIABLES)} of the environment, if set",
        ),
    ] = None,
    record: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="write the run directory at the end: records, report, arrivals to replay"
        ),
    ] = None,
) -> None:
    """Serve SCENARIO's platform to any OpenAI client, at the speed of the wall clock. Ctrl-C ends it."""
    from api_shim import listeners
    from api_shim import node_ports as ports_of_nodes
    from api_shim.dashboard.announcement import announce, new_token
    from api_shim.edge.addresses import api_url_of
    from api_shim.recording import LiveRecorder
    from api_shim.server import bind, raise_file_limit
    from api_shim.server import serve as run_server
    from api_shim.settings import ServerSettings
    from api_shim.store.store import Store
    from sim.platform.recorder import RecentBlocks
    from sim.run.live import live_world
    from sim.run.new_directory import require_new
    from sim.scenario.load import load
    from sim.scenario.shipped import DOCUMENTED_PLATFORM

    further = [*(listen or []), *(more or [])]
    if scenario is not None and listeners.is_listener(str(scenario)) and not scenario.exists():
        scenario, further = None, [*further, str(scenario)]  # `serve --listen edge:1 home:2`
    spec = load(scenario or DOCUMENTED_PLATFORM, settings or []).variant(variant)
    wanted = [listeners.Listener(None, port), *map(listeners.parse, further)]
    spec, settled = listeners.settle(spec, wanted)
    apart = ports_of_nodes.settle(spec, node_ports or [], (listener.port for listener in settled))
    applications = _applications(app_folders or [])
    spec = listeners.with_edge(spec) if applications else spec
    words = make_content(content, upstream_model)
    origins = tuple(_origin(text) for text in cors or [])
    if record is not None:
        require_new(record, "--record")
    exporting = serve_traces_to(otlp)
    sockets = [bind(host, listener.port) for listener in settled]
    apart, of_nodes = _bound(apart, partial(bind, host))
    if scenario is None:
        say("no scenario is named: the documented platform; `e80sim init NAME --kind live` writes its file")
    directory = _state_directory(state, port)
    store = Store(directory)
    ports = [listening.getsockname()[1] for listening in sockets]
    token = new_token()
    behaviour = ServerSettings(
        stream_chunks=stream_chunks,
        flush_ms=flush_ms,
        need_key=not no_auth,
        login=login,
        sim_comment=not no_sim_comment,
        trace_share=_share(trace_sample, exporting),
        cors_origins=origins,
        api_url=api_url_of(host, ports[0]),
        app_python=app_python,
        sandboxes=SandboxChoice(sandboxes, sandbox_python, wheelhouse, package_index),
        place_of_port={p: lsn.place for p, lsn in zip(ports, settled, strict=True) if lsn.place is not None},
        node_of_port={node.port: node for node in apart},
        dashboard_token=token,
        instance=secrets.token_hex(4),
    )
    raise_file_limit()
    recorder = None if record is None else LiveRecorder(spec, content, record)
    world = live_world(spec, blocks=RecentBlocks() if recorder is None else recorder.blocks)
    journal = None if recorder is None else recorder.begin(world)

    def ready(shim: "Shim") -> None:
        shim.edge.listeners.append(lambda application: say(application.told()))
        for line in (
            *_greeting(shim, f"http://{host}", ports, directory, exporting),
            *_addresses(applications, host, ports[0]),
        ):
            say(line)
        say(announce(f"http://{host}:{ports[0]}", token, directory, to_a_person=sys.stderr.isatty()))
        say(f"models: {', '.join(shim.models)}; speed {speed:g}; content {content}; Ctrl-C ends it")

    shim = asyncio.run(
        run_server(
            world,
            [*sockets, *of_nodes],
            behaviour,
            words,
            speed=speed,
            ready=ready,
            journal=journal,
            store=store,
            export=exporting,
            apps=applications,
        )
    )
    store.close()
    _end(shim, exporting, recorder)


def _end(shim: "Shim", exporting: "Exporting | None", recorder: "LiveRecorder | None") -> None:
    say(farewell(shim))
    _end_traces(shim, exporting)
    if recorder is not None:
        _write(recorder, shim)


def _greeting(
    shim: "Shim", address: str, ports: list[int], directory: Path | None, exporting: "Exporting | None"
) -> Iterator[str]:
    from api_shim.node_ports import told

    settings = shim.settings
    for number in ports:
        place = settings.place_of_port.get(number) or shim.callers.default_place
        yield f"{address}:{number}/v1 answers callers at {place}"
    yield f"{address}:{ports[0]}/live shows what comes of it"
    yield from told(settings.node_of_port.values(), address)
    if shim.callers.any_key and settings.need_key:
        yield _any_key(directory)
    if exporting is not None:
        share = settings.trace_share
        yield f"traces, of {share:.3g} of all requests and all that say log, go to {exporting.endpoint}"


def _bound(nodes: list["NodePort"], bind: Callable[[int], socket]) -> tuple[list["NodePort"], list[socket]]:
    """As many sockets, and the nodes with the ports that they got. Raises UserError."""
    sockets, bound = list[socket](), []
    for node in nodes:
        try:
            sockets.append(bind(node.port))
        except UserError as error:
            raise UserError(f"--node-ports: {node}: {error}") from None
        bound.append(replace(node, port=sockets[-1].getsockname()[1]))
    return bound, sockets


def _applications(folders: list[Path]) -> list["AppFolder"]:
    """Raises UserError."""
    from api_shim.edge.manifest import read_app_folder

    read = [read_app_folder(folder) for folder in folders]
    for application in read:
        for warning in application.warnings:
            say(warning)
    slugs = [application.manifest.slug for application in read]
    twice = next((slug for slug in slugs if slugs.count(slug) > 1), None)
    if twice is not None:
        raise UserError(f"two of --app have the slug {twice!r}: state another `project_slug` in one of them")
    return read


def _addresses(applications: list["AppFolder"], host: str, port: int) -> Iterator[str]:
    for application in applications:
        slug, entrypoint = application.manifest.slug, application.manifest.entrypoint
        yield (
            f"app {slug}: {entrypoint} in {application.folder}, at http://{slug}.hosted.localhost:{port}/ "
            f"and http://{host}:{port}/hosted/{slug}/"
        )


def _write(recorder: "LiveRecorder", shim: "Shim") -> None:
    try:
        written = recorder.write(shim)
    except (UserError, KeyboardInterrupt):
        say(f"what came in is kept in {recorder.folder}: `e80sim replay` with --out makes a run of it")
        raise
    say(f"recorded in {recorder.directory}" if written else "nothing to record")


def _state_directory(text: str | None, port: int) -> Path | None:
    """None keeps nothing. Servers side by side have ports of their own, hence states of their own."""
    if text is None:
        return Path(STATES) / str(port) if port else None
    return None if text == IN_MEMORY else Path(text)


def serve_traces_to(url: str | None) -> "Exporting | None":
    """Raises UserError."""
    named = {"--otlp": url, **{name: os.environ.get(name) for name in OTLP_VARIABLES}}
    found = next(((name, text) for name, text in named.items() if text), None)
    if found is None:
        return None
    name, text = found
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise UserError(f"{name} {text}: write it as http://HOST:PORT; collectors listen on port 4318")
    whole = name == OTLP_VARIABLES[0] or parts.path.endswith(OTLP_PATH)
    try:
        from api_shim.tracing.otlp import Exporting
    except ImportError:
        raise UserError(f"{name} needs OpenTelemetry's exporter: pip install 'e80sim[otlp]'") from None
    return Exporting(text if whole else text.rstrip("/") + OTLP_PATH)


def _share(asked: float | None, exporting: "Exporting | None") -> float:
    return float(exporting is not None) if asked is None else asked


def _end_traces(shim: "Shim", exporting: "Exporting | None") -> None:
    lost = shim.store.traces.lost
    if lost:
        say(f"{lost} traces were not kept: the disk is full, or too slow")
    if exporting is not None:
        exporting.close()
        if (missing := exporting.missing()) is not None:
            say(missing)


def _any_key(directory: Path | None) -> str:
    until = "" if directory is None else f" until one is made: `e80sim key create --state {directory}`"
    return f"any API key is taken{until}"


def _origin(text: str) -> str:
    """As browsers send it: without a path, not even a slash."""
    if text != "*" and not ORIGIN.fullmatch(text):
        raise UserError(
            f"--cors {text}: write it as SCHEME://HOST[:PORT], such as http://localhost:3000, or *"
        )
    return text


def farewell(shim: "Shim") -> str:
    """What a run on the wall clock must say about itself."""
    pacing = shim.pacing
    late = [pacing.lateness.quantile(share) for share in (0.5, 0.99)]
    if not shim.served:
        return f"none of {shim.unanswered} requests was answered" if shim.unanswered else "nothing was asked"
    assert late[0] is not None
    assert late[1] is not None
    why_not = pacing.why_not() or "paced: wall times can be trusted"
    others = f", {shim.unanswered} not" if shim.unanswered else ""
    return (
        f"{shim.served} requests answered{others}, late by {milliseconds(late[0] / PS_PER_S)} ms at p50 and "
        f"{milliseconds(late[1] / PS_PER_S)} ms at p99; {why_not}"
    )
