"""Charts over time show one stretch of it together: set with two sliders, or dragged over in any of them."""

from typing import Any

from reports.html.figure import Plot
from reports.html.markup import Html, coordinate, tag
from reports.words import in_seconds

STEPS = 200


def stretch(horizon_s: float) -> Html:
    """The sliders, for all charts of the page that are `over_time`."""
    limits: dict[str, Any] = {
        "type": "range",
        "min": "0",
        "max": coordinate(horizon_s),
        "step": str(horizon_s / STEPS),
    }
    return tag(
        "div",
        tag("label", "Show from ", tag("input", **limits, value="0")),
        tag("label", "to ", tag("input", **limits, value=coordinate(horizon_s))),
        tag("output", f"0 to {in_seconds(horizon_s)}"),
        tag("button", "Whole run", type="button"),
        class_="stretch needs-js",
        role="group",
        aria_label="Stretch of time that all charts over time show",
    )


def zoomable(layout: Plot) -> Plot:
    """A drag chooses a stretch of time, in all panels; a double click shows the whole again."""
    return {**layout, "xaxis": {**layout["xaxis"], "fixedrange": False}, "dragmode": "zoom"}
