"""A document that fetches nothing: its head, its style, its scripts.

Scripts are allowed by their hash, so markup from a scenario could not run even if it got this far.
"""

from collections.abc import Iterable
from functools import cache
from importlib.resources import files

from reports.digest import sealed
from reports.html.markup import Html, join, json_script, link, script_hash, tag
from reports.html.palette import css_variables, theme

Section = tuple[str, str, str, Html | None]
"""Identity, short title, title, content if there is any."""

STYLES = ("report.css", "answer.css", "explained.css")


def header(origin: str, title: str) -> Html:
    """One line over the answer: what was run, and the theme."""
    toggle = tag("button", "Dark theme", type="button", id="theme", class_="needs-js")
    told = tag("p", tag("strong", origin), tag("span", title), class_="origin")
    return tag("header", tag("div", told, toggle, class_="top"))


def navigation(places: Iterable[tuple[str, str]]) -> Html:
    """`places` are the sections: what each is called as the target of a link, and to a reader."""
    return tag("nav", tag("ul", [tag("li", link(*place)) for place in places]), aria_label="Sections")


def study_page(title: str, head: Html, answer: Html, sections: Iterable[Section]) -> str:
    """The answer, then where its sections are, then these."""
    shown = [one for one in sections if one[3]]
    first = tag("section", answer, id="answer", aria_label="The answer")
    places = navigation((identity, short) for identity, short, _, _ in shown)
    content = [
        tag(
            "section",
            tag("h2", heading, id=f"heading-{identity}"),
            inner,
            id=identity,
            aria_labelledby=f"heading-{identity}",
        )
        for identity, _, heading, inner in shown
    ]
    return document(title, join(head, tag("main", first, places, content, id="content")))


def document(title: str, content: Html) -> str:
    """`content` holds what a link skips to: an element with the id `content`."""
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
        tag("script", Html(early)),
        tag("style", Html(css_variables()), [Html(_asset(name)) for name in STYLES]),
    )
    skip = tag("a", "Skip to the answer", href="#content", class_="skip")
    themes = json_script("themes", {name: theme(name) for name in ("light", "dark")})
    scripts = [tag("script", Html(plotly)), tag("script", Html(script))]
    whole = tag("html", head, tag("body", skip, content, themes, scripts), lang="en")
    return sealed(f"<!doctype html>\n{whole}\n")


@cache
def _asset(name: str) -> str:
    return (files("reports") / "assets" / name).read_text(encoding="utf-8")
