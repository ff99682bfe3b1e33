"""The page of a sweep: the answer, maps, curves, fronts, and the cells."""

from collections.abc import Iterator, Sequence

from reports.html.document import Section, header, sections_page
from reports.html.figure import Figure
from reports.html.markup import Html, join, tag
from reports.html.sweep.curves import load_curves
from reports.html.sweep.first_screen import first_screen
from reports.html.sweep.fronts import cost_front, field_chart, price_table
from reports.html.sweep.heat import MOST_MAPS, heat_maps
from reports.html.tables import body, number_cell, row, table
from reports.sweep.rows import DONE, Row
from reports.sweep.view import MILLISECONDS, Measure, SweepView
from reports.words import in_seconds, number, plural

MOST_ROWS = 200


def render_sweep(view: SweepView) -> str:
    about = view.about
    head = header(about["scenario"], f"{about['title']} · {_basis(view)}")
    return sections_page(about["title"], head, first_screen(view), _sections(view)).decode()


def _sections(view: SweepView) -> Iterator[Section]:
    maps = heat_maps(view)
    if maps:
        yield Section("maps", "Maps", "How it changes", join(_drawn(maps), _more_maps(maps)))
    curves = load_curves(view)
    if curves:
        yield Section("load", "Load", "What it carries", _drawn([curves]))
    costs = [figure for figure in (cost_front(view),) if figure]
    if view.done:
        prices = price_table(view, view.done[:MOST_ROWS])
        yield Section(
            "costs", "Cost", "What it costs", join(_drawn(costs), _folded("Cost of every cell", prices))
        )
    field = field_chart(view)
    if field:
        yield Section("interactivity", "Interactivity", "Throughput against interactivity", _drawn([field]))
    yield Section("cells", "Cells", "The cells", _cells(view))
    yield Section("reproduce", "Reproduce", "How to reproduce it", _reproduce(view))


def _basis(view: SweepView) -> str:
    about = view.about
    return (
        f"{plural(len(view.rows), 'cell')}, {plural(about['replications'], 'replication')} of "
        f"{in_seconds(about['horizon_s'])} each, seed {about['seed']}; all cells share their random numbers"
    )


def _drawn(figures: Sequence[Figure]) -> Html:
    return join([figure.html() for figure in figures])


def _more_maps(maps: Sequence[Figure]) -> Html | None:
    if len(maps) < MOST_MAPS:
        return None
    return tag("p", f"These are the first {len(maps)} combinations of the other fields; cells.csv has all.")


def _folded(title: str, content: Html) -> Html:
    return tag("details", tag("summary", title), content)


def _cells(view: SweepView) -> Html:
    latency = view.latency()
    measures = [*([latency] if latency else []), *view.measures()[1 if latency else 0 :]]
    shown = view.rows[:MOST_ROWS]
    lines = [row(view.name(line), _state(line), *(_cell(line, one) for one in measures)) for line in shown]
    columns = ["", "Verdict", *(one.heading for one in measures)]
    caption = "Every cell, with the 95 % interval of its latency"
    more = None
    if len(view.rows) > MOST_ROWS:
        more = tag("p", f"These are the first {MOST_ROWS} of {len(view.rows):,} cells; cells.csv has all.")
    failed = [tag("li", f"{view.name(line)}: {line['why']}") for line in view.rows if line["why"]]
    return join(
        table(caption, columns, [body(lines)]),
        more,
        join(tag("p", "Failed:"), tag("ul", failed)) if failed else None,
    )


def _state(line: Row) -> str:
    return str(line["verdict"] if line["status"] == DONE else line["status"])


def _cell(line: Row, measure: Measure) -> Html:
    value = line.get(measure.column)
    if value is None:
        return number_cell("\N{EM DASH}")
    low, high = line.get(f"{measure.column}_low"), line.get(f"{measure.column}_high")
    factor = measure.scale.factor
    if measure.scale is not MILLISECONDS or low is None or high is None:
        return number_cell(number(value * factor))
    between = tag("small", f"{number(low * factor)}\N{EN DASH}{number(high * factor)}")
    return tag("td", number(value * factor), " ", between, class_="number")


def _reproduce(view: SweepView) -> Html:
    version = view.about["version"]
    told = f"e80sim {version['e80sim']}, code {version['code']}, numpy {version['numpy']}."
    where = (
        "Beside this page lie cells.csv, cells.parquet and cells.json with every number and its interval, "
        "and cells/ with what each cell rests on. Cells that are there are not simulated again."
    )
    return join(tag("p", told), tag("p", where))
