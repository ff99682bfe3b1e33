"""A node that refuses, one that keeps blocks free, and one that runs fewer than it could: worked by hand."""

import pytest

from sim.platform.rate_limit import Refusal
from tests.support.bench import MS, Bench, Diary, limiters_of, make_bench


def outcomes(bench: Bench) -> list[str]:
    return [row["outcome"] for row in bench.rows()]


def test_a_node_counts_those_who_wait_and_those_who_run_and_refuses_one_more() -> None:
    b = make_bench(seqs=1, max_num_queued_reqs=2)
    diaries = [Diary() for _ in range(3)]
    for at, diary in enumerate(diaries):
        b.submit_at(at, b.request(), diary)
    again = Diary()
    b.submit_at(1000, b.request(), again)
    b.env.run()
    assert [diary.words()[-1] for diary in (*diaries, again)] == ["ended", "ended", "rejected", "ended"]
    assert diaries[2].heard == [
        ("admitted", 2 * MS, None),
        ("rejected", 2 * MS, Refusal("max_num_queued_reqs", 2, 2, 1, None)),
    ]
    row = b.rows()[2]
    assert (row["outcome"], row["node"], row["output_tokens"]) == ("rejected_max_num_queued_reqs", 0, 0)
    assert (row["admitted_ps"], row["started_ps"], row["ended_ps"]) == (2 * MS, -1, 2 * MS)


def test_each_completion_of_a_request_counts() -> None:
    b = make_bench(max_num_queued_reqs=3)
    for at, samples in enumerate((2, 2, 1)):
        b.submit_at(at, b.request(samples=samples), Diary())
    b.env.run()
    assert outcomes(b) == ["completed", "rejected_max_num_queued_reqs", "completed"]


@pytest.mark.parametrize("engine", ["step", "fast"])
def test_a_whole_prompt_counts_until_its_prefill_ends(engine: str) -> None:
    # Steps of 10 tokens: the prompt of 25 is computed at 20, 40 and 55 ms (10 + 10, 10 + 10, 10 + 5).
    b = make_bench(budget=10, max_num_queued_tokens=25, engine=engine)
    b.submit_at(0, b.request(prompt=25, output=2), Diary())
    for at in (1, 54, 56):
        b.submit_at(at, b.request(prompt=1, output=1), Diary())
    b.env.run()
    refused = "rejected_max_num_queued_tokens"
    assert outcomes(b) == ["completed", refused, refused, "completed"]


def test_a_prompt_of_any_size_enters_while_the_queue_is_below_its_limit() -> None:
    b = make_bench(max_num_queued_tokens=10)
    for at, prompt in enumerate((9, 500, 1)):
        b.submit_at(at, b.request(prompt=prompt), Diary())
    b.env.run()
    assert outcomes(b) == ["completed", "completed", "rejected_max_num_queued_tokens"]


def test_requests_are_looked_at_before_tokens_and_a_limit_of_zero_refuses_all() -> None:
    for limits, cause in (
        ({"max_num_queued_reqs": 0, "max_num_queued_tokens": 0}, "rejected_max_num_queued_reqs"),
        ({"max_num_queued_tokens": 0}, "rejected_max_num_queued_tokens"),
    ):
        b = make_bench(**limits)  # type: ignore[arg-type]  # mypy sees no keyword in a dict
        b.submit_at(0, b.request(), Diary())
        b.env.run()
        assert outcomes(b) == [cause]


def test_who_is_refused_by_a_node_pays_for_no_token_but_has_made_a_request() -> None:
    b = make_bench(limits=(10, 100), max_num_queued_reqs=0)
    b.submit_at(0, b.request(prompt=60), Diary())
    b.env.run()
    limiter = limiters_of(b)["project"]
    assert (limiter.tokens.used(0), limiter.requests.used(0), limiter.open) == (0, 1, 0)


def test_whoever_leaves_before_its_first_step_makes_place() -> None:
    b = make_bench(overhead_ms=50, max_num_queued_reqs=1, max_num_queued_tokens=5)
    tickets = b.submit_at(0, b.request(), Diary())
    b.at(10, lambda: tickets[0].cancel())
    b.submit_at(49, b.request(), Diary())
    b.submit_at(51, b.request(), Diary())
    b.env.run()
    assert outcomes(b) == ["cancelled", "rejected_max_num_queued_reqs", "completed"]


@pytest.mark.parametrize("engine", ["step", "fast"])
@pytest.mark.parametrize(("watermark", "started_ms"), [(0, 20), (2, 20), (3, 40), (9, 40)])
def test_blocks_below_the_watermark_are_for_those_who_run(
    engine: str, watermark: int, started_ms: int
) -> None:
    # Of 20 blocks of a token the first takes 10 and grows by one a step; the second needs 7 beside it.
    b = make_bench(kv_blocks=20, watermark_blocks=watermark, engine=engine)
    b.submit_at(0, b.request(prompt=10, output=3), Diary())
    b.submit_at(1, b.request(prompt=7, output=1), Diary())
    b.env.run()
    # At 20 ms the first has its prompt and takes an eleventh block: 9 are free, and 2 with the second.
    assert b.rows()[1]["started_ps"] == started_ms * MS


def test_whoever_would_run_alone_may_have_the_blocks_below_the_watermark() -> None:
    b = make_bench(kv_blocks=20, watermark_blocks=19)
    for at in (0, 1):
        b.submit_at(at, b.request(prompt=15, output=2), Diary())
    b.env.run()
    assert outcomes(b) == ["completed", "completed"]
