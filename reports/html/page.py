"""The page: sections in the order in which a reader asks."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from reports import metrics
from reports.answer.reasons import reasons
from reports.explained.whole_run import Explained
from reports.explained.whole_run import explained as explained_of
from reports.html.agents import agents
from reports.html.assumed import assumed, assumed_count, heading
from reports.html.breakdowns import itl, priorities, tenants, tiers
from reports.html.cdf import distribution
from reports.html.costs import costs
from reports.html.document import Section, header, sections_page
from reports.html.faults import faults
from reports.html.figure import Figure
from reports.html.first_screen import first_screen
from reports.html.foot import foot
from reports.html.forest import forest
from reports.html.ladder import ladder
from reports.html.live import live
from reports.html.markup import Html, Node, join, link, tag
from reports.html.nodes import nodes
from reports.html.numbers import numbers
from reports.html.outcomes import attainment, not_served, objectives_by_variant, rates_table
from reports.html.over_time import over_time
from reports.html.phases import where_the_time_goes
from reports.html.prefixes import prefixes
from reports.html.reproduce import glossary, notes, reproduce
from reports.html.retries import retries
from reports.html.sessions import sessions
from reports.html.slowest import slowest
from reports.html.stretch import stretch
from reports.html.tables import Definitions
from reports.html.take_away import take_away
from reports.html.uncertainty import uncertainty
from reports.html.verdict import verdicts
from reports.rows import Row, Summary, rows_of, variant_titles
from reports.run_directory import Run
from reports.words import count, plural

DEFINITIONS: Definitions = {
    d.name: d
    for d in (
        metrics.FELT,
        metrics.TTFT,
        metrics.TPOT,
        metrics.E2E,
        *metrics.USER_PHASES,
        metrics.APP_WAIT,
        metrics.APP_CPU,
        *metrics.AGENT_PHASES,
        *metrics.PHASES,
        *metrics.RATES,
        *metrics.RETRIES,
        metrics.ITL,
        *metrics.NODES,
        *metrics.SERIES,
        *metrics.COSTS,
        metrics.LITTLE,
        metrics.JAIN,
    )
}


class Report(NamedTuple):
    """What the sections are written from."""

    summary: Summary
    rows: list[Row]
    definitions: Definitions
    manifest: Mapping[str, Any]
    explained: Explained | None = None
    """What the tables of the run tell beside its summary; None without them."""


class SectionKind(NamedTuple):
    short: str
    """In the navigation."""
    heading: str | Callable[[Summary], str]
    content: Callable[[Report], Html | None]
    """None leaves the section out of this report."""


def render(
    summary: Summary,
    definitions: Definitions | None = None,
    manifest: Mapping[str, Any] | None = None,
    explained: Explained | None = None,
) -> str:
    """The whole report. The manifest adds what a summary leaves out: commit, versions, replications done."""
    return _encoded(summary, definitions, manifest, explained).decode()


def report_of(run: Run) -> bytes:
    """That of a run as it was read, or is about to be written."""
    return _encoded(run.summary or {}, None, run.manifest, explained_of(run))


def _encoded(
    summary: Summary,
    definitions: Definitions | None,
    manifest: Mapping[str, Any] | None,
    explained: Explained | None,
) -> bytes:
    definitions = DEFINITIONS if definitions is None else definitions
    report = Report(summary, rows_of(summary), definitions, manifest or {}, explained)
    head = header(summary["scenario"], f"{summary['title']} · {_basis(summary)}")
    answer = join(_interrupted(summary, report.manifest), first_screen(summary))
    return sections_page(summary["title"], head, answer, _sections(report), foot(report.manifest))


def _sections(report: Report) -> Iterator[Section]:
    for identity, kind in SECTIONS.items():
        told = kind.heading if isinstance(kind.heading, str) else kind.heading(report.summary)
        yield Section(identity, kind.short, told, kind.content(report))


def _verdict(report: Report) -> Html:
    """How each variant held up, in full, and what the answer rests on."""
    return join(verdicts(report.summary), _rests_on(report.summary))


def _numbers(report: Report) -> Html:
    summary, definitions = report.summary, report.definitions
    return join(
        numbers(summary, report.rows, definitions),
        itl(summary, definitions),
        priorities(summary, definitions),
        tenants(summary, definitions),
    )


def _time(report: Report) -> Html:
    why = [tag("li", tag("strong", f"{one.label}: "), one.text) for one in reasons(report.summary)]
    figure = where_the_time_goes(report.rows, report.definitions)
    return join(tag("ul", why, class_="reasons") if why else None, _figures(report, figure))


def _slowest(report: Report) -> Html | None:
    return slowest(report.rows, report.explained, report.summary["horizon_s"])


def _spread(report: Report) -> Html:
    return _figures(report, distribution(report.rows, report.definitions))


def _live(report: Report) -> Html | None:
    return live(report.summary, report.definitions) if report.summary.get("live") else None


def _course(report: Report) -> Html | None:
    figure = over_time(report.summary, report.definitions, report.explained)
    if figure is None:
        return None
    return join(stretch(report.summary["horizon_s"]), figure.html(report.definitions))


def _not_known(report: Report) -> Html | None:
    if not report.summary.get("uncertainty"):
        return None
    return uncertainty(report.summary, report.rows, report.definitions)


def _interrupted(summary: Summary, manifest: Mapping[str, Any]) -> Html | None:
    if not summary["interrupted"]:
        return None
    done = manifest.get("replications_done")
    how_far = (
        f" after {count(done)} of {plural(summary['replications'], 'replication')}"
        if done is not None
        else ""
    )
    lead = tag("strong", f"The run was interrupted{how_far}.")
    return tag("p", lead, " Read every number below as preliminary.", class_="interrupted", role="note")


def _basis(summary: Summary) -> str:
    offered = sum(variant["counts"]["offered"] for variant in summary["variants"].values())
    return f"{plural(offered, 'model request')}, {plural(summary['replications'], 'replication')}"


def _rests_on(summary: Summary) -> Html:
    parts: list[Node] = [f"Seed {summary['seed']}. "]
    if assumed_count(summary):
        parts.append(join(link("assumed", heading(summary)), ". "))
    if summary["notes"]:
        parts.append(join(link("notes", f"It comes with {plural(len(summary['notes']), 'note')}"), "."))
    return tag("p", parts, class_="basis")


def _served(report: Report) -> Html:
    summary, rows, definitions, *_ = report
    failures, met = not_served(rows), attainment(summary, rows)
    all_served = None if failures else tag("p", "Every model request that was offered completed.")
    drawn = [figure.html(definitions) for figure in (failures, met) if figure]
    by_tier = tiers(summary, definitions)
    return join(_objectives(summary), all_served, rates_table(summary, definitions), drawn, by_tier)


def _objectives(summary: Summary) -> Html:
    set_none = "The scenario sets no objective, so every completed request counts as good."
    titles, by_variant = variant_titles(summary), objectives_by_variant(summary)
    if len(set(by_variant.values())) <= 1:
        limits = next(iter(by_variant.values()), "")
        return tag("p", f"Objectives: {limits}." if limits else set_none)
    each = [tag("li", f"{titles.get(name, name)}: {limits or 'none'}") for name, limits in by_variant.items()]
    return join(tag("p", "Objectives, which differ between the variants:"), tag("ul", each))


def _compared(report: Report) -> Html | None:
    summary, rows, definitions, *_ = report
    if len(variant_titles(summary)) < 2:
        return None
    figure = forest(summary, rows, definitions)
    nothing = "Nothing can be compared: a variant is overloaded, or too few requests completed."
    return figure.html(definitions) if figure else tag("p", nothing)


def _figures(report: Report, *figures: Figure | None) -> Html:
    drawn = [figure.html(report.definitions) for figure in figures if figure]
    return join(drawn) if drawn else tag("p", "There is nothing to show: too few requests completed.")


SECTIONS: dict[str, SectionKind] = {
    "time": SectionKind("Why", "Where the time goes, and what changes it", _time),
    "numbers": SectionKind("Numbers", "The numbers", _numbers),
    "verdict": SectionKind("Verdict", "Whether it kept up", _verdict),
    "limits": SectionKind("Limits", "What binds first", lambda report: ladder(report.summary)),
    "slowest": SectionKind("Slowest", "Why the slow ones were slow", _slowest),
    "spread": SectionKind("Distribution", "How latencies spread", _spread),
    "served": SectionKind("Served", "Who was served, and in time", _served),
    "retries": SectionKind(
        "Retries",
        "What was asked, and what clients made of it",
        lambda report: retries(report.summary, report.definitions),
    ),
    "compared": SectionKind("Differences", "What the variants change", _compared),
    "live": SectionKind("Wall clock", "What was simulated, and what the client saw", _live),
    "course": SectionKind("Over time", "How it went over time", _course),
    "faults": SectionKind("Faults", "What broke, and what it cost", lambda report: faults(report.summary)),
    "uncertainty": SectionKind("Uncertainty", "What uncertain values do to it", _not_known),
    "nodes": SectionKind("Nodes", "The nodes", lambda report: nodes(report.summary, report.definitions)),
    "sessions": SectionKind(
        "Sessions",
        "Callers that wait for their answers",
        lambda report: sessions(report.summary, report.definitions),
    ),
    "agents": SectionKind(
        "Agents", "What agents did", lambda report: agents(report.rows, report.definitions)
    ),
    "prefixes": SectionKind(
        "Prefixes",
        "What prompts have in common",
        lambda report: prefixes(report.summary, report.definitions),
    ),
    "costs": SectionKind("Cost", "What it costs", lambda report: costs(report.summary, report.definitions)),
    "assumed": SectionKind("Assumed", heading, lambda report: assumed(report.summary)),
    "definitions": SectionKind(
        "Definitions", "What every number means", lambda report: glossary(report.definitions)
    ),
    "notes": SectionKind("Notes", "Notes", lambda report: notes(report.summary)),
    "data": SectionKind("Data", "Take the data along", lambda report: take_away(report.summary)),
    "reproduce": SectionKind(
        "Reproduce", "How to reproduce it", lambda report: reproduce(report.summary, report.manifest)
    ),
}
"""In the order of the page. A new one is a function and a line here: docs/extending.md."""
