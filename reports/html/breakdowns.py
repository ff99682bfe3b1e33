"""Numbers by model, priority, tier, tenant and stage: a table of what a summary tells of each."""

from reports.estimate import read_estimate
from reports.html.markup import Html, Node, join, tag
from reports.html.tables import Column, Definitions, counted, estimated, records, term, told
from reports.rows import Summary, labelled, variant_titles
from reports.words import PERCENT, PLAIN, Scale, count, duration

STATISTICS = {"mean": "Mean", "p50": "p50", "p95": "p95", "p99": "p99"}
MILLISECONDS = Scale("ms", 1e3)


def itl(summary: Summary, definitions: Definitions) -> Html | None:
    """Gaps between tokens. None where nobody counted them; a sentence where they are all alike."""
    lines = list(labelled(summary, "itl", "model"))
    if not lines:
        return None
    name = term("itl", "Inter-token latency (ITL)", definitions)
    values = {read_estimate(found[key]).value for _, found in lines for key in STATISTICS}
    if len(values) == 1 and None not in values:
        return tag(
            "p", name, f": {duration(values.pop() or 0.0)} everywhere, at every percentile.", class_="sub"
        )
    caption = "Gaps between consecutive tokens at the node, pooled over the requests of a model"
    columns = [*_statistics(), counted("gaps", "Gaps")]
    drawn = records("itl", caption, columns, lines, term("itl", "ITL", definitions))
    return join(_heading(name), drawn)


def priorities(summary: Summary, definitions: Definitions) -> Html | None:
    """Waiting for a node. None where no model has requests of more than one priority."""
    found = labelled(summary, "priorities", "model", "priority")
    lines = [(label, {**one["queue"], "completed": one["completed"]}) for label, one in found]
    if not lines:
        return None
    caption = "From the gateway's yes to the first step, by the priority of the request: the lower goes first"
    columns = [*_statistics(), counted("completed", "Completed")]
    drawn = records("priorities", caption, columns, lines, term("queue", "Queue", definitions))
    return join(_heading("Waiting for a node, by priority"), drawn)


def tiers(summary: Summary, definitions: Definitions) -> Html | None:
    """What each tier got of objectives of its own. None where no tier has any."""
    lines = list(labelled(summary, "tiers", "tier"))
    if not lines:
        return None
    columns = [told("objectives", "Objectives"), *_attained(definitions)]
    return join(
        _heading("By tier"),
        records("tiers", "Attainment of each tier, by its own objectives", columns, lines),
    )


def tenants(summary: Summary, definitions: Definitions) -> Html | None:
    """What each got of its objectives, and how evenly. None where no variant has several."""
    titles = variant_titles(summary)
    found = {titles.get(n, n): v["tenants"] for n, v in summary["variants"].items() if v.get("tenants")}
    lines = [
        (" · ".join([title] * (len(titles) > 1) + [one["tenant"]]), one)
        for title, of in found.items()
        for one in of["tenants"]
    ]
    if not lines:
        return None
    left_out = max(of["count"] - len(of["tenants"]) for of in found.values())
    index = [estimated("jain", term("jain", "Jain's index", definitions), PLAIN)]
    return join(
        _heading("By tenant"),
        records("jain", "How evenly tenants attain their objectives", index, list(found.items())),
        records("tenants", "Attainment of each tenant", _attained(definitions), lines),
        tag("p", f"{count(left_out)} tenants that asked less are not listed.") if left_out else None,
    )


def stages(summary: Summary, definitions: Definitions) -> Html | None:
    """How long requests were at each stage. None where nodes do not divide the work."""
    lines = list(labelled(summary, "stages", "model"))
    if not lines:
        return None
    columns = [
        told("stage", term("stage", "Stage", definitions)),
        counted("n", "Requests"),
        estimated("mean_s", "Mean time (ms)", MILLISECONDS),
        estimated("utilisation", term("utilisation", "Utilisation", definitions), PERCENT),
    ]
    caption = "Stages of requests whose prefill and decode are on nodes of their own"
    return records("stages", caption, columns, lines)


def _statistics() -> list[Column]:
    return [estimated(key, title) for key, title in STATISTICS.items()]


def _attained(definitions: Definitions) -> list[Column]:
    attainment = term("attainment", "Attainment", definitions)
    return [
        estimated("attainment", attainment, PERCENT),
        counted("asked", "Asked"),
        counted("completed", "Completed"),
    ]


def _heading(title: Node) -> Html:
    return tag("h3", title, class_="later")
