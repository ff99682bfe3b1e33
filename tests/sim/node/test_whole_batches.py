"""Batches that nobody joins, by hand. A step takes 10 ms, and 1 ms for each prompt token in it."""

from typing import Any

import pytest

from tests.support.bench import MS, Bench, Diary, make_bench

engines = pytest.mark.parametrize("engine", ["step", "fast"])


def asked(bench: Bench, *asks: tuple[int, int, int]) -> list[dict[str, Any]]:
    """The rows of requests that come at these ms, with so many tokens in and out."""
    for at, prompt, output in asks:
        bench.submit_at(at, bench.request(prompt, output), Diary())
    bench.env.run()
    return bench.rows()


def ms(rows: list[dict[str, Any]], stamp: str) -> list[float]:
    return [row[f"{stamp}_ps"] / MS for row in rows]


@engines
def test_a_static_batch_starts_when_it_is_full_and_leaves_together(engine: str) -> None:
    # Two of 5 tokens at 8 ms: 20 ms to the first token. Then 10 ms a token: the longer ends at 58.
    b = make_bench(seqs=2, admission="static", engine=engine)
    rows = asked(b, (0, 5, 1), (8, 5, 4), (9, 5, 1), (60, 5, 1), (70, 5, 1))
    assert ms(rows, "started") == [8, 8, 60, 60]
    assert ms(rows, "first") == [28, 28, 80, 80]
    assert ms(rows, "last") == [58, 58, 80, 80]
    assert len(b.platform.inside) == 1, "nobody comes to complete the batch of number 5"


@engines
@pytest.mark.parametrize("stream", [True, False])
def test_an_answer_of_a_static_batch_ends_for_its_caller_when_the_batch_does(
    engine: str, stream: bool
) -> None:
    # The way is 3 ms. Both have their first token at 23 ms; the batch is through at 43.
    b = make_bench(seqs=2, admission="static", way_ms=3, engine=engine)
    for output in (1, 3):
        b.submit_at(0, b.request(5, output, stream=stream), Diary())
    b.env.run()
    assert ms(b.rows(), "ended") == [46, 46]
    assert ms(b.rows(), "first_seen") == ([26, 26] if stream else [46, 46])


@engines
def test_a_dynamic_batch_starts_when_the_first_has_waited_and_each_leaves_when_done(engine: str) -> None:
    # Numbers 1 and 2 start at 15, 4 has to wait for the longest of them, and then for 15 ms from 40 on.
    b = make_bench(seqs=3, admission="dynamic", max_queue_delay_ms=15, engine=engine)
    rows = asked(b, (0, 5, 1), (8, 5, 3), (40, 5, 1))
    assert ms(rows, "started") == [15, 15, 55]
    assert ms(rows, "last") == [35, 55, 70]


@engines
def test_a_dynamic_batch_that_is_full_waits_no_longer(engine: str) -> None:
    b = make_bench(seqs=2, admission="dynamic", max_queue_delay_ms=1000, engine=engine)
    assert ms(asked(b, (0, 5, 1), (8, 5, 1), (9, 5, 1)), "started") == [8, 8, 1009]


@engines
def test_members_enter_as_the_token_budget_allows_and_nobody_else_does(engine: str) -> None:
    # A budget of 6 tokens: the second prompt has 1 in the first step, 5 in the next, of which the first one's
    # token takes 1: 4 and 1 are left for later. Number 3 has a slot and the tokens from 48 on, but no place.
    b = make_bench(seqs=3, admission="dynamic", max_queue_delay_ms=0, budget=6, engine=engine)
    b.submit_at(0, b.request(5, 6), Diary())
    b.submit_at(0, b.request(5, 1), Diary())
    rows = asked(b, (1, 5, 1))
    assert ms(rows, "started") == [0, 0, rows[0]["last_ps"] / MS]
    assert rows[1]["last_ps"] < rows[0]["last_ps"]


@engines
def test_who_leaves_a_batch_that_forms_is_not_waited_for(engine: str) -> None:
    # The first to come is gone by 5: the next has waited 20 ms at 30.
    b = make_bench(seqs=3, admission="dynamic", max_queue_delay_ms=20, engine=engine)
    first = b.submit_at(0, b.request(5, 1), Diary())
    b.at(5, lambda: first[0].cancel())
    rows = asked(b, (10, 5, 1))
    assert ms(rows, "started") == [-1 / MS, 30]
    assert ms(rows, "last") == [5, 45]


@engines
def test_who_is_preempted_returns_to_the_same_batch(engine: str) -> None:
    b = make_bench(seqs=2, admission="static", kv_blocks=12, engine=engine)
    rows = asked(b, (0, 4, 5), (0, 4, 5), (1, 4, 1))
    assert [row["preemptions"] for row in rows] == [0, 1]
    assert rows[0]["last_ps"] == rows[1]["last_ps"] > 0
    assert len(b.platform.inside) == 1
