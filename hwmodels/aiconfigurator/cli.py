"""`e80sim aiconfigurator`: from the kernel tables of an optional package to a catalogue entry."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from e80sim.mistakes import UserError

app = typer.Typer(add_completion=False)


@app.command()
def aiconfigurator(
    system: Annotated[str, typer.Option(help="the GPU, by the package's name, such as h100_sxm")],
    model: Annotated[str, typer.Option(help="the model, such as meta-llama/Meta-Llama-3.1-8B")],
    weights: Annotated[
        str | None, typer.Option(help="precision of the weights; default: the LLM's usual one")
    ] = None,
    kv_cache_dtype: Annotated[
        list[str] | None,
        typer.Option(
            help="precision of the KV cache; repeatable, the first is the node's; default: bfloat16"
        ),
    ] = None,
    tp: Annotated[int, typer.Option(min=1, max=64, help="GPUs that share each layer (tensor parallel)")] = 1,
    form: Annotated[
        str, typer.Option(help="kernels or table: dense times by token count; r6b: a smooth roofline")
    ] = "kernels",
    max_model_len: Annotated[
        int | None,
        typer.Option(min=2, help="context limit of a node; default: the LLM's, or what the KV pool holds"),
    ] = None,
    extends: Annotated[
        str, typer.Option(help="gpu_iteration entry for power, price and the engine's defaults")
    ] = "generic_vllm",
    out: Annotated[Path | None, typer.Option(help="write the entry here (.yaml), not to stdout")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print the errors of the fits as JSON")] = False,
) -> None:
    """Fit the step-time law of a GPU to kernels that aiconfigurator-core timed, and write a catalogue entry.

    Needs the package: pip install 'e80sim[aiconfigurator]'.
    """
    import aiconfigurator_core  # noqa: F401 -- so that its absence is told before anything else

    from hwmodels.aiconfigurator.entry import entry
    from hwmodels.aiconfigurator.fit import Node, law
    from hwmodels.aiconfigurator.model import llm_of
    from hwmodels.aiconfigurator.package import system as system_of
    from hwmodels.aiconfigurator.text import as_data, as_text, usage
    from hwmodels.calibrate.entry_file import as_yaml
    from hwmodels.entry import load_entry
    from hwmodels.parallel.rank import rank_of

    if out is not None and out.suffix != ".yaml":
        raise UserError(f"--out {out}: the name of a catalogue file ends in .yaml")
    base = load_entry(extends, "gpu_iteration")
    asked = llm_of(model)
    if asked.entry is not None and out is None:
        raise UserError(
            f"the catalogue has no {asked.llm.name}: give --out, so that its facts get a file beside it"
        )
    if tp > asked.llm.num_key_value_heads:
        raise UserError(f"--tp {tp} is more than the {asked.llm.num_key_value_heads} KV heads of {model}")
    rank_of(asked.llm, tp)
    node = Node(system_of(system), model, asked.llm, tp)
    caches = dict.fromkeys(kv_cache_dtype or ["bfloat16"])
    laws = [law(node, asked.llm.precision(weights), kept, form) for kept in caches]
    made = entry(node, laws, base, max_model_len)
    report = json.dumps(as_data(node, laws), indent=2) if as_json else as_text(node, laws)
    if out is None:
        typer.echo(made, nl=False)
        sys.stderr.write(f"{report}\n")
        return
    out.write_text(made, encoding="utf-8")
    if asked.entry is not None:
        out.with_name(f"{asked.llm.name}.yaml").write_text(as_yaml(asked.entry), encoding="utf-8")
    typer.echo(report)
    sys.stderr.write(f"wrote {out}: {usage(out, asked)}\n")
