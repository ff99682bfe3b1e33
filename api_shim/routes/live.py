"""`/live`: a page for whoever waits for a load test. It takes no key: it tells no more than `/metrics`."""

from collections.abc import Sequence
from functools import partial
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from api_shim.routes.described import TheShim, api_router
from api_shim.telemetry.live_figures import PROBABILITIES, LiveFigures, ModelFigures, Quantile
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
    return HTMLResponse(
        await shim.clock.aside(partial(_page, shim.world.scenario.name, figures)), headers=NO_STORE
    )


@router.get(f"{ROOT}/figures", include_in_schema=False)
async def live_figures(request: Request) -> Response:
    """Only what changes, which the page asks for each second."""
    return HTMLResponse(shown(request.app.state.live.figures()), headers=NO_STORE)


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
        "Since the server started, all sources together. Quantiles are the upper ends of the buckets of ",
        tag("code", "/metrics"),
        "; the report of the run has them exactly, by source, with intervals.",
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
        [_of_model(model) for model in figures.models],
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


def _of_model(model: ModelFigures) -> Html:
    if not (model.requests or model.refused or model.batch or model.queue):
        return tag("section", tag("h2", model.id), tag("p", "Nothing has come yet.", class_="muted"))
    caption = f"Latencies of {plural(model.requests, 'answered request')}"
    rows = [row(name, *map(_cell, found)) for name, found in model.quantiles.items()]
    refused = ", ".join(f"{count(n)} {cause.replace('_', ' ')}" for cause, n in sorted(model.refused.items()))
    state = f"Batch {count(model.batch)}, queue {count(model.queue)}, KV cache {share(model.kv_share)}"
    return tag(
        "section",
        tag("h2", model.id),
        tag("p", f"{state}. Refused or lost: {refused}." if refused else f"{state}. Nothing was refused."),
        table(caption, ["", *map(name_of, PROBABILITIES)], [body(rows)]),
    )


def _cell(found: Quantile) -> Node:
    if found.upper_s is not None:
        return number_cell(f"\N{LESS-THAN OR EQUAL TO} {duration(found.upper_s)}")
    wanted = f"run {duration(float(found.run_s))} for a {found.name}" if found.run_s else "nothing yet"
    return tag("td", wanted, class_="muted")
