"""How to get the same numbers again: command, seed, commit, versions."""

from collections.abc import Mapping
from typing import Any

from reports.html.markup import Html, Node, definition_list, join, tag
from reports.html.tables import Definitions
from reports.rows import Summary
from reports.words import as_chosen, count, in_seconds, number


def reproduce(summary: Summary, manifest: Mapping[str, Any]) -> Html:
    command = (
        f"e80sim run scenario.yaml --seed {summary['seed']} --replications {summary['replications']} "
        f"--horizon {as_chosen(summary['horizon_s']).replace(',', '')}"
    )
    lead = tag("p", "In the directory of this run, which holds the resolved scenario:")
    if summary.get("live"):
        command = "e80sim replay ."
        lead = tag("p", "In the directory of this run, which holds every arrival to the picosecond:")
    return join(
        lead, tag("pre", tag("code", command), tabindex="0"), definition_list(_facts(summary, manifest))
    )


def _facts(summary: Summary, manifest: Mapping[str, Any]) -> dict[str, Node]:
    span = f"{as_chosen(summary['warm_up_s'])} to {in_seconds(summary['horizon_s'])}"
    facts: dict[str, Node] = {
        "Scenario": summary["scenario"],
        "Seed": str(summary["seed"]),
        "Replications": _replications(summary, manifest),
        "Measured": f"{span} of each replication",
    }
    if manifest.get("commit"):
        facts["Commit"] = tag("code", str(manifest["commit"]))
    if manifest.get("versions"):
        facts["Versions"] = ", ".join(f"{name} {version}" for name, version in manifest["versions"].items())
    if manifest.get("created"):
        facts["Made"] = str(manifest["created"])
    if manifest.get("wall_s") is not None:
        facts["Run time"] = f"{number(manifest['wall_s'])} s"
    return facts


def _replications(summary: Summary, manifest: Mapping[str, Any]) -> str:
    done, planned = manifest.get("replications_done"), summary["replications"]
    return count(planned) if done in {None, planned} else f"{count(done)} of {count(planned)} finished"


def notes(summary: Summary) -> Html:
    if not summary["notes"]:
        return tag("p", "There are none.")
    return tag("ul", [tag("li", note) for note in summary["notes"]])


def glossary(definitions: Definitions) -> Html:
    entries = [
        join(
            tag("dt", definition.title, id=f"def-{key}", tabindex="-1"),
            tag("dd", tag("code", definition.formula), tag("span", definition.meaning, class_="meaning")),
        )
        for key, definition in definitions.items()
    ]
    return tag("dl", entries, class_="glossary")
