"""The numbers: every latency of every row with its interval, and what each row ran."""

from collections.abc import Sequence

from reports.html.markup import Html, Node, join, tag
from reports.html.matrix import matrix
from reports.html.tables import Definitions, Footnotes, body, row, table, term
from reports.rows import Row, Summary, places_of
from reports.words import as_chosen, duration

METRICS = {
    "felt": "User-felt latency",
    "ttft": "Time to first token (TTFT)",
    "tpot": "Time per output token (TPOT)",
    "e2e": "End-to-end time of a model call (E2E)",
    "queue": "Queue",
}
FULL = {"mean": "Mean", "p50": "p50", "p90": "p90", "p95": "p95", "p99": "p99", "p99_9": "p99.9"}


def numbers(summary: Summary, rows: Sequence[Row], definitions: Definitions) -> Html:
    whole = tag(
        "details",
        tag("summary", "Mean and all percentiles"),
        _latencies(
            rows, FULL, "all", "Latencies of completed requests: mean and all percentiles", definitions
        ),
    )
    routes = tag("details", tag("summary", "Who asks from where"), _routes(summary, rows))
    return join(_reading(summary), matrix(summary, rows, definitions), whole, routes)


def _reading(summary: Summary) -> Html:
    interval = summary["interval"]
    return tag(
        "p",
        f"Each value comes with its {as_chosen(100 * interval['level'])} % interval in the same unit, from "
        f"the spread between {interval['between']}. Bold differences are sure, "
        "\N{ALMOST EQUAL TO} 0 is not told from chance, and what stands in brackets has no interval.",
    )


def _latencies(
    rows: Sequence[Row], statistics: dict[str, str], name: str, caption: str, definitions: Definitions
) -> Html:
    notes = Footnotes(name)
    columns = ["", *statistics.values()]
    bodies = []
    for metric, title in _shown_metrics(rows, definitions).items():
        lines = [
            row(line.label, *(notes.cell(line.statistic(metric, key)) for key in statistics)) for line in rows
        ]
        bodies.append(body(lines, title, len(columns)))
    return table(caption, columns, bodies, after=notes.html())


def _shown_metrics(rows: Sequence[Row], definitions: Definitions) -> dict[str, Node]:
    """Without apps the user-felt latency is the end-to-end time, and is shown once."""
    titles: dict[str, Node] = {key: term(key, title, definitions) for key, title in METRICS.items()}
    if any(line.has_app for line in rows):
        return titles
    del titles["e2e"]
    titles["felt"] = join(
        term("felt", "User-felt latency", definitions), ", equal to the end-to-end time: no app"
    )
    return titles


def _routes(summary: Summary, rows: Sequence[Row]) -> Html:
    columns = [
        "",
        "Tenant",
        "User's place",
        "App",
        "App's place",
        "Calls, k",
        "Model",
        "Round trip to the gateway",
    ]
    lines = [row(line.label, *_route(summary, line)) for line in rows]
    return table("Sources and their routes", columns, [body(lines)])


def _route(summary: Summary, line: Row) -> list[str]:
    group = line.group
    places = places_of(summary, line.variant)
    caller = group.get("app_place") or group["place"]
    rtt_ms = places.get(caller, {}).get("rtt_ms")
    app_place = group.get("app_place")
    mode = (
        {"fan_out": " at once", "sequential": " in a row"}.get(line.mode or "", "") if line.calls > 1 else ""
    )
    return [
        str(group["tenant"]),
        line.place_label,
        str(group.get("app") or "none"),
        str(places.get(app_place, {}).get("label") or app_place or ""),
        f"{line.calls}{mode}",
        str(group["model"]),
        "" if rtt_ms is None else f"{duration(rtt_ms / 1e3)} from {places[caller].get('label') or caller}",
    ]
