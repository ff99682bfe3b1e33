"""`e80sim validate`: recorded requests of a real server against the model of it."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from e80sim.mistakes import UserError

if TYPE_CHECKING:
    from sim.scenario.schema import Scenario
    from sim.validation.closed_loops import ClosedLoops
    from sim.validation.recorded import RecordedRequests
    from sim.validation.replay import Replayed

app = typer.Typer(add_completion=False)

NODE = "one node, callers 0 ms away"
"""The help panel of what describes the server without a scenario."""


@app.command()
def validate(
    requests: Annotated[
        Path,
        typer.Argument(metavar="REQUESTS", help="measured requests: a CSV, or the file of a load tool"),
    ],
    requests_format: Annotated[
        str, typer.Option("--format", help="of REQUESTS: auto, or a name of docs/formats.md")
    ] = "auto",
    scenario: Annotated[
        Path | None, typer.Option(help="the server as a scenario; its own traffic is left out")
    ] = None,
    model: Annotated[str | None, typer.Option(help="of the scenario; default: its only one")] = None,
    place: Annotated[
        str | None, typer.Option(help="of the scenario, where callers are; default: its only one")
    ] = None,
    settings: Annotated[
        list[str],
        typer.Option(
            "--set",
            metavar="a.b.c=VALUE",
            help="put over the scenario, or over the one node: batching.async_scheduling=false; repeatable",
        ),
    ] = [],  # noqa: B006 -- typer reads it, nobody changes it
    max_concurrency: Annotated[
        int | None,
        typer.Option(min=1, help="so many requests of the client are under way at most; default: any number"),
    ] = None,
    hardware: Annotated[
        str | None,
        typer.Option(help="catalogue entry, or path of one, instead of a scenario", rich_help_panel=NODE),
    ] = None,
    llm: Annotated[str, typer.Option(rich_help_panel=NODE)] = "llama3.1-8b",
    weights: Annotated[str | None, typer.Option(rich_help_panel=NODE)] = None,
    max_num_seqs: Annotated[int | None, typer.Option(min=1, rich_help_panel=NODE)] = None,
    max_num_batched_tokens: Annotated[int | None, typer.Option(min=1, rich_help_panel=NODE)] = None,
    block_size: Annotated[int | None, typer.Option(min=1, rich_help_panel=NODE)] = None,
    kv_pool_tokens: Annotated[int | None, typer.Option(min=1, rich_help_panel=NODE)] = None,
    enable_prefix_caching: Annotated[
        bool | None,
        typer.Option(
            "--enable-prefix-caching/--no-enable-prefix-caching",
            help="who was preempted computes only what the cache has lost; default: on for vLLM",
            show_default=False,
            rich_help_panel=NODE,
        ),
    ] = None,
    host_ms: Annotated[
        float | None,
        typer.Option(min=0, help="host time between steps; default: the entry's", rich_help_panel=NODE),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")] = False,
) -> None:
    """Replay REQUESTS with their recorded arrivals and lengths, and show how far the answers are off.

    REQUESTS is what vLLM's bench, AIPerf, GuideLLM, inference-perf, LLMServingSim or BLIS left, or a CSV with
    the columns input_toks, output_toks, arrival_s, cached_toks where prompts were found in a prefix cache,
    and of ttft_ms, tpot_ms and e2e_ms what was measured, from the sending on. Errors are shares of the
    measured value: of the mean, of the quantiles, then request by request.

    With --max-concurrency, as of vLLM's benchmark, a request leaves when its time has come and an answer
    has made room; without arrivals all are there from the start. A file with a column concurrency has a row
    per closed loop instead: so many clients, with the means that were measured.

    Example: e80sim validate requests.csv --hardware h100_vllm --max-num-seqs 256 --max-concurrency 64
    """
    from sim.validation.closed_loops import closed_loops_of
    from sim.validation.recorded import read_recorded
    from sim.validation.replay import replay

    loops = closed_loops_of(requests)
    if loops is not None and max_concurrency is not None:
        raise UserError(f"--max-concurrency is in the rows of {requests} already: leave it out")
    recorded = None if loops else read_recorded(requests, requests_format, arrivals=max_concurrency is None)
    measured = recorded or loops
    assert measured is not None
    if (scenario is None) == (hardware is None):
        raise UserError("the server is either --scenario FILE or --hardware ENTRY")
    if scenario is not None:
        server = _from_file(scenario, settings)
    else:
        spec = {"weights": weights, "kv_pool_tokens": kv_pool_tokens, "t_host_ms": host_ms}
        batching = {
            "max_num_seqs": max_num_seqs,
            "max_num_batched_tokens": max_num_batched_tokens,
            "block_size": block_size,
            "enable_prefix_caching": enable_prefix_caching,
        }
        server = _bare(measured, {"preset": hardware} | _stated(spec), llm, _stated(batching), settings)
    for note in measured.notes:
        sys.stderr.write(f"{note}\n")
    if loops is not None:
        _show_loops(loops, server, model, place, as_json=as_json)
    if recorded is not None:
        replayed = replay(server, recorded, model=model, place=place, max_concurrency=max_concurrency)
        _show(requests, replayed, as_json=as_json)


def _show(path: Path, replayed: "Replayed", *, as_json: bool) -> None:
    from sim.validation.compare import client_wait_text, compare, comparison_text, left_out

    rows, missing = compare(replayed), "; ".join(left_out(replayed))
    if not rows:
        raise UserError(f"{path}: nothing to compare: {missing}")
    if missing:
        sys.stderr.write(f"not compared: {missing}\n")
    wait_ms = replayed.client_wait_ms
    if as_json:
        data = {
            "requests": replayed.recorded.name,
            "client_wait_mean_ms": float(wait_ms.mean()),
            "metrics": [asdict(r) | {"mean_error": r.mean_error} for r in rows],
        }
        typer.echo(json.dumps(data, indent=2))
    else:
        typer.echo(comparison_text(rows))
        if wait_ms.any():
            typer.echo(client_wait_text(wait_ms))


def _show_loops(
    loops: "ClosedLoops", server: "Scenario", model: str | None, place: str | None, *, as_json: bool
) -> None:
    from sim.validation.closed_loops import compare_loops, loop_errors, loops_text

    compared = compare_loops(server, loops, model=model, place=place)
    if as_json:
        data = {
            "closed_loops": loops.name,
            "rows": [
                asdict(one.row) | {"simulated_ms": {m: one.simulated_ms[m] for m in one.row.measured_ms}}
                for one in compared
            ],
            "metrics": {metric: asdict(errors) for metric, errors in loop_errors(compared).items()},
        }
        typer.echo(json.dumps(data, indent=2))
    else:
        typer.echo(loops_text(compared))


def _stated(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _bare(
    recorded: "RecordedRequests | ClosedLoops",
    hardware: dict[str, Any],
    llm: str,
    batching: dict[str, Any],
    settings: list[str],
) -> "Scenario":
    from sim.validation.bare_node import bare_node

    longest = max(2, recorded.longest_tokens)
    return bare_node(hardware, llm=llm, context_tokens=longest, batching=batching, settings=settings)


def _from_file(path: Path, settings: list[str]) -> "Scenario":
    from sim.scenario.load import load

    return load(path, settings).base
