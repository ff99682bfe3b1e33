"""Several views of one thing behind tabs: radio buttons, which keys reach and which need no script."""

from collections.abc import Sequence
from typing import NamedTuple

from reports.html.markup import Html, tag

MOST = 12
"""As many as the style sheet has rules for; what is beyond stands below without a tab."""


class View(NamedTuple):
    key: str
    title: str
    content: Html


def views(name: str, legend: str, shown: Sequence[View], first: str = "") -> Html:
    """`name` is unique on the page, `first` the key of the view that is open."""
    if len(shown) == 1:
        return shown[0].content
    first = first or shown[0].key
    tabs = [
        tag(
            "label",
            tag("input", type="radio", name=f"view-{name}", value=view.key, checked=view.key == first),
            tag("span", view.title),
        )
        for view in shown[:MOST]
    ]
    choices = tag("fieldset", tag("legend", legend, class_="visually-hidden"), tabs, class_="choices")
    drawn = [tag("div", view.content, class_="view", data_title=view.title) for view in shown]
    return tag("div", choices, drawn, class_="views")
