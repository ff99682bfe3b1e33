"""Chains of requests as a page of their own."""

from collections.abc import Sequence

from reports.explained import Chain
from reports.html.document import document, header
from reports.html.markup import join, tag
from reports.html.slowest import cards


def explained_page(chains: Sequence[Chain], scenario: str) -> str:
    """One below the other, in the order given."""
    title = (
        f"Why {len(chains)} requests took as long as they did"
        if len(chains) > 1
        else "Why a request was slow"
    )
    main = tag("main", tag("h1", title), cards(chains), id="content")
    return document(title, join(header(scenario, title), main)).decode()
