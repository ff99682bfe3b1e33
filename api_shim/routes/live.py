"""`/live`: a page for whoever waits for a load test. It takes no key: it tells no more than `/metrics`."""

from collections.abc import Sequence
from functools import partial
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from api_shim.routes.described import TheShim, api_router
from api_shim.telemetry.live_figures import (
    PROBABILITIES,
    LiveFigures,
    ModelFigures,
    Quantile,
    SourceFigures,
)
from api_shim.telemetry.source_tally import LATEST
from reports.estimate import ShownEstimate
from reports.html.markup import Html, Node, join, tag
from reports.html.small_page import small_page
from reports.html.tables import body, number_cell, row, table
from reports.statistics import name_of
from reports.words import count, duration, number, plural, share

ROOT = "/live"
COURSES = {
    "offered": "Offered",
    "carried": "Carried",
    "refused": "Refused or lost",
    "queue": "Queue",
    "batch": "Batch",
}
NO_STORE = {"cache-control": "no-store"}

router = api_router("server")


@router.get(ROOT, include_in_schema=False)
async def live(request: Request, shim: TheShim) -> Response:
    figures = request.app.state.live.figures()
    page = await shim.clock.aside(partial(_page, shim.world.scenario.name, figures))
    return HTMLResponse(page, headers=NO_STORE)


@router.get(f"{ROOT}/figures", include_in_schema=False)
async def live_figures(request: Request, shim: TheShim) -> Response:
    """Only what changes, which the page asks for each second."""
    figures = request.app.state.live.figures()
    return HTMLResponse(await shim.clock.aside(partial(shown, figures)), headers=NO_STORE)


def _page(scenario: str, figures: LiveFigures) -> str:
    assets = files("api_shim") / "assets"
    style, script = ((assets / name).read_text(encoding="utf-8") for name in ("live.css", "live.js"))
    head = tag(
        "header",
        tag("h1", f"{scenario}, as it runs"),
        tag("p", "Live", id="state", role="status", class_="muted"),
    )
    note = tag(
        "p",
        "Counts are since the server started. Latencies are the report's, in simulated time from when a "
        f"caller sent, of the last {count(LATEST)} answered requests of each source; with 95 % intervals, "
        "where that many give one.",
        class_="muted",
    )
    main = tag("main", tag("div", shown(figures), id="figures"), note, id="content")
    return small_page(f"{scenario}, as it runs", join(head, main), style, script, fetches=True)


def shown(figures: LiveFigures) -> Html:
    now = figures.now
    tiles = [_tile(name, title, figures) for name, title in COURSES.items()]
    return join(
        tag(
            "p",
            f"{duration(now.simulated_s)} simulated, {plural(now.offered, 'request')} offered",
            class_="muted",
        ),
        tag("dl", tiles, class_="tiles"),
        [_of_model(model, now.simulated_s) for model in figures.models],
        _late(figures),
    )


def _tile(name: str, title: str, figures: LiveFigures) -> Html:
    counted: int = getattr(figures.now, name)
    per_s = figures.per_s.get(name)
    beside = "at this moment" if name not in figures.per_s else "since the start"
    rate = f"{count(counted)} {beside}" if per_s is None else f"{number(per_s)}/s, {count(counted)} {beside}"
    return tag("div", tag("dt", title), tag("dd", rate), tag("dd", _spark(figures.course[name], title)))


def _spark(values: Sequence[float], title: str) -> Html:
    """A line from the oldest look to this one, over zero."""
    most = max(values, default=0.0) or 1.0
    steps = max(1, len(values) - 1)
    points = " ".join(f"{100 * i / steps:.1f},{24 - 22 * value / most:.1f}" for i, value in enumerate(values))
    told = f"{title}, at most {number(max(values, default=0.0))}"
    line = tag("polyline", points=points)
    return tag("svg", line, viewBox="0 0 100 25", preserveAspectRatio="none", role="img", aria_label=told)


def _of_model(model: ModelFigures, simulated_s: float) -> Html:
    if not (model.sources or model.batch or model.queue):
        return tag("section", tag("h2", model.id), tag("p", "Nothing has come yet.", class_="muted"))
    state = f"Batch {count(model.batch)}, queue {count(model.queue)}, KV cache {share(model.kv_share)}."
    columns = ["", *map(name_of, PROBABILITIES)]
    bodies = [_of_source(source, simulated_s, len(columns)) for source in model.sources]
    more = f"{plural(model.left_out, 'source')} with fewer answers" if model.left_out else ""
    return tag(
        "section",
        tag("h2", model.id),
        tag("p", state),
        table(f"Latencies of {model.id} by source", columns, bodies) if bodies else None,
        tag("p", f"Not shown: {more}.", class_="muted") if more else None,
    )


def _of_source(source: SourceFigures, simulated_s: float, columns: int) -> Html:
    refused = ", ".join(
        f"{count(n)} {cause.replace('_', ' ')}" for cause, n in sorted(source.refused.items())
    )
    came = f"{count(source.answered)} answered, " + (
        f"refused or lost: {refused}" if refused else "none refused"
    )
    found = source.quantiles(simulated_s)
    rows = [row(name, *map(_cell, told)) for name, told in found.items() if source.seen[name]]
    return body(rows, join(source.name, " ", tag("small", came)), columns)


def _cell(told: Quantile) -> Node:
    found = told.found
    if found is None:
        wanted = f"run {duration(float(told.run_s))} for a {told.name}" if told.run_s else "nothing yet"
        return tag("td", wanted, class_="muted")
    shown = ShownEstimate(found.value, found.low, found.high).shown()
    if found.low is None:
        return number_cell(shown.with_unit())
    return tag("td", shown.with_unit(), " ", tag("small", shown.interval), class_="number")


def _late(figures: LiveFigures) -> Html | None:
    """Whether what a client sees on its wall clock is what is simulated."""
    if figures.late_s is None:
        return None
    late = f"The server writes at most {duration(figures.late_s)} late in 99 of 100 times"
    trust = "wall times can be trusted" if figures.not_paced is None else figures.not_paced
    return tag("p", f"{late}: {trust}.", class_="muted")
