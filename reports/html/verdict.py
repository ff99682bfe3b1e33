"""The verdict on each variant: a shape, a word and the reason, so that colour is never alone."""

from collections.abc import Sequence

from reports.html.markup import Html, coordinate, tag
from reports.rows import Summary, variant_titles
from reports.words import number

SHAPES = {
    "stable": "M8 .5a7.5 7.5 0 1 0 .01 0zM6.9 11.6 3.6 8.3l1.2-1.2 2.1 2.1 4.3-4.4 1.2 1.2z",
    "backlogged": "M8 .8 15.8 15H.2zM7.1 6v4.6h1.8V6zM7.1 11.7v1.8h1.8v-1.8z",
    "overloaded": (
        "M4.9.5h6.2l4.4 4.4v6.2l-4.4 4.4H4.9L.5 11.1V4.9z"
        "M5.4 4.2 4.2 5.4 6.8 8l-2.6 2.6 1.2 1.2L8 9.2l2.6 2.6 1.2-1.2L9.2 8l2.6-2.6-1.2-1.2L8 6.8z"
    ),
}
"""A disc with a tick, a triangle with an exclamation mark, an octagon with a cross."""


def verdicts(summary: Summary) -> Html:
    titles = variant_titles(summary)
    entries = [
        tag(
            "li",
            _icon(variant["verdict"]["state"]),
            tag("span", variant["verdict"]["state"], class_="state"),
            tag("span", tag("strong", titles.get(name, name)), " ", variant["verdict"]["why"], class_="why"),
            _spark(variant.get("series", {}).get("all", {}).get("in_system", {}).get("mean", ())),
            class_=f"verdict {variant['verdict']['state']}",
        )
        for name, variant in summary["variants"].items()
    ]
    missing = [title for name, title in titles.items() if name not in summary["variants"]]
    entries += [tag("li", tag("strong", title), " did not run.", class_="verdict") for title in missing]
    return tag("ul", entries, class_="verdicts", aria_label="Verdict on each variant")


def _icon(state: str) -> Html:
    shape = tag("path", d=SHAPES[state], fill="currentColor", fill_rule="evenodd")
    return tag("svg", shape, class_="icon", viewBox="0 0 16 16", aria_hidden="true")


def _spark(values: Sequence[float]) -> Html | None:
    """Requests in the system over time, from zero to their most: how a queue grows is seen at a glance."""
    most = max(values, default=0.0)
    if not most or len(values) < 2:
        return None
    step = 100 / (len(values) - 1)
    points = "L".join(
        f"{coordinate(i * step)} {coordinate(24 - 22 * value / most)}" for i, value in enumerate(values)
    )
    line = tag("path", d=f"M{points}")
    drawn = tag(
        "svg", line, class_="spark", viewBox="0 0 100 25", preserveAspectRatio="none", aria_hidden="true"
    )
    return tag("span", drawn, tag("small", f"in the system, up to {number(most)}"), class_="course")
