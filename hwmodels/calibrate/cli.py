"""`e80sim calibrate`: from step times, or requests that were answered, to a catalogue entry or a scenario."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from e80sim.mistakes import UserError

if TYPE_CHECKING:
    from hwmodels.calibrate.fit import Calibration
    from hwmodels.calibrate.requests.fit import RequestFit
    from hwmodels.gpu_step import GpuStep
    from hwmodels.llm import Llm

app = typer.Typer(add_completion=False)


@app.command()
def calibrate(
    table: Annotated[
        Path | None,
        typer.Argument(
            metavar="TABLE|PROBE",
            help="a CSV of step times, or vllm bench forward's JSON; or a directory of `e80sim probe`, or "
            "requests in any format of docs/formats.md, of an endpoint whose inside nobody knows",
        ),
    ] = None,
    requests: Annotated[
        list[Path],
        typer.Option(
            "--requests",
            metavar="FILE",
            help="requests that it answered, in any format of docs/formats.md; repeatable, a file per rate",
        ),
    ] = [],  # noqa: B006 -- typer reads it, nobody changes it
    llm: Annotated[str, typer.Option(help="the LLM that was timed, from the catalogue")] = "llama3.1-8b",
    weights: Annotated[
        str | None, typer.Option(help="precision of its weights; default: its usual one")
    ] = None,
    form: Annotated[
        str, typer.Option(help="r6b: a smooth roofline; table, kernels: dense times by token count")
    ] = "r6b",
    out: Annotated[
        Path | None, typer.Option(help="write the catalogue entry here (.yaml); of an endpoint, a scenario")
    ] = None,
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
    max_num_batched_tokens: Annotated[
        int, typer.Option(min=1, help="of the server that answered the requests")
    ] = 8192,
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
    """Fit a GPU's step-time law to TABLE, to requests, or to both; say how well it holds, and write an entry.

    Columns of TABLE: iteration_ms, prefill_chunk (or new_tokens_total), kv_prefill, n_decode, kv_decode (or
    kv_decode_total), and if there are several prompts in a step n_prefill, or cells such as 512;64.
    What `vllm bench forward --output-json` writes is taken as it is; it has no host time: state --host-ms.

    Requests need their sizes, arrivals, TTFT and E2E. They adjust the law of TABLE, or of the entry that
    --extends names: factors on its weights and its prompt tokens, the price of KV tokens in mixed steps, the
    front end, the launch, and whether the engine schedules a step ahead. What they cannot tell is said.

    PROBE is fitted as a client sees it: round trip, fixed time, prompt tokens, the time of a token, batches.

    Example: e80sim calibrate steps.csv --requests r2.csv --requests r8.csv --extends h100_vllm --memory-gb 80
    --gemm-tile-tokens 128 --out mine.yaml
    """
    from e80sim.measured import holds_requests
    from hwmodels.calibrate.fit import calibrate as fit
    from hwmodels.calibrate.requests.entry import catalogue_law
    from hwmodels.calibrate.sources import read_steps
    from hwmodels.calibrate.target import Target
    from hwmodels.dense import GemmTiles
    from hwmodels.llm import load_llm
    from hwmodels.parallel.rank import rank_of

    if table is None and not requests:
        raise UserError("nothing to fit to: give a TABLE of steps, or --requests FILE")
    if requests and tensor_parallel > 1:
        raise UserError(
            f"--requests adjusts the law of one GPU, not of one of {tensor_parallel}: leave one out"
        )
    if table is not None and (table.is_dir() or holds_requests(table)):
        _without_effect(
            requests=requests, weights=weights, memory_gb=memory_gb, host_ms=host_ms, column=column
        )
        _endpoint(table, llm, name, out, as_json=as_json)
        return
    memory = {"memory_gb": memory_gb, "kv_pool_tokens": kv_pool_tokens}
    target = None if out is None else Target(out, extends, memory, host_ms, tensor_parallel)
    rank_of(load_llm(llm), tensor_parallel)
    tiles = GemmTiles(gemm_tile_tokens, gemm_tile_above_tokens)
    model, budget = load_llm(llm), max_num_batched_tokens
    if table is None:
        law = catalogue_law(extends, model, weights, budget, tiles)
        told = _fit_requests(law.step, model, requests, budget)
        assert told is not None
        usage = None if target is None else target.write_requests(law, name or extends, told)
        _show(None, told, as_json=as_json)
    else:
        steps, remarks = read_steps(table, _pairs("--column", column), _pairs("--where", where))
        sys.stderr.writelines(f"{remark}\n" for remark in remarks)
        calibration = fit(steps, model, weights=weights, form=form, hold_out=holdout, seed=seed, tiles=tiles)
        told = _fit_requests(calibration.step, model, requests, budget)
        usage = None if target is None else target.write(calibration, name or table.stem, told)
        _show(calibration, told, as_json=as_json)
    if usage is not None:
        sys.stderr.write(f"wrote {out}: {usage}\n")


def _without_effect(**options: object) -> None:
    for name, value in options.items():
        if value:
            raise UserError(
                f"--{name.replace('_', '-')} has no effect on requests of an endpoint: leave it out"
            )


def _endpoint(path: Path, llm: str, name: str | None, out: Path | None, *, as_json: bool) -> None:
    from hwmodels.calibrate.endpoint.fit import fit_endpoint
    from hwmodels.calibrate.endpoint.scenario import as_yaml
    from hwmodels.calibrate.endpoint.seen import read_seen
    from hwmodels.calibrate.endpoint.text import as_data, as_text
    from hwmodels.llm import load_llm

    load_llm(llm)
    if out is not None and out.suffix != ".yaml":
        raise UserError(f"--out {out}: the name of a scenario ends in .yaml")
    found = fit_endpoint(read_seen(path))
    told = json.dumps(as_data(found), indent=2) if as_json else as_text(found, llm)
    if out is not None:
        text = as_yaml(found, llm, name or path.stem)
        try:
            out.write_text(text, encoding="utf-8")
        except OSError as problem:
            raise UserError(f"cannot write {out}: {problem.strerror}") from None
    typer.echo(told)
    if out is not None:
        sys.stderr.write(f"wrote {out}: run it with e80sim run {out}\n")


def _fit_requests(step: "GpuStep", llm: "Llm", files: list[Path], budget: int) -> "RequestFit | None":
    from e80sim.measured import read_measured
    from hwmodels.calibrate.requests.fit import fit_requests

    measured = [read_measured(file) for file in files]
    for one in measured:
        sys.stderr.writelines(f"{one.name}: {note}\n" for note in one.notes)
    return fit_requests(step, llm, measured, budget) if measured else None


def _show(calibration: "Calibration | None", requests: "RequestFit | None", *, as_json: bool) -> None:
    from hwmodels.calibrate.requests import text as of_requests
    from hwmodels.calibrate.text import as_data, as_text

    if as_json:
        data = {} if calibration is None else as_data(calibration)
        if requests is not None:
            data["requests"] = of_requests.as_data(requests)
        typer.echo(json.dumps(data, indent=2))
        return
    told = [] if calibration is None else [as_text(calibration)]
    if requests is not None:
        told.append(of_requests.as_text(requests))
    typer.echo("\n\n".join(told))


def _pairs(option: str, texts: list[str]) -> dict[str, str]:
    pairs = [text.partition("=") for text in texts]
    for (left, equals, _), text in zip(pairs, texts, strict=True):
        if not left or not equals:
            raise UserError(f"{option} {text}: write it as NAME=VALUE")
    return {left: right for left, _, right in pairs}
