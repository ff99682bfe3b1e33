"""Timelines worked out by hand. A prompt of 5 tokens takes 15 ms, each further token 10 ms."""

from dataclasses import replace

import pytest

from sim.platform.rate_limit import Refusal
from tests.support.bench import MS, Diary, limiters_of, make_bench


def ms(row: dict[str, int], *names: str) -> list[float]:
    return [row[f"{name}_ps"] / MS for name in names]


def test_a_lone_request_pays_two_hops_its_prefill_and_its_decode() -> None:
    b, diary = make_bench(set_up_ms=8, way_ms=3, gateway_ms=1), Diary()
    b.submit_at(100, b.request(prompt=5, output=3), diary)
    b.env.run()
    (row,) = b.rows()
    stamps = ms(row, "intended", "sent", "connected", "arrived", "admitted", "started", "first", "last")
    assert stamps == [100, 100, 108, 111, 112, 112, 127, 147]
    assert ms(row, "first_seen", "ended") == [130, 150]
    assert row["outcome"] == "completed"
    assert row["finish_reason"] == "stop"
    assert row["cold"] == 1
    assert (row["prompt_tokens"], row["output_tokens"], row["node"]) == (5, 3, 0)
    assert diary.heard == [
        ("admitted", 115 * MS, None),
        ("first", 130 * MS),
        ("ended", 150 * MS, "stop"),
    ]
    assert b.link.released == [(0, 150 * MS)]


def test_a_second_request_on_a_warm_connection_skips_the_set_up() -> None:
    b = make_bench(set_up_ms=8, way_ms=3)
    for at in (0, 200):
        b.submit_at(at, b.request(), Diary())
    b.env.run()
    assert [row["cold"] for row in b.rows()] == [1, 0]
    assert ms(b.rows()[1], "connected", "arrived") == [200, 203]


def test_who_does_not_stream_sees_everything_at_the_end() -> None:
    b, diary = make_bench(way_ms=3), Diary()
    b.submit_at(0, b.request(stream=False), diary)
    b.env.run()
    assert diary.words() == ["admitted", "ended"]
    (row,) = b.rows()
    assert ms(row, "first", "first_seen", "ended") == [18, 41, 41]


def test_the_first_of_two_tokens_never_arrives_after_the_last() -> None:
    b = make_bench(way_ms=30, last_ms=1)
    b.submit_at(0, b.request(output=2), Diary())
    b.env.run()
    (row,) = b.rows()
    assert ms(row, "last", "first_seen", "ended") == [55, 75, 75]


def test_a_stated_cap_that_was_reached_reads_length() -> None:
    b, diary = make_bench(), Diary()
    b.submit_at(0, b.request(output=3, max_output_tokens=3), diary)
    b.env.run()
    assert diary.heard[-1] == ("ended", 35 * MS, "length")


def test_the_gateway_serves_so_many_at_once_in_order_of_arrival() -> None:
    b = make_bench(gateway_ms=4, concurrency=2)
    for _ in range(5):
        b.submit_at(0, b.request(), Diary())
    b.env.run()
    assert [ms(row, "admitted")[0] for row in b.rows()] == [4, 4, 8, 8, 12]


def test_a_request_beyond_the_context_is_refused_before_any_limit_counts_it() -> None:
    b, diary = make_bench(context=100, limits=(10, 1000), way_ms=2), Diary()
    b.submit_at(0, b.request(prompt=60, output=5, max_output_tokens=41), diary)
    b.env.run()
    assert diary.heard == [("rejected", 4 * MS, Refusal("context", 100, 0, 101, None))]
    (row,) = b.rows()
    assert row["outcome"] == "rejected_context"
    assert (row["node"], row["admitted_ps"], row["started_ps"]) == (-1, -1, -1)
    assert limiters_of(b) == {}


def test_limits_reserve_prompt_and_cap_and_settle_to_what_was_made() -> None:
    b, diary = make_bench(limits=(100, 100)), Diary()
    b.submit_at(0, b.request(prompt=20, output=3, max_output_tokens=80), Diary())
    b.submit_at(1, b.request(prompt=20, output=3, max_output_tokens=50), diary)
    b.submit_at(60, b.request(prompt=20, output=3, max_output_tokens=50), diary)
    b.env.run()
    # 100 reserved at 0; the first request ends at 50 ms having used 23.
    assert [row["outcome"] for row in b.rows()] == ["completed", "rejected_tokens_limit", "completed"]
    refusal = diary.heard[0][2]
    assert (refusal.cause, refusal.limit, refusal.used, refusal.requested) == ("tokens", 100, 100, 70)
    headroom = diary.heard[1][2]
    assert headroom["tokens"][:2] == (100, 7)  # 23 + 70 in use, refill rounds down


def test_a_request_without_a_cap_reserves_the_default() -> None:
    b, diary = make_bench(limits=(100, 100)), Diary()
    b.submit_at(0, b.request(prompt=20), diary)
    b.env.run()
    assert diary.heard[0][2]["tokens"].remaining == 70


def test_overhead_delays_a_request_and_leaves_its_neighbours_alone() -> None:
    b = make_bench(overhead_ms=7)
    b.submit_at(0, b.request(output=10), Diary())
    b.submit_at(30, b.request(output=1), Diary())
    b.env.run()
    first, second = b.rows()
    assert ms(first, "started", "first", "overhead") == [7, 22, 7]
    # Ready at 37 in the step that ends at 42; there its prompt of 5 tokens makes a step of 15 ms.
    assert ms(second, "started", "first") == [42, 57]


def test_overhead_that_holds_the_slot_makes_the_next_request_wait_for_all_of_it() -> None:
    b = make_bench(overhead_ms=7, seqs=1, slots=1)
    for _ in range(2):
        b.submit_at(0, b.request(output=1), Diary())
    b.env.run()
    assert [ms(row, "started", "last") for row in b.rows()] == [[7, 22], [29, 44]]


def test_overhead_that_does_not_hold_the_slot_passes_while_the_other_is_served() -> None:
    b = make_bench(overhead_ms=7, seqs=1)
    for _ in range(2):
        b.submit_at(0, b.request(output=1), Diary())
    b.env.run()
    assert [ms(row, "started", "last") for row in b.rows()] == [[7, 22], [22, 37]]


@pytest.mark.parametrize(("routing", "nodes"), [("least_outstanding", [0, 1, 1]), ("round_robin", [0, 1, 0])])
def test_routing_chooses_the_node(routing: str, nodes: list[int]) -> None:
    b = make_bench(nodes=2, routing=routing)
    b.submit_at(0, b.request(output=20), Diary())
    b.submit_at(1, b.request(output=1), Diary())
    b.submit_at(30, b.request(output=1), Diary())
    b.env.run()
    assert [row["node"] for row in b.rows()] == nodes


def test_tokens_reach_the_caller_one_way_after_they_were_made() -> None:
    b = make_bench(way_ms=3)
    (tickets, seen) = (b.submit_at(0, b.request(output=3), Diary()), [])
    for at in (20.999, 21, 30.999, 31, 40.999, 41, 100):
        b.at(at, lambda: seen.append(tickets[0].tokens_by(b.env.now)))
    b.env.run()
    assert seen == [0, 1, 1, 2, 2, 3, 3]


def test_several_samples_of_one_prompt_are_one_request() -> None:
    b, diary = make_bench(limits=(100, 1000)), Diary()
    tickets = b.submit_at(0, b.request(output=3, samples=2), diary)
    b.env.run()
    (row,) = b.rows()
    assert (row["samples"], row["output_tokens"]) == (2, 6)
    assert diary.words() == ["admitted", "first", "ended"]
    assert [tickets[0].tokens_by(b.env.now, sample) for sample in (0, 1)] == [3, 3]


def test_a_request_with_more_samples_than_slots_takes_all_of_them() -> None:
    b = make_bench(overhead_ms=5, slots=2, seqs=2)
    b.submit_at(0, b.request(prompt=5, output=1, samples=3), Diary())
    b.submit_at(1, b.request(prompt=5, output=1), Diary())
    b.env.run()
    # Five tokens of the first sample and the last one of the second, 16 ms from 5 on. They take the prompt's
    # blocks with them, so the third computes it anew in 15 ms; then come 5 ms and 15 ms.
    assert [ms(row, "last")[0] for row in b.rows()] == [36, 56]


def test_a_place_in_the_queue_that_is_given_up_lets_a_smaller_request_in() -> None:
    b = make_bench(overhead_ms=5, slots=2, seqs=2)
    b.submit_at(0, b.request(prompt=5, output=9), Diary())
    large = b.submit_at(1, b.request(samples=2), Diary())
    b.submit_at(2, b.request(prompt=5, output=1), Diary())
    b.at(4, lambda: large[0].cancel())
    b.env.run()
    assert [ms(row, "overhead", "started")[1] for row in b.rows()] == [5, -1 / MS, 20]


# Leaving early


def test_a_caller_who_leaves_while_decoding_frees_the_slot_at_the_next_boundary() -> None:
    b, diary = make_bench(seqs=1), Diary()
    tickets = b.submit_at(0, b.request(output=50), diary)
    b.submit_at(1, b.request(output=1), Diary())
    b.at(31, lambda: tickets[0].cancel())
    b.env.run()
    first, second = b.rows()
    assert (first["outcome"], first["output_tokens"]) == ("cancelled", 3)
    assert ms(first, "last", "ended") == [35, 31]
    assert ms(second, "started") == [35]
    assert diary.words() == ["admitted", "first", "ended"]
    assert b.link.released[0][0] == 1  # the connection of a caller who left is closed


@pytest.mark.parametrize("leave_ms", [0, 2, 4, 5, 8, 20])
def test_a_caller_may_leave_at_any_stage_and_everything_comes_back(leave_ms: float) -> None:
    b, diary = make_bench(way_ms=3, gateway_ms=2, overhead_ms=5, slots=1, seqs=1), Diary()
    tickets = b.submit_at(0, b.request(), diary)
    b.submit_at(0, b.request(), Diary())
    b.at(leave_ms, lambda: tickets[0].cancel())
    b.at(leave_ms, lambda: tickets[0].cancel())
    b.env.run()
    assert [row["outcome"] for row in b.rows()] == ["cancelled", "completed"]
    assert diary.words()[-1] == "ended"
    assert diary.words().count("ended") == 1
    node = b.platform.pools["m"].nodes[0]
    assert (node.outstanding, node.kernel.free_blocks, node.kernel.running) == (0, 2000, 0)
    assert b.platform.inside == {}


def test_a_waiting_caller_who_leaves_gives_up_the_place_in_the_queue() -> None:
    b = make_bench(overhead_ms=5, slots=1, seqs=1)
    b.submit_at(0, b.request(output=1), Diary())
    waiting = b.submit_at(1, b.request(output=1), Diary())
    b.submit_at(2, b.request(output=1), Diary())
    b.at(3, lambda: waiting[0].cancel())
    b.env.run()
    assert [ms(row, "ended")[0] for row in b.rows()] == [20, 3, 40]


def test_who_leaves_before_the_first_token_arrives_never_sees_it() -> None:
    b, diary = make_bench(way_ms=10), Diary()
    tickets = b.submit_at(0, b.request(output=3), diary)
    b.at(30, lambda: tickets[0].cancel())
    b.at(99, lambda: diary.heard.append(("tokens", tickets[0].tokens_by(b.env.now))))
    b.env.run()
    (row,) = b.rows()
    assert ms(row, "first", "ended") == [25, 30]
    assert row["first_seen_ps"] == -1
    assert diary.heard[1:] == [("first", 35 * MS), ("ended", 30 * MS, "cancelled"), ("tokens", 0)]


def test_who_leaves_keeps_the_tokens_that_had_arrived() -> None:
    b, seen = make_bench(way_ms=3), []
    tickets = b.submit_at(0, b.request(output=9), Diary())
    for at in (30, 31, 33, 34, 50):  # tokens are made at 18, 28, 38 ms and arrive 3 ms later
        b.at(at, lambda: seen.append(tickets[0].tokens_by(b.env.now)))
    b.at(33, lambda: tickets[0].cancel())
    b.env.run()
    assert seen == [1, 2, 2, 2, 2]


def test_leaving_after_the_answer_is_on_its_way_changes_nothing() -> None:
    b = make_bench(way_ms=10)
    tickets = b.submit_at(0, b.request(output=1), Diary())
    b.at(30, lambda: tickets[0].cancel())
    b.env.run()
    (row,) = b.rows()
    assert (row["outcome"], row["ended_ps"]) == ("completed", 35 * MS)


def test_a_last_token_beats_a_cancel_of_the_same_instant() -> None:
    b = make_bench()
    tickets = b.submit_at(0, b.request(output=1), Diary())
    b.at(15, lambda: tickets[0].cancel())
    b.env.run()
    (row,) = b.rows()
    assert (row["outcome"], row["output_tokens"]) == ("completed", 1)


@pytest.mark.parametrize("output", [3, 2000], ids=["answered", "refused"])
def test_a_deadline_is_forgotten_when_the_outcome_is_known(output: int) -> None:
    b = make_bench(way_ms=1)
    tickets = b.submit_at(0, b.request(output=output, max_output_tokens=output, deadline_ps=10**18), Diary())
    b.env.run_before(10**12)
    assert tickets[0].outcome
    assert b.env.next_ps is None


@pytest.mark.parametrize(
    ("deadline_ms", "outcome", "ended_ms"), [(20, "timeout", 20), (44, "timeout", 44), (45, "completed", 45)]
)
def test_a_deadline_counts_at_the_callers_end(deadline_ms: int, outcome: str, ended_ms: int) -> None:
    b, diary = make_bench(way_ms=5), Diary()
    b.submit_at(0, b.request(output=3, deadline_ps=deadline_ms * MS), diary)
    b.env.run()
    (row,) = b.rows()
    assert (row["outcome"], row["ended_ps"]) == (outcome, ended_ms * MS)
    assert diary.words().count("ended") == 1


# Prompt 15 ms, tokens at 20, 30 and 40 ms at the node, 5 ms of way: the last one arrives at 45 ms.
@pytest.mark.parametrize("deadline_ms", [3, 20, 39, 42, 44])
def test_whoever_times_out_closes_the_connection_wherever_the_answer_is(deadline_ms: int) -> None:
    b = make_bench(way_ms=5)
    b.submit_at(0, b.request(output=3, deadline_ps=deadline_ms * MS), Diary())
    b.env.run()
    assert [(row["outcome"], row["ended_ps"]) for row in b.rows()] == [("timeout", deadline_ms * MS)]
    assert b.link.released == []


# 2 ms to set a connection up and 5 ms of way.
@pytest.mark.parametrize(
    ("deadline_ms", "connected_ms", "arrived_ms"), [(1, None, None), (2, 2, None), (6, 2, None), (7, 2, 7)]
)
def test_whoever_leaves_on_the_way_in_has_no_stamps_of_the_rest_of_it(
    deadline_ms: int, connected_ms: int | None, arrived_ms: int | None
) -> None:
    b = make_bench(way_ms=5, set_up_ms=2)
    b.submit_at(0, b.request(output=3, deadline_ps=deadline_ms * MS), Diary())
    b.env.run()
    (row,) = b.rows()
    stamps = [row["sent_ps"], row["connected_ps"], row["arrived_ps"], row["ended_ps"]]
    expected = [0, connected_ms, arrived_ms, deadline_ms]
    assert stamps == [-1 if one is None else one * MS for one in expected]


@pytest.mark.parametrize(
    ("deadline_ms", "outcome", "ended_ms"),
    [(3, "timeout", 3), (9, "timeout", 9), (10, "rejected_context", 10), (None, "rejected_context", 10)],
)
def test_a_refusal_that_comes_too_late_is_a_timeout(
    deadline_ms: int | None, outcome: str, ended_ms: int
) -> None:
    b, diary = make_bench(way_ms=5, context=10), Diary()
    deadline_ps = None if deadline_ms is None else deadline_ms * MS
    b.submit_at(0, b.request(prompt=8, output=3, deadline_ps=deadline_ps), diary)
    b.env.run()
    (row,) = b.rows()
    assert (row["outcome"], row["ended_ps"], row["admitted_ps"]) == (outcome, ended_ms * MS, -1)
    assert diary.words() == ["ended" if outcome == "timeout" else "rejected"]
    assert [free_ps for _, free_ps in b.link.released] == ([] if outcome == "timeout" else [10 * MS])


def test_feedback_without_delay_joins_the_next_step() -> None:
    b = make_bench()
    b.submit_at(0, b.request(output=10), Diary())
    again = b.request(output=1)
    diary = Diary(on_end=lambda _: b.platform.submit(replace(again, intended_ps=b.env.now), Diary()))
    b.submit_at(0, b.request(output=1), diary)
    b.env.run()
    # Both prompts share the step to 20 ms. The answer at 20 sets off a request that enters at 30.
    assert [ms(row, "started")[0] for row in b.rows()] == [0, 30, 0]


def test_what_is_inside_at_the_end_of_a_run_is_recorded_as_unfinished() -> None:
    b = make_bench()
    b.submit_at(0, b.request(output=100), Diary())
    b.env.run_before(36 * MS)
    b.platform.record_unfinished()
    (row,) = b.rows()
    assert (row["outcome"], row["output_tokens"], row["ended_ps"]) == ("unfinished", 3, -1)


def test_every_completion_of_a_request_is_reserved_and_what_they_used_is_counted() -> None:
    """A prompt of 10 and three completions of at most 20 tokens reserve 70; they make 2 each: 16 in all."""
    b, diary = make_bench(limits=(1000, 70)), Diary()
    b.submit_at(0, b.request(prompt=10, output=2, max_output_tokens=20, samples=3), diary)
    b.env.run()
    (_, _, headroom), *_ = diary.heard
    assert headroom["tokens"].remaining == 0
    limiter = limiters_of(b)["project"]
    # Of the 70, those that were not used come back at the end; of the 16, 70 a minute have refilled by then.
    assert limiter.tokens.used(b.env.now) == 16
    refused = Diary()
    b = make_bench(limits=(1000, 69))
    b.submit_at(0, b.request(prompt=10, output=2, max_output_tokens=20, samples=3), refused)
    b.env.run()
    (_, _, refusal), *_ = refused.heard
    assert (refusal.cause, refusal.requested) == ("tokens", 70)


def test_completions_without_a_stated_maximum_reserve_the_default_each() -> None:
    b, diary = make_bench(limits=(1000, 39)), Diary()
    b.submit_at(0, b.request(prompt=10, output=2, samples=3), diary)  # the default is 10 here
    b.env.run()
    (_, _, refusal), *_ = diary.heard
    assert (refusal.cause, refusal.requested) == ("tokens", 40)


def test_batch_work_spends_its_own_budget_and_nothing_of_the_interactive_one() -> None:
    b = make_bench(limits=(2, 1000), batch_limits=(1, 1000))
    batch, refused = Diary(), Diary()
    b.submit_at(0, b.request(batch=True), batch)
    b.submit_at(1, b.request(batch=True), refused)
    interactive = [Diary() for _ in range(3)]
    for at, diary in enumerate(interactive):
        b.submit_at(2 + at, b.request(), diary)
    b.env.run()
    assert batch.words() == ["admitted", "first", "ended"]
    assert [diary.words()[0] for diary in interactive] == ["admitted", "admitted", "rejected"]
    ((_, at_ps, refusal),) = refused.heard
    assert at_ps == 1 * MS
    assert refusal == Refusal("requests", 1, 1, 1, 59_999 * MS)
    headroom = batch.heard[0][2]
    assert headroom["requests"][:2] == (1, 0)


def test_batch_work_without_a_budget_of_its_own_has_no_limits() -> None:
    b = make_bench(limits=(1, 1000))
    diaries = [Diary() for _ in range(4)]
    for at, diary in enumerate(diaries):
        b.submit_at(at, b.request(batch=at < 3), diary)
    b.env.run()
    assert {diary.words()[0] for diary in diaries} == {"admitted"}
    assert limiters_of(b)["project"].requests.used(b.env.now) == 1
