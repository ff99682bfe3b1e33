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
    from sim.validation.recorded import RecordedRequests

app = typer.Typer(add_completion=False)

NODE = "one node, callers 0 ms away"
"""The help panel of what describes the server without a scenario."""


@app.command()
def validate(
    requests: Annotated[
        Path, typer.Argument(metavar="REQUESTS", help="measured requests: a CSV, or the file of a load tool")
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
        typer.Option("--set", metavar="a.b.c=VALUE", help="put over the scenario; repeatable"),
    ] = [],  # noqa: B006 -- typer reads it, nobody changes it
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
    host_ms: Annotated[
        float | None,
        typer.Option(min=0, help="host time between steps; default: the entry's", rich_help_panel=NODE),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")] = False,
) -> None:
    """Replay REQUESTS with their recorded arrivals and lengths, and show how far the answers are off.

    REQUESTS is what vLLM's bench, AIPerf, GuideLLM, inference-perf, LLMServingSim or BLIS left, or a CSV with
    the columns input_toks, output_toks, arrival_s, and of ttft_ms, tpot_ms and e2e_ms what was measured, from
    the arrival on. Errors are shares of the measured value: of the mean, then request by request.
    """
    from sim.validation.compare import compare, comparison_text, left_out
    from sim.validation.recorded import read_recorded
    from sim.validation.replay import replay

    recorded = read_recorded(requests, requests_format)
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
        }
        server = _bare(recorded, {"preset": hardware} | _stated(spec), llm, _stated(batching))
    replayed = replay(server, recorded, model=model, place=place)
    rows, missing = compare(replayed), "; ".join(left_out(replayed))
    if not rows:
        raise UserError(f"{requests}: nothing to compare: {missing}")
    for note in recorded.notes:
        sys.stderr.write(f"{note}\n")
    if missing:
        sys.stderr.write(f"not compared: {missing}\n")
    if as_json:
        data = {
            "requests": recorded.name,
            "metrics": [asdict(r) | {"mean_error": r.mean_error} for r in rows],
        }
        typer.echo(json.dumps(data, indent=2))
    else:
        typer.echo(comparison_text(rows))


def _stated(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _bare(
    recorded: "RecordedRequests", hardware: dict[str, Any], llm: str, batching: dict[str, int]
) -> "Scenario":
    from sim.validation.bare_node import bare_node

    return bare_node(hardware, llm=llm, context_tokens=max(2, recorded.longest_tokens), batching=batching)


def _from_file(path: Path, settings: list[str]) -> "Scenario":
    from sim.scenario.load import load

    return load(path, settings).base
