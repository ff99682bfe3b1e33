"""Asks and their attempts, worked by hand: 1 ms a prompt token, 10 ms a step, and half a bucket's wait."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from api_shim.exchange.refusals import BUSY, DROPPED, TEXT
from sim.callers.hedging import FixedDelay, Hedging, SlowerThanMost
from sim.callers.retrying import Ask, Asks, Client, failure_of
from sim.platform.rate_limit import Refusal
from sim.platform.refusals import STATUS, answer_to
from sim.platform.ticket import REJECTED
from tests.support.bench import MS, Bench, Diary, make_bench
from traffic.request import Request
from traffic.retry_profiles import RETRY_PROFILES, STATED, Failure, RetryProfile

AT_ONCE = replace(STATED, max_retries=3)
PATIENT = RETRY_PROFILES["openai-python"]


class NoJitter(np.random.Generator):
    def random(self, size: Any = None, *_args: Any, **_options: Any) -> Any:
        return np.zeros(size)


def client_of(b: Bench, profile: RetryProfile, hedging: Hedging | None = None) -> Client:
    rng = NoJitter(np.random.PCG64(1))
    return Client(b.platform, Asks(), lambda: b.request().number, profile, hedging, rng)


def asked(b: Bench, client: Client, at_ms: float = 0, **changes: Any) -> tuple[list[Ask], Diary]:
    """The ask appears in the list when the time has come; the diary is its caller's."""
    asks, diary = list[Ask](), Diary()

    def ask() -> None:
        prompt, output = changes.pop("prompt", 5), changes.pop("output", 3)
        asks.append(client.submit(b.request(prompt, output, **changes), diary))

    b.at(at_ms, ask)
    return asks, diary


def rows_of(client: Client) -> list[dict[str, Any]]:
    records = client.asks.records
    words, columns = records.labels.vocabulary(), records.arrays("number")
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    return [
        {name: words[name][int(v)] if name in words else int(v) for name, v in row.items()} for row in rows
    ]


def attempts(b: Bench) -> list[tuple[int, str, float, float]]:
    """(attempt, outcome, meant, ended) of each, in ms."""
    return [
        (row["attempt"], row["outcome"], row["intended_ps"] / MS, row["ended_ps"] / MS)
        for row in b.rows()
        if row["source"] == "source"
    ]


def test_an_ask_that_is_answered_at_once_is_one_attempt() -> None:
    """15 + 10 + 10 ms at the node, 2 ms on each way."""
    b = make_bench(way_ms=2)
    client = client_of(b, PATIENT)
    _, diary = asked(b, client)
    b.env.run()
    assert diary.heard == [("first", 19 * MS), ("ended", 39 * MS, "stop")]
    (row,) = rows_of(client)
    assert (row["attempts"], row["hedges"], row["outcome"]) == (1, 0, "completed")
    assert (row["intended_ps"], row["first_seen_ps"], row["ended_ps"]) == (0, 19 * MS, 39 * MS)
    assert row["answered_by"] == row["number"]
    assert row["output_tokens"] == 3


def test_a_refused_attempt_is_followed_when_the_platform_said_so() -> None:
    """A limit of 60 a minute with a burst of one gives a place a second."""
    b = make_bench(way_ms=2, limits=(60, 100_000))
    client = client_of(b, PATIENT)
    for _ in range(60):
        b.submit_at(0, b.request(), Diary())
    _, diary = asked(b, client, at_ms=1)
    b.env.run()
    mine = [row for row in attempts(b) if row[2] >= 1]
    # The bucket was empty at 2 ms. Refused at 3 and told at 5 ms to come again in 999 ms.
    assert mine == [(0, "rejected_requests_limit", 1.0, 5.0), (1, "completed", 1004.0, 1043.0)]
    assert diary.words() == ["first", "ended"]
    (row,) = rows_of(client)
    assert (row["attempts"], row["intended_ps"], row["ended_ps"]) == (2, 1 * MS, 1043 * MS)
    assert [one["ask"] for one in b.rows()][-2:] == [row["number"]] * 2
    assert row["answered_by"] == b.rows()[-1]["number"]


def test_who_has_no_retry_left_hears_the_last_refusal() -> None:
    b = make_bench(way_ms=2, max_num_queued_reqs=0)
    client = client_of(b, AT_ONCE)
    _, diary = asked(b, client)
    b.env.run()
    assert attempts(b) == [(n, "rejected_max_num_queued_reqs", 4.0 * n, 4.0 * n + 4) for n in range(4)]
    ((word, at_ps, refusal),) = diary.heard
    assert (word, at_ps, refusal.cause) == ("rejected", 16 * MS, "max_num_queued_reqs")
    (row,) = rows_of(client)
    assert (row["outcome"], row["attempts"], row["answered_by"]) == ("rejected_max_num_queued_reqs", 4, -1)
    assert row["ended_ps"] == 16 * MS
    assert not client.asks.inside


def test_retries_without_any_delay_come_in_turn_at_one_instant() -> None:
    b = make_bench(max_num_queued_reqs=0)
    client = client_of(b, AT_ONCE)
    asked(b, client, at_ms=7)
    b.env.run()
    assert [row[2:] for row in attempts(b)] == [(7.0, 7.0)] * 4


def test_a_back_off_of_openai_doubles() -> None:
    b = make_bench(max_num_queued_reqs=0)
    client = client_of(b, PATIENT)
    asked(b, client)
    b.env.run()
    assert [row[2] for row in attempts(b)] == [0.0, 500.0, 1500.0]


def test_litellm_comes_twice_more_at_once() -> None:
    b = make_bench(max_num_queued_reqs=0)
    client = client_of(b, RETRY_PROFILES["litellm"])
    asked(b, client)
    b.env.run()
    assert [row[2] for row in attempts(b)] == [0.0, 500.0, 1500.0, 1500.0, 1500.0]


def test_a_request_beyond_the_context_is_not_sent_again() -> None:
    b = make_bench(context=10)
    client = client_of(b, PATIENT)
    asked(b, client, prompt=50)
    b.env.run()
    assert [row[1] for row in attempts(b)] == ["rejected_context"]


# Time-outs


def test_a_client_hangs_up_when_it_hears_nothing_and_asks_again() -> None:
    """An answer in one piece takes 15 + 29 x 10 ms and the way; the client waits 100 ms once connected."""
    b = make_bench(set_up_ms=3, way_ms=2)
    client = client_of(b, replace(AT_ONCE, timeout_s=0.1))
    _, diary = asked(b, client, output=30, stream=False)
    b.env.run()
    assert attempts(b) == [
        (0, "timeout", 0.0, 103.0),
        (1, "timeout", 103.0, 203.0),
        (2, "timeout", 203.0, 303.0),
        (3, "timeout", 303.0, 403.0),
    ]
    assert diary.heard == [("ended", 403 * MS, "timeout")]
    (node,) = b.pool.nodes
    assert not node.kernel.running


def test_an_answer_on_its_way_when_the_client_hangs_up_is_lost() -> None:
    """Made after 15 ms, at the caller after 65; the client hangs up at 40 ms."""
    b = make_bench(way_ms=0, last_ms=50)
    client = client_of(b, replace(AT_ONCE, max_retries=1, timeout_s=0.04))
    _, diary = asked(b, client, output=1, stream=False)
    b.env.run()
    assert attempts(b) == [(0, "timeout", 0.0, 40.0), (1, "timeout", 40.0, 80.0)]
    assert diary.heard == [("ended", 80 * MS, "timeout")]


def test_a_stream_is_heard_with_its_first_token_and_never_times_out_after_it() -> None:
    b = make_bench(way_ms=2)
    client = client_of(b, replace(AT_ONCE, timeout_s=0.02))
    asked(b, client, output=30)
    b.env.run()
    assert attempts(b) == [(0, "completed", 0.0, 309.0)]


def test_a_stream_whose_first_token_is_on_its_way_times_out_all_the_same() -> None:
    """At the caller after 2 + 15 + 20 = 37 ms."""
    b = make_bench(way_ms=20)
    client = client_of(b, replace(AT_ONCE, max_retries=1, timeout_s=0.05))
    asked(b, client, output=1)
    b.env.run()
    assert attempts(b) == [(0, "timeout", 0.0, 50.0), (1, "timeout", 50.0, 100.0)]
    (row,) = rows_of(client)
    assert (row["first_seen_ps"], row["outcome"]) == (-1, "timeout")


def test_a_stream_opens_with_a_comment_after_four_seconds() -> None:
    """Behind 8 s of prompts; 8080's client gives up after 5 s of silence, and is not silent so long."""
    b = make_bench(seqs=1, budget=10_000, context=10_000, kv_blocks=10_000)
    b.submit_at(0, b.request(8000, 1), Diary())
    client = client_of(b, RETRY_PROFILES["e80-sdk"])
    _, streamed = asked(b, client, at_ms=1)
    _, whole = asked(b, client, at_ms=1, stream=False)
    b.env.run()
    assert streamed.heard[-1] == ("ended", 8045 * MS, "stop")
    assert whole.heard == [("ended", 5001 * MS, "timeout")]


def test_what_fails_after_a_stream_has_opened_is_not_sent_again() -> None:
    b = make_bench(seqs=1, budget=10_000, context=10_000, kv_blocks=10_000)
    client = client_of(b, AT_ONCE)
    asks, diary = asked(b, client, prompt=6000)
    b.at(3999, lambda: b.platform.abandon(asks[0]._open[0].ticket, "node_lost"))  # type: ignore[arg-type]
    b.at(9000, lambda: b.platform.abandon(asks[0]._open[0].ticket, "node_lost"))  # type: ignore[arg-type]
    b.env.run()
    # Sent again at 3,999 ms, when it had no byte; open since 7,999 ms.
    assert [row[1:3] for row in attempts(b)] == [("node_lost", 0.0), ("node_lost", 3999.0)]
    assert diary.heard == [("ended", 9000 * MS, "node_lost")]


def test_a_caller_gives_up_over_all_attempts_together() -> None:
    """At 900 ms, while the client waits for its second retry at 1,500."""
    b = make_bench(max_num_queued_reqs=0)
    client = client_of(b, PATIENT)
    _, diary = asked(b, client, deadline_ps=900 * MS)
    b.env.run()
    assert [row[2] for row in attempts(b)] == [0.0, 500.0]
    assert diary.heard == [("ended", 900 * MS, "timeout")]
    (row,) = rows_of(client)
    assert (row["outcome"], row["ended_ps"]) == ("timeout", 900 * MS)


def test_the_deadline_of_the_ask_goes_before_that_of_a_read() -> None:
    b = make_bench()
    client = client_of(b, replace(AT_ONCE, timeout_s=0.1))
    _, diary = asked(b, client, output=100, deadline_ps=250 * MS, stream=False)
    b.env.run()
    assert [row[3] for row in attempts(b)] == [100.0, 200.0, 250.0]
    assert diary.heard == [("ended", 250 * MS, "timeout")]


# Leaving


@pytest.mark.parametrize(("at_ms", "sent"), [(10, 1), (300, 1), (600, 2)])
def test_who_leaves_takes_every_attempt_along(at_ms: int, sent: int) -> None:
    """While an attempt is under way, or between two."""
    b = make_bench(max_num_queued_reqs=None if at_ms == 10 else 0)
    client = client_of(b, PATIENT)
    asks, diary = asked(b, client, output=50)
    b.at(at_ms, lambda: asks[0].cancel())
    b.at(at_ms + 1, lambda: asks[0].cancel())
    b.env.run()
    assert diary.heard[-1] == ("ended", at_ms * MS, "cancelled")
    assert diary.words().count("ended") == 1
    assert len(attempts(b)) == sent
    assert rows_of(client)[0]["outcome"] == "cancelled"


def test_an_ask_between_two_attempts_when_the_run_ends_is_unfinished() -> None:
    b = make_bench(max_num_queued_reqs=0)
    client = client_of(b, PATIENT)
    asked(b, client)
    b.env.run_before(200 * MS)
    client.asks.record_unfinished()
    (row,) = rows_of(client)
    assert (row["outcome"], row["attempts"], row["ended_ps"]) == ("unfinished", 1, -1)


# Hedges


def test_a_copy_is_sent_when_there_is_no_token_in_time_and_the_first_to_answer_wins() -> None:
    """Node 0 computes a prompt of 200 ms; the copy goes to node 1 after 50 ms and has a token 15 ms later."""
    b = make_bench(nodes=2, routing="round_robin", seqs=1, prefill="whole")
    client = client_of(b, RETRY_PROFILES["none"], FixedDelay(50 * MS, 1))
    b.submit_at(0, b.request(190, 1), Diary())
    _, diary = asked(b, client, at_ms=1)
    b.submit_at(0.5, b.request(5, 1), Diary())
    b.env.run()
    mine = [row for row in b.rows() if row["intended_ps"] >= MS]
    assert [(row["attempt"], row["node"], row["outcome"]) for row in mine] == [
        (0, 0, "cancelled"),
        (1, 1, "completed"),
    ]
    assert diary.heard == [("first", 66 * MS), ("ended", 86 * MS, "stop")]
    (row,) = rows_of(client)
    assert (row["attempts"], row["hedges"], row["answered_by"]) == (2, 1, mine[1]["number"])
    assert (row["intended_ps"], row["ended_ps"]) == (MS, 86 * MS)
    assert mine[0]["ended_ps"] == 66 * MS  # the loser is left when the winner's token is there


def test_no_copy_is_sent_where_the_first_token_comes_in_time() -> None:
    """At the caller after 15 + 4 ms."""
    b = make_bench(way_ms=2)
    client = client_of(b, RETRY_PROFILES["none"], FixedDelay(19 * MS, 1))
    asked(b, client)
    b.env.run()
    assert len(attempts(b)) == 1
    b = make_bench(way_ms=2)
    client = client_of(b, RETRY_PROFILES["none"], FixedDelay(19 * MS - 1, 1))
    asked(b, client)
    b.env.run()
    assert [row[1] for row in attempts(b)] == ["completed", "cancelled"]


def test_the_copy_of_a_request_may_fail_and_the_request_goes_on() -> None:
    b = make_bench(max_num_queued_reqs=1)
    client = client_of(b, AT_ONCE, FixedDelay(10 * MS, 1))
    _, diary = asked(b, client, output=5, stream=False)
    b.env.run()
    assert [row[1:3] for row in attempts(b)] == [("completed", 0.0), ("rejected_max_num_queued_reqs", 10.0)]
    assert diary.heard == [("ended", 55 * MS, "stop")]


def test_a_request_is_retried_when_all_its_copies_have_failed() -> None:
    b = make_bench(max_num_queued_reqs=0, way_ms=4)
    client = client_of(b, replace(AT_ONCE, max_retries=1), FixedDelay(6 * MS, 1))
    asked(b, client)
    b.env.run()
    # The first is refused at 8 ms, its copy of 6 ms at 14; then the retry, and no more copies.
    assert [row[2:] for row in attempts(b)] == [(0.0, 8.0), (6.0, 14.0), (14.0, 22.0)]
    (row,) = rows_of(client)
    assert (row["attempts"], row["hedges"], row["outcome"]) == (3, 1, "rejected_max_num_queued_reqs")


def test_a_quantile_is_that_of_the_last_thousand_by_nearest_rank() -> None:
    hedging = SlowerThanMost(0.95, 1)
    for span in range(1, 100):
        hedging.took(span)
    assert hedging.delay_ps() is None
    hedging.took(100)
    assert hedging.delay_ps() == 95
    for span in range(1001, 2001):
        hedging.took(span)
    assert hedging.delay_ps() == 1950


# What clients read in a refusal


def test_the_statuses_of_refusals_are_those_that_the_server_answers_with() -> None:
    assert set(STATUS) == set(REJECTED)
    served = {"context": 400} | dict.fromkeys(TEXT, 429) | dict.fromkeys(BUSY, 503)
    served |= {cause: int(dropped.status) for cause, dropped in DROPPED.items()}
    assert served == STATUS


def test_only_limits_say_when_to_come_again() -> None:
    assert answer_to(Refusal("requests", 1, 1, 1, 1)) == Failure(429, retry_after_s=0.001)
    assert answer_to(Refusal("tokens", 1, 1, 1, 1500 * MS + 1)) == Failure(429, retry_after_s=1.501)
    assert answer_to(Refusal("tokens", 1, 0, 2, None)) == Failure(429, should_retry=False)
    assert answer_to(Refusal("saturated", 1, 1, 1, None)) == Failure(429)
    assert failure_of("node_lost", None) == Failure(503)
    assert failure_of("path_lost", None) == Failure(None)
    assert failure_of("timeout", None) == Failure(None, timed_out=True)


def test_a_request_without_a_client_is_its_own_ask() -> None:
    b = make_bench()
    b.submit_at(0, b.request(), Diary())
    b.env.run()
    (row,) = b.rows()
    assert (row["ask"], row["attempt"]) == (row["number"], 0)
    assert Request.__dataclass_fields__["ask"].default == -1
