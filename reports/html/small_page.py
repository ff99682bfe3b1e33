"""A page of its own without charts: nothing is fetched, and nothing runs but what it is given."""

from importlib.resources import files

from reports.html.markup import Html, script_hash, tag
from reports.html.palette import css_variables

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def small_page(title: str, content: Html, style: str = "", script: str = "", *, fetches: bool = False) -> str:
    """`style` is put behind that of reports, `script` at the end of the page.

    `fetches`: it may ask the server that the page is from.
    """
    common = (files("reports") / "assets" / "report.css").read_text(encoding="utf-8")
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_policy(script, fetches=fetches)),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        tag("style", Html(css_variables()), Html(common), Html(style)),
    )
    body = tag("body", content, tag("script", Html(script)) if script else None)
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def _policy(script: str, *, fetches: bool) -> str:
    allowed = f"; script-src '{script_hash(script.encode())}'" if script else ""
    return POLICY + allowed + ("; connect-src 'self'" if fetches else "")
