"""Spans of time that stand behind all panels of a chart, each with its name: what was broken when.

Each panel gets a second axis from 0 to 1 over its own, on which a span fills the height.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reports.html.figure import LegendEntry, Plot
from reports.words import rounded

ROLES = ("series_1", "series_6", "series_3", "series_4", "series_0")
OPACITY = "2b"
"""As the last two digits of #rrggbbaa."""
FIRST_AXIS = 11
"""Number of the second axis of the first panel: those of the panels come before."""
Spans = Sequence[Mapping[str, Any]]


def shades(choice: str, spans: Spans, horizon_s: float, panels: int, *, visible: bool) -> Iterator[Plot]:
    """A trace for each fault and panel; in the uppermost each span has its label."""
    for index, name in enumerate(_names(spans)):
        mine = [span for span in spans if span["fault"] == name]
        for panel in range(panels):
            yield {
                "type": "scatter",
                "mode": "lines+text" if panel == 0 else "lines",
                **_outline(mine, horizon_s, named=panel == 0),
                "fill": "toself",
                "fillcolor": f"@{ROLES[index % len(ROLES)]}/{OPACITY}",
                "line": {"width": 0, "color": f"@{ROLES[index % len(ROLES)]}"},
                "textposition": "bottom right",
                "textfont": {"color": "@muted", "size": 11},
                "hoverinfo": "skip",
                "xaxis": "x",
                "yaxis": f"y{FIRST_AXIS + panel}",
                "name": name,
                "visible": visible,
                "meta": {"choice": choice, "series": f"fault-{name}"},
            }


def shade_legend(views: Sequence[Spans]) -> list[LegendEntry]:
    """An entry for each fault of any view."""
    names: dict[str, int] = {}
    for spans in views:
        for index, name in enumerate(_names(spans)):
            names.setdefault(name, index)
    return [
        LegendEntry(f"Fault: {name}", ROLES[index % len(ROLES)], series=f"fault-{name}")
        for name, index in names.items()
    ]


def instants(choice: str, at_s: Sequence[float], panels: int, *, visible: bool) -> Iterator[Plot]:
    """A thin line through each panel at each of the times at which nodes came or went."""
    for panel in range(panels) if at_s else ():
        yield {
            "type": "scatter",
            "mode": "lines",
            "x": [x for at in at_s for x in (rounded(at), rounded(at), None)],
            "y": [0, 1, None] * len(at_s),
            "line": {"width": 1, "color": "@muted", "dash": "dot"},
            "hoverinfo": "skip",
            "xaxis": "x",
            "yaxis": f"y{FIRST_AXIS + panel}",
            "name": INSTANTS,
            "visible": visible,
            "meta": {"choice": choice, "series": "scaling"},
        }


INSTANTS = "Nodes come or go"


def instants_legend(views: Sequence[Sequence[float]]) -> list[LegendEntry]:
    return [LegendEntry(INSTANTS, "muted", dash=2, series="scaling")] if any(views) else []


def shade_axes(panels: int) -> Plot:
    return {
        f"yaxis{FIRST_AXIS + panel}": {
            "overlaying": f"y{panel + 1}" if panel else "y",
            "range": [0, 1],
            "fixedrange": True,
            "visible": False,
        }
        for panel in range(panels)
    }


def _names(spans: Spans) -> list[str]:
    return list(dict.fromkeys(span["fault"] for span in spans))


def _outline(spans: Spans, horizon_s: float, *, named: bool) -> Plot:
    """One rectangle after the other, with a gap between; its label at the upper left corner."""
    x: list[float | None] = []
    y: list[int | None] = []
    text: list[str] = []
    for span in spans:
        ended_s = horizon_s if span["ended_s"] is None else min(span["ended_s"], horizon_s)
        begin, end = rounded(span["began_s"]), rounded(ended_s)
        x += [begin, begin, end, end, begin, None]
        y += [0, 1, 1, 0, 0, None]
        text += ["", f"{span['fault']}: {span['target']}", "", "", "", ""]
    return {"x": x, "y": y, **({"text": text} if named else {})}
