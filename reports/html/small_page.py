"""A page of its own without a script: nothing is fetched, and nothing runs."""

from importlib.resources import files

from reports.html.markup import Html, tag
from reports.html.palette import css_variables

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def small_page(title: str, content: Html, style: str = "") -> str:
    """`style` is put behind that of reports."""
    common = (files("reports") / "assets" / "report.css").read_text(encoding="utf-8")
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        tag("style", Html(css_variables()), Html(common), Html(style)),
    )
    return f"<!doctype html>\n{tag('html', head, tag('body', content), lang='en')}\n"
