"""The requests of a run, to be sent again: when each left, and how long prompt and answer were."""

from typing import NamedTuple

import numpy as np

from api_shim.probe.ledger import Tokens
from api_shim.probe.wording import most_tokens_for
from e80sim.mistakes import UserError
from reports.columns import Columns, by_variant
from reports.run_directory import Run

PS_PER_S = 1e12


class Planned(NamedTuple):
    at_s: float
    """From the first one."""
    source: str
    prompt_tokens: int
    output_tokens: int

    @property
    def at_most(self) -> Tokens:
        return Tokens(most_tokens_for(self.prompt_tokens), self.output_tokens)


def requests_of(run: Run, variant: str | None, model: str) -> tuple[str, Columns]:
    """The variant's name, and its rows for the model: that with the id `model`, or the only one.

    UserError for a variant or a model that the run has not.
    """
    facts = run.manifest["facts"]
    names = [one["name"] for one in facts["variants"]]
    if variant is not None and variant not in names:
        raise UserError(f"--variant {variant}: the run has {', '.join(names)}")
    chosen = names[0] if variant is None else variant
    columns = by_variant(run.tables.requests, [chosen])[chosen]
    there = [name for name in columns.names["model"] if columns.labelled("model", name).any()]
    ids = {str(facts.get("models", {}).get(name, {}).get("id", name)): name for name in there}
    if len(there) > 1 and model not in ids:
        raise UserError(f"--model {model}: the run has several, and none of this id: {', '.join(ids)}")
    if not there:
        raise UserError(f"variant {chosen} of the run has no requests")
    return chosen, columns.take(columns.labelled("model", ids.get(model, there[0])))


def planned(columns: Columns, warm_up_s: float) -> list[Planned]:
    """Of the first replication from the end of its warm-up on, in order."""
    rows = columns.take(
        (columns["replication"] == columns["replication"].min())
        & (columns["sent_ps"] >= warm_up_s * PS_PER_S)
    )
    rows = rows.take(np.argsort(rows["sent_ps"], kind="stable"))
    if not len(rows):
        raise UserError("the run has no request after its warm-up")
    first_ps = int(rows["sent_ps"][0])
    sources = [rows.names["source"][int(code)] for code in rows["source"]]
    sizes = zip(
        rows["sent_ps"].tolist(),
        sources,
        rows["prompt_tokens"].tolist(),
        rows["output_tokens"].tolist(),
        strict=True,
    )
    return [
        Planned((at - first_ps) / PS_PER_S, source, int(prompt), max(1, int(output)))
        for at, source, prompt, output in sizes
    ]
