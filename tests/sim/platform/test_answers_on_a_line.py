"""A platform whose caller is behind a thin line: what streams see, and which connections are used again."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.network import KeepAlive, Link
from sim.network.hops import Hop
from sim.network.path import Path
from sim.platform.links import Links
from sim.platform.ticket import Ticket
from tests.support.bench import MS, Bench, Diary, make_bench

EVENT_MS = 14.88
"""186 bytes at 0.1 Mbit/s. The node makes a token in 10 ms; a prompt of 5 takes it 15 ms."""


def bench_behind(down_mbit_per_s: float, rtt_ms: float = 0.0) -> Bench:
    bench = make_bench(seqs=20)
    hop = Hop("line", "custom", rtt_ms, None, 0.0, float("inf"), down_mbit_per_s, (), shared=True)
    keep_alive = KeepAlive(tls="none", dns_lookup_ms=0)
    real = Link(Path((hop,)), np.random.default_rng(1), keep_alive)
    bench.platform.links = Links(lambda _caller, _place: real, list)
    return bench


def looked_at(bench: Bench, tickets: list[Ticket], times_ms: list[float]) -> list[int]:
    """Tokens that have come by then."""
    seen: list[int] = []

    def look() -> None:
        seen.append(tickets[0].tokens_by(bench.env.now))

    for at_ms in times_ms:
        bench.at(at_ms, look)
    bench.env.run()
    return seen


def test_tokens_come_no_faster_than_their_bytes() -> None:
    bench = bench_behind(0.1)
    tickets = bench.submit_at(0, bench.request(output=4), Diary())
    # made at 15, 25, 35 and 45 ms, over at 29.88, 44.76, 59.64 and 74.52 ms
    times_ms = [29.8, 29.9, 44.7, 44.8, 59.6, 59.7, 74.5, 74.6]
    assert looked_at(bench, tickets, times_ms) == [0, 1, 1, 2, 2, 3, 3, 4]
    (row,) = bench.rows()
    assert (row["first_seen_ps"], row["ended_ps"]) == (29_880_000_000, 74_520_000_000)


def test_tokens_of_a_slow_node_keep_the_distance_of_the_first() -> None:
    bench = bench_behind(1.0, rtt_ms=6)
    tickets = bench.submit_at(0, bench.request(output=3), Diary())
    # set up by 6 ms, there at 9 ms; made at 24, 34 and 44 ms; 3 ms and 1.488 ms later at the caller
    times_ms = [28.4, 28.5, 38.4, 38.5, 48.4, 48.5]
    assert looked_at(bench, tickets, times_ms) == [0, 1, 1, 2, 2, 3]


def test_the_tokens_of_a_stream_that_waits_for_another_come_right_before_its_end() -> None:
    bench = bench_behind(0.1)
    bench.submit_at(0, bench.request(output=100), Diary())
    tickets = bench.submit_at(0, bench.request(output=100), Diary())
    bench.env.run()
    first, second = (row["ended_ps"] / MS for row in bench.rows())
    # Two prompts share the first step, 20 ms; then 200 events of 14.88 ms.
    assert second == pytest.approx(20 + 200 * EVENT_MS)
    assert first == pytest.approx(20 + 101 * EVENT_MS)
    ended_ps = tickets[0].ended_ps
    behind = [tickets[0].tokens_by(ended_ps - round(n * EVENT_MS * MS)) for n in (0, 1, 2, 10)]
    assert behind == [100, 99, 98, 90]


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from([0.1, 1.0, 10.0]),
    st.sampled_from([0.0, 30.0]),
    st.lists(st.tuples(st.integers(0, 300), st.integers(1, 60), st.integers(1, 3)), min_size=1, max_size=4),
)
def test_what_has_come_only_grows_and_ends_complete(
    rate: float, rtt_ms: float, asks: list[tuple[int, int, int]]
) -> None:
    bench = bench_behind(rate, rtt_ms)
    tickets, seen = list[list[Ticket]](), list[list[list[int]]]()
    for at_ms, output, samples in asks:
        tickets.append(bench.submit_at(at_ms, bench.request(output=output, samples=samples), Diary()))
        seen.append([])

    def look() -> None:
        for found, history in zip(tickets, seen, strict=True):
            if found and found[0].sequences:
                samples = found[0].request.samples
                history.append([found[0].tokens_by(bench.env.now, sample) for sample in range(samples)])

    for at_ms in range(0, 4000, 37):
        bench.at(at_ms, look)
    bench.at(60_000, look)
    bench.env.run()
    event_ms = 186 * 8 / rate / 1000
    for (_, output, samples), history, row in zip(asks, seen, bench.rows(), strict=True):
        assert history[-1] == [output] * samples
        for before, after in pairwise(history):
            assert all(one <= other for one, other in zip(before, after, strict=True))
        assert row["ended_ps"] - row["first_ps"] >= round(samples * output * event_ms * MS) - samples * output
    whole_ms = sum(output * samples for _, output, samples in asks) * event_ms
    first_ms = min(row["first_ps"] for row in bench.rows()) / MS
    assert max(row["ended_ps"] for row in bench.rows()) / MS >= first_ms + whole_ms - 1e-3


@pytest.mark.parametrize(
    ("deadline_ms", "outcome"), [(15, "timeout"), (60, "timeout"), (74, "timeout"), (75, "completed")]
)
def test_only_a_caller_who_heard_the_whole_answer_uses_the_connection_again(
    deadline_ms: int, outcome: str
) -> None:
    # The last of four tokens is made at 45 ms and over at 74.52 ms.
    bench = bench_behind(0.1)
    bench.submit_at(0, bench.request(output=4, deadline_ps=deadline_ms * MS), Diary())
    bench.submit_at(200, bench.request(output=1), Diary())
    bench.env.run()
    first, second = bench.rows()
    assert (first["outcome"], second["cold"]) == (outcome, int(outcome == "timeout"))
