"""Columns of text."""

from reports.terminal import WIDTH, columns


def test_the_first_columns_begin_alike_and_the_others_end_alike() -> None:
    assert columns([["source", "", "p50"], ["chat", "TTFT", "1,230"], ["", "E2E", "9"]], left=2) == [
        "  source          p50",
        "  chat    TTFT  1,230",
        "          E2E       9",
    ]


def test_only_what_may_shrink_is_cut_off() -> None:
    head, row = columns([["place", "number"], ["x" * 200, "12345"]], left=1, shrinking=(0,))
    assert len(row) == WIDTH
    assert row.endswith("x…   12345")
    assert head.endswith("  number")


def test_text_is_not_markup() -> None:
    assert columns([["[red]chat[/red]", ":smile:"]], left=2) == ["  [red]chat[/red]  :smile:"]
