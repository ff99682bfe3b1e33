"""What a report says of prefix caches: shares of the prompt tokens looked up, by hand."""

from dataclasses import replace
from typing import Any

from reports.html.figures import figures_of
from reports.html.page import render
from reports.prefixes import MOST_NAMED
from reports.summary import summarise
from reports.tables import RunTables, prefix_table
from tests.support.records import manifest, request, tables

COUNTS = ("lookups", "tokens", "found_tokens", "optimum_tokens", "ceiling_tokens")


def with_prefixes(*rows: tuple[str, int, int, int, int, int]) -> RunTables:
    """(prefix, lookups, tokens, found, optimum, ceiling) of one replication."""
    names = list(dict.fromkeys(row[0] for row in rows))
    numbers = zip(*(row[1:] for row in rows), strict=True)
    columns = {
        "model": [0] * len(rows),
        "prefix": [names.index(row[0]) for row in rows],
        **{name: list(values) for name, values in zip(COUNTS, numbers, strict=True)},
    }
    table = prefix_table("edge", 0, columns, {"model": ["llama"], "prefix": names})
    return replace(tables({("edge", 0): [request(100 * i) for i in range(3)]}), prefixes=table)


def summary_of(*rows: tuple[str, int, int, int, int, int]) -> dict[str, Any]:
    return summarise(with_prefixes(*rows), manifest())


def test_beginnings_come_by_size_and_what_has_no_name_is_the_others() -> None:
    (found,) = summary_of(("b", 1, 100, 0, 0, 0), ("", 2, 500, 0, 0, 0), ("a", 3, 300, 200, 250, 280))[
        "variants"
    ]["edge"]["prefixes"]
    assert (found["model"], found["tokens"], found["beginnings"]) == ("llama", 900, 2)
    assert [(group["prefix"], group["lookups"]) for group in found["groups"]] == [
        ("a", 3),
        ("b", 1),
        (None, 2),
    ]


def test_few_are_named_and_none_is_lost() -> None:
    rows = [(f"p{i}", 1, 1000 - i, 1, 1, 1) for i in range(20)]
    (found,) = summary_of(*rows)["variants"]["edge"]["prefixes"]
    assert len(found["groups"]) == MOST_NAMED + 1
    assert sum(group["lookups"] for group in found["groups"]) == 20


def test_the_report_says_whether_more_blocks_or_another_order_would_find_more() -> None:
    summary = summary_of(("a", 10, 1000, 500, 650, 900))
    page = render(summary, manifest=manifest()).replace("\N{NO-BREAK SPACE}", " ")
    assert (
        "llama: 50.0 % of the prompt tokens were found. The best order of eviction would have found at most "
        "15.0 % more in as many blocks, and a cache without end 25.0 % on top." in page
    )
    (figure,) = [figure for figure in figures_of(summary) if figure.identity == "prefixes"]
    assert [trace["x"] for trace in figure.plot["data"][:3]] == [[50.0], [15.0], [25.0]]


def test_a_run_without_a_cache_has_no_such_section() -> None:
    plain = summarise(tables({("edge", 0): [request()]}), manifest())
    assert "What prompts have in common" not in render(plain, manifest=manifest())
