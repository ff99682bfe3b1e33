"""What agents did, step by step: how often, how long it took, and how long their users waited for it."""

from collections.abc import Iterator, Mapping
from typing import Any

from reports.estimate import read_estimate
from reports.html.markup import Html, Node, join, tag
from reports.html.tables import Definitions, Footnotes, body, number_cell, row, table, term
from reports.rows import Row
from reports.words import PLAIN, count, duration, share

KINDS = {"ask": "model", "tool": "tools", "sandbox": "sandboxes"}
"""What a step of the kind waits for."""


def agents(rows: list[Row], definitions: Definitions) -> Html | None:
    """None where no source has an agent."""
    found = [(one.label or one.source, one.group["agent"]) for one in rows if "agent" in one.group]
    if not found:
        return None
    notes = Footnotes("agents")
    columns: list[Node] = ["Step", "Does", "Times", "Lasts", term("felt", "Waited for", definitions)]
    bodies = [
        body([_step(step, notes) for step in agent["steps"]], name, len(columns)) for name, agent in found
    ]
    caption = "Steps of agents, per user request: how often, how long they lasted, and how long users waited"
    sentences = [tag("p", sentence) for name, agent in found for sentence in _told(name, agent)]
    return join(sentences, table(caption, columns, bodies, after=notes.html()))


def _step(step: Mapping[str, Any], notes: Footnotes) -> Html:
    return row(
        step["step"],
        KINDS.get(step["kind"], "branches at once"),
        notes.cell(read_estimate(step["times"]), PLAIN),
        notes.cell(read_estimate(step["lasts_s"])),
        number_cell("") if "refused" in step["waited_s"] else notes.cell(read_estimate(step["waited_s"])),
    )


def _told(name: str, agent: Mapping[str, Any]) -> Iterator[str]:
    if not agent["requests"]:
        yield f"{name}: no user request completed."
        return
    waited = dict.fromkeys(KINDS, 0.0)
    for step in agent["steps"]:
        if step["kind"] in waited:
            waited[step["kind"]] += step["waited_s"]["value"]
    parts = ", ".join(f"{duration(seconds)} for {KINDS[kind]}" for kind, seconds in waited.items() if seconds)
    yield f"{name}: on the critical path of a user request the agent waited {parts or 'for nothing'}."
    if agent["cut_off"]:
        cut, requests = agent["cut_off"] / agent["requests"], count(agent["requests"])
        yield f"{share(cut)} of {requests} user requests met the bound on steps (`most_steps`)."
