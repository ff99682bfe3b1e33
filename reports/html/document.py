"""A document that fetches nothing: its head, its style, its scripts.

Scripts are allowed by their hash, so markup from a scenario could not run even if it got this far.
"""

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import NamedTuple

from reports.digest import sealed
from reports.html.markup import Html, join, json_script, link, script_hash, tag
from reports.html.palette import css_variables, theme


class Section(NamedTuple):
    identity: str
    short: str
    """In the navigation."""
    heading: str
    content: Html | None
    """None leaves it out."""


ASSETS = Path(__file__).resolve().parents[1] / "assets"
STYLES = ("report.css", "answer.css", "explained.css")


def header(origin: str, title: str) -> Html:
    """One line over the answer: what was run, and the theme."""
    toggle = tag("button", "Dark theme", type="button", id="theme", class_="needs-js")
    told = tag("p", tag("strong", origin), tag("span", title), class_="origin")
    return tag("header", tag("div", told, toggle, class_="top"))


def sections_page(
    title: str, head: Html, answer: Html, sections: Iterable[Section], foot: Html | None = None
) -> bytes:
    """The answer, then where its sections are, then these."""
    shown = [one for one in sections if one.content]
    first = tag("section", answer, id="answer", aria_label="The answer")
    places = tag("ul", [tag("li", link(one.identity, one.short)) for one in shown])
    navigation = tag("nav", places, aria_label="Sections")
    main = tag("main", first, navigation, map(_section, shown), id="content")
    return document(title, join(head, main, foot))


def _section(one: Section) -> Html:
    title = f"heading-{one.identity}"
    heading = tag("h2", one.heading, id=title)
    return tag("section", heading, one.content, id=one.identity, aria_labelledby=title)


def document(title: str, content: Html) -> bytes:
    """`content` holds what a link skips to: an element with the id `content`.

    Plotly is most of a page, and goes into it as it lies on the disk.
    """
    plotly, early = _asset("plotly-cartesian.min.js"), _asset("early.js")
    script = _asset("report.js") + _asset("time.js")
    allowed = " ".join(f"'{script_hash(one)}'" for one in (early, plotly, script))
    policy = (
        f"default-src 'none'; script-src {allowed}; "
        "style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; form-action 'none'"
    )
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        tag("script", Html(early.decode())),
        tag("style", Html(css_variables()), [Html(_asset(name).decode()) for name in STYLES]),
    )
    skip = tag("a", "Skip to the answer", href="#content", class_="skip")
    themes = json_script("themes", {name: theme(name) for name in ("light", "dark")})
    before = f'<!doctype html>\n<html lang="en">{head}<body>{skip}{content}{themes}<script>'
    after = (b"</script><script>", script, b"</script></body></html>\n")
    return sealed(before.encode(), plotly, *after)


@cache
def _asset(name: str) -> bytes:
    return (ASSETS / name).read_bytes()
