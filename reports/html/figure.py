"""A figure: a Plotly chart as plain data, and beside it everything a reader without the chart needs."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, NamedTuple

from reports.estimate import ShownEstimate
from reports.html.markup import Html, join, json_script, tag
from reports.html.palette import css
from reports.html.tables import Definitions, term
from reports.words import Scale, as_chosen, rounded

Plot = dict[str, Any]
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
DASH_ARRAYS = ("none", "7 4", "2 3", "7 3 2 3", "11 4")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "star")


class Choice(NamedTuple):
    """One of several views of a figure; traces carry its key in `meta.choice`."""

    key: str
    label: str


class LegendEntry(NamedTuple):
    """One entry of a legend: a colour by role, told apart by hatching, dash or symbol as well."""

    label: str
    role: str
    hatched: bool = False
    dash: int | None = None
    symbol: int | None = None
    series: str | None = None
    """Traces with this `meta.series` are switched by the entry; None for a plain legend."""
    shown: bool = True


@dataclass(frozen=True)
class Figure:
    identity: str
    title: str
    caption: str
    description: str
    """What a sighted reader sees first, in a sentence."""
    plot: Plot
    table: Html
    keys: tuple[LegendEntry, ...] = ()
    choices: tuple[Choice, ...] = ()
    terms: tuple[str, ...] = ()
    """Names of the definitions of what it shows."""
    drawing: Html | None = None
    """What the page shows in place of the chart, with choices of its own."""
    over_time: bool = False
    """It shows the same stretch of time as all others that are: see `stretch`."""

    def html(self, definitions: Definitions | None = None) -> Html:
        plot_id, title_id = f"plot-{self.identity}", f"title-{self.identity}"
        height = f"min-height: {self.plot['layout']['height']}px"
        chart = tag(
            "div",
            class_="plot",
            id=plot_id,
            role="img",
            aria_label=self.description,
            style=height,
            data_time=self.over_time,
        )
        return tag(
            "figure",
            tag("h3", self.title, id=title_id),
            self._choices(),
            self._legend(),
            chart if self.drawing is None else self._drawn(self.drawing),
            tag(
                "figcaption",
                self.caption,
                " ",
                self._defined(definitions or {}),
                self._save() if self.drawing is None else None,
            ),
            tag("details", tag("summary", f"Data table: {self.title.lower()}"), self.table),
            json_script(f"data-{self.identity}", self.plot) if self.drawing is None else None,
            id=self.identity,
            aria_labelledby=title_id,
        )

    def _drawn(self, drawing: Html) -> Html:
        return tag("div", drawing, class_="drawing", role="group", aria_label=self.description)

    def _save(self) -> Html:
        return tag(
            "button", "Save as picture", type="button", class_="save needs-js", data_plot=self.identity
        )

    def _defined(self, definitions: Definitions) -> Html | None:
        known = [
            term(name, definitions[name].title, definitions) for name in self.terms if name in definitions
        ]
        if not known:
            return None
        return join("Defined below: ", known[0], *([", ", one] for one in known[1:]), ". ")

    def _choices(self) -> Html | None:
        if len(self.choices) < 2 or self.drawing is not None:
            return None
        legend = tag("legend", f"Show in {self.title}", class_="visually-hidden")
        options = [self._option(choice, checked=i == 0) for i, choice in enumerate(self.choices)]
        return tag("fieldset", legend, options, class_="choices needs-js")

    def _option(self, choice: Choice, *, checked: bool) -> Html:
        name = f"choice-{self.identity}"
        radio = tag(
            "input", type="radio", name=name, value=choice.key, data_plot=self.identity, checked=checked
        )
        return tag("label", radio, tag("span", choice.label))

    def _legend(self) -> Html | None:
        if not self.keys:
            return None
        return tag("ul", [tag("li", self._entry(key)) for key in self.keys], class_="legend")

    def _entry(self, key: LegendEntry) -> Html:
        if key.series is None:
            return tag("span", _swatch(key), key.label)
        box = tag(
            "input", type="checkbox", data_plot=self.identity, data_series=key.series, checked=key.shown
        )
        return tag("label", box, _swatch(key), key.label)


def _swatch(key: LegendEntry) -> Html:
    colour = css(key.role)
    if key.dash is not None:
        line = tag("path", d="M0 6H30", stroke=colour, stroke_dasharray=DASH_ARRAYS[key.dash])
        return tag("svg", line, class_="swatch line", viewBox="0 0 30 12", aria_hidden="true")
    if key.symbol is not None:
        mark = tag("path", d=_SYMBOL_PATHS[key.symbol], fill=colour)
        return tag("svg", mark, class_="swatch mark", viewBox="0 0 12 12", aria_hidden="true")
    style = f"background-color: {colour}"
    return tag("span", class_="swatch hatched" if key.hatched else "swatch", style=style, aria_hidden="true")


_SYMBOL_PATHS = (
    "M6 1a5 5 0 1 0 .01 0z",
    "M1.5 1.5h9v9h-9z",
    "M6 0l6 6-6 6-6-6z",
    "M6 1l5.5 10H.5z",
    "M4 0h4v4h4v4H8v4H4V8H0V4h4z",
    "M6 0l1.8 4 4.2.4-3.2 2.9 1 4.3L6 9.3l-3.8 2.3 1-4.3L0 4.4 4.2 4z",
)


def layout(height: int, **changes: object) -> Plot:
    """What all charts share: no chart junk, colours by role, room that the labels themselves ask for."""
    shared: Plot = {
        "height": height,
        "autosize": True,
        "showlegend": False,
        "paper_bgcolor": "@page",
        "plot_bgcolor": "@page",
        "font": {"family": FONT, "size": 13, "color": "@text"},
        "margin": {"l": 8, "r": 8, "t": 8, "b": 48},
        "hoverlabel": {"bgcolor": "@panel", "bordercolor": "@rule", "font": {"color": "@text"}},
        "dragmode": False,
    }
    return {**shared, **changes}


LOGARITHMIC: Plot = {
    "type": "log",
    "tickvals": [step * 10.0**power for power in range(-3, 7) for step in (1, 2, 5)],
    "ticktext": [as_chosen(step * 10.0**power) for power in range(-3, 7) for step in (1, 2, 5)],
}
"""For an axis: left to itself, a chart writes 20 as a small 2."""


def axis(title: str | None = None, **changes: object) -> Plot:
    shared: Plot = {
        "gridcolor": "@rule",
        "linecolor": "@rule",
        "zerolinecolor": "@muted",
        "tickfont": {"color": "@muted"},
        "fixedrange": True,
        "automargin": True,
    }
    if title:
        shared["title"] = {
            "text": escape(title, quote=False),
            "font": {"color": "@muted", "size": 12.5},
            "standoff": 10,
        }
    return {**shared, **changes}


def error_bars(estimates: Sequence[ShownEstimate], scale: Scale, role: str) -> Plot:
    """From each value to the ends of its interval; nothing where it has none."""
    ends = [(e.value, e.low, e.high) for e in estimates]
    above = [None if v is None or high is None else rounded((high - v) * scale.factor) for v, _, high in ends]
    below = [None if v is None or low is None else rounded((v - low) * scale.factor) for v, low, _ in ends]
    return {
        "type": "data",
        "symmetric": False,
        "array": above,
        "arrayminus": below,
        "color": role,
        "thickness": 2,
        "width": 0,
    }
