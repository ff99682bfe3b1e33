"""`e80sim calibrate`: from a table of step times to a catalogue entry."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from e80sim.mistakes import UserError

app = typer.Typer(add_completion=False)


@app.command()
def calibrate(
    table: Annotated[
        Path, typer.Argument(metavar="TABLE", help="a CSV of step times, or vllm bench forward's JSON")
    ],
    llm: Annotated[str, typer.Option(help="the LLM that was timed, from the catalogue")] = "llama3.1-8b",
    weights: Annotated[
        str | None, typer.Option(help="precision of its weights; default: its usual one")
    ] = None,
    form: Annotated[
        str, typer.Option(help="r6b: a smooth roofline; table, kernels: dense times by token count")
    ] = "r6b",
    out: Annotated[Path | None, typer.Option(help="write the catalogue entry here (.yaml)")] = None,
    name: Annotated[
        str | None, typer.Option(help="what the entry calls the hardware; default: the table's name")
    ] = None,
    extends: Annotated[
        str,
        typer.Option(help="gpu_iteration entry for all that step times do not tell: memory, power, price"),
    ] = "generic_vllm",
    memory_gb: Annotated[
        float | None,
        typer.Option(
            min=0.001, help="of the device, in 1e9 bytes; with --out, this or --kv-pool-tokens is needed"
        ),
    ] = None,
    kv_pool_tokens: Annotated[
        int | None,
        typer.Option(min=1, help="as the server logs it, instead of working it out from the memory"),
    ] = None,
    host_ms: Annotated[
        float | None,
        typer.Option(min=0, help="host time between steps that the table leaves out; 0 if it is in"),
    ] = None,
    gemm_tile_tokens: Annotated[
        int, typer.Option(min=0, max=4096, help="pad steps to whole tiles of so many tokens; 0: no tiles")
    ] = 0,
    gemm_tile_above_tokens: Annotated[
        int, typer.Option(min=0, help="in steps of more than so many tokens")
    ] = 256,
    tensor_parallel: Annotated[
        int,
        typer.Option(min=1, max=64, help="the steps are those of one of so many GPUs that share each layer"),
    ] = 1,
    holdout: Annotated[float, typer.Option(help="share of the steps kept out of the fit to test it")] = 0.5,
    seed: Annotated[int, typer.Option(help="which steps those are")] = 1,
    column: Annotated[
        list[str], typer.Option(metavar="OURS=THEIRS", help="a column under another name; repeatable")
    ] = [],  # noqa: B006 -- typer reads it, nobody changes it
    where: Annotated[
        list[str], typer.Option(metavar="COLUMN=TEXT", help="only rows with this text; repeatable")
    ] = [],  # noqa: B006 -- as above
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")] = False,
) -> None:
    """Fit a GPU's step-time law to TABLE, say how well it holds, and write a catalogue entry.

    Columns: iteration_ms, prefill_chunk (or new_tokens_total), kv_prefill, n_decode, kv_decode (or
    kv_decode_total), and if there are several prompts in a step n_prefill, or cells such as 512;64.
    What `vllm bench forward --output-json` writes is taken as it is; it has no host time: state --host-ms.
    """
    from hwmodels.calibrate.fit import calibrate as fit
    from hwmodels.calibrate.sources import read_steps
    from hwmodels.calibrate.target import Target
    from hwmodels.calibrate.text import as_data, as_text
    from hwmodels.dense import GemmTiles
    from hwmodels.llm import load_llm
    from hwmodels.parallel.rank import rank_of

    memory = {"memory_gb": memory_gb, "kv_pool_tokens": kv_pool_tokens}
    target = None if out is None else Target(out, extends, memory, host_ms, tensor_parallel)
    rank_of(load_llm(llm), tensor_parallel)
    tiles = GemmTiles(gemm_tile_tokens, gemm_tile_above_tokens)
    steps, remarks = read_steps(table, _pairs("--column", column), _pairs("--where", where))
    for remark in remarks:
        sys.stderr.write(f"{remark}\n")
    calibration = fit(
        steps, load_llm(llm), weights=weights, form=form, hold_out=holdout, seed=seed, tiles=tiles
    )
    usage = None if target is None else target.write(calibration, name or table.stem)
    typer.echo(json.dumps(as_data(calibration), indent=2) if as_json else as_text(calibration))
    if usage is not None:
        sys.stderr.write(f"wrote {out}: {usage}\n")


def _pairs(option: str, texts: list[str]) -> dict[str, str]:
    pairs = [text.partition("=") for text in texts]
    for (left, equals, _), text in zip(pairs, texts, strict=True):
        if not left or not equals:
            raise UserError(f"{option} {text}: write it as NAME=VALUE")
    return {left: right for left, _, right in pairs}
