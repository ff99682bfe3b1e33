"""The nodes, and Little's law as a check of the bookkeeping."""

from collections.abc import Mapping
from typing import Any

from reports.estimate import read_estimate
from reports.html.breakdowns import stages
from reports.html.markup import Html, Node, join, tag
from reports.html.tables import Definitions, Footnotes, body, number_cell, row, table, term
from reports.lifetimes import sentences
from reports.rows import Summary, variant_titles
from reports.words import PERCENT, PLAIN, count, duration, number, share

COLUMNS = {"utilisation": PERCENT, "batch": PLAIN, "preemptions": PLAIN, "busiest": PLAIN}


def nodes(summary: Summary, definitions: Definitions) -> Html:
    notes = Footnotes("nodes")
    titles = variant_titles(summary)
    lines = []
    for name, variant in summary["variants"].items():
        for pool in variant["nodes"]:
            label = " · ".join([titles.get(name, name)] * (len(titles) > 1) + [pool["model"]])
            cells = [notes.cell(read_estimate(pool.get(key)), scale) for key, scale in COLUMNS.items()]
            hardware = _hardware(summary, name, pool["model"])
            lines.append(row(label, hardware, number_cell(count(pool["nodes"])), *cells))
    columns: list[Node] = ["", "Hardware", "Nodes", term("utilisation", "Utilisation", definitions)]
    columns += [term("batch", "Mean batch", definitions), term("preemptions", "Preemptions", definitions)]
    columns.append(term("busiest", "Busiest node, times the mean", definitions))
    caption = "Nodes: utilisation, requests in a step, preemptions per replication, how even routing was"
    whole = table(caption, columns, [body(lines)], after=notes.html())
    return join(
        whole,
        _scaling(summary),
        stages(summary, definitions),
        _readings(summary),
        _little(summary, definitions),
    )


def _scaling(summary: Summary) -> Html | None:
    """Where nodes come and go: how many were paid for, and how late they are."""
    titles = variant_titles(summary)
    lines = [
        tag("li", f"{titles.get(name, name)}: {sentence}" if len(titles) > 1 else sentence)
        for name, variant in summary["variants"].items()
        for sentence in sentences(variant.get("scaling", ()))
    ]
    lead = "Nodes come and go; they are paid for from their order to their end, in the mean of a replication:"
    return join(tag("p", lead), tag("ul", lines)) if lines else None


def _hardware(summary: Summary, variant: str, model: str) -> str:
    """`models` describes the baseline alone; a variant may have changed them."""
    facts = summary["facts"]
    described = facts.get("models_by_variant", {}).get(variant)
    if described is None and variant == next(iter(variant_titles(summary))):
        described = facts.get("models", {})
    return str((described or {}).get(model, {}).get("hardware", ""))


def _readings(summary: Summary) -> Html | None:
    """Where a chip is read in two ways that differ by a factor, the one that was not run."""
    sentences = [tag("p", _apart(entry)) for entry in summary["facts"].get("readings", [])]
    return join(sentences) if sentences else None


def _apart(entry: Mapping[str, Any]) -> str:
    times = [
        f"{duration(t['other_s'])} instead of {duration(t['used_s'])} for {count(t['prompt_tokens'])}"
        for t in entry["ttft"]
    ]
    return (
        f"{entry['model']} ran as {entry['used']}. As {entry['other']}, the catalogue's other reading of the "
        f"same chip, the first token of a lone request would come after {', '.join(times)} prompt tokens."
    )


def _little(summary: Summary, definitions: Definitions) -> Html:
    titles = variant_titles(summary)
    sentences = [
        f"{titles.get(name, name)}: {number(variant['little']['in_system'])} in the system on average, "
        f"{number(variant['little']['arrival_rate_times_time'])} by arrival rate times mean time, "
        f"{share(abs(variant['little']['relative_difference']))} apart."
        for name, variant in summary["variants"].items()
    ]
    lead = tag("p", term("little", "Little's law", definitions), " as a check of the bookkeeping:")
    if len(sentences) == 1:
        return tag("p", term("little", "Little's law", definitions), f" as a check. {sentences[0]}")
    return join(lead, tag("ul", [tag("li", sentence) for sentence in sentences]))
