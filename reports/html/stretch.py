"""Charts over time show one stretch of it together: set with two sliders, or dragged over in any of them."""

from typing import Any

from reports.html.figure import Plot
from reports.html.markup import Html, tag

STEPS = 200


def stretch(horizon_s: float) -> Html:
    """The sliders, for all charts of the page that are `over_time`."""
    limits: dict[str, Any] = {
        "type": "range",
        "min": "0",
        "max": f"{horizon_s:g}",
        "step": f"{horizon_s / STEPS:g}",
    }
    return tag(
        "div",
        tag("label", "Show from ", tag("input", **limits, value="0")),
        tag("label", "to ", tag("input", **limits, value=f"{horizon_s:g}")),
        tag("output", f"0 to {horizon_s:g} s"),
        tag("button", "Whole run", type="button"),
        class_="stretch needs-js",
        role="group",
        aria_label="Stretch of time that all charts over time show",
    )


def zoomable(layout: Plot) -> Plot:
    """A drag chooses a stretch of time, in all panels; a double click shows the whole again."""
    return {**layout, "xaxis": {**layout["xaxis"], "fixedrange": False}, "dragmode": "zoom"}
