"""The way back: what the bytes of an answer cost, and who waits for whom on a caller's line."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.network import KeepAlive, Link
from sim.network.connections import Departure
from sim.network.explain import Explanation, explain
from sim.network.hops import Hop
from sim.network.path import Path
from sim.network.places import GATEWAY, EdgePlace, InternetPlace, RegionPlace, path_between

MS = 10**9
S = 10**12
EVENT_BYTES = 186
THIN_EVENT_MS = 14.88
"""One event of 186 bytes at 0.1 Mbit/s."""
NO_LOOKUP = KeepAlive(tls="none", dns_lookup_ms=0)


def line(rtt_ms: float, down_mbit_per_s: float = float("inf"), up_mbit_per_s: float = float("inf")) -> Path:
    return Path((Hop("line", "custom", rtt_ms, None, 0.0, up_mbit_per_s, down_mbit_per_s, (), shared=True),))


def stream_of_ones_own(hop: Path) -> Path:
    return Path(tuple(replace(hop, shared=False) for hop in hop.hops))


def link(path: Path, keep_alive: KeepAlive = NO_LOOKUP) -> Link:
    return Link(path, np.random.default_rng(1), keep_alive)


def streamed_ms(caller: Link, began_ms: float, lasts_ms: float, events: int) -> tuple[float, float]:
    """When the first and the last event of a stream are at a caller to whom nothing else comes meanwhile."""
    departure = caller.send(0, 10)
    first_ps = caller.begins(departure, round(began_ms * MS))
    last_ps = caller.ends(departure, round((began_ms + lasts_ms) * MS), events)
    return first_ps / MS, last_ps / MS


def ends_together_ms(caller: Link, streams: int, lasts_ms: float, events: int) -> list[float]:
    """The same of several streams that begin at 1 s and end at one instant."""
    departures = [caller.send(0, 10) for _ in range(streams)]
    for departure in departures:
        caller.begins(departure, S)
    return [caller.ends(departure, S + round(lasts_ms * MS), events) / MS for departure in departures]


# One answer


@pytest.mark.parametrize("lasts_ms", [0, 70.6, 14_000])
def test_a_thousand_tokens_over_a_tenth_of_a_megabit_take_their_15_seconds(lasts_ms: float) -> None:
    # 186,000 bytes are 14.88 s of line, and half a round trip is 5 ms.
    first_ms, last_ms = streamed_ms(link(line(10, 0.1)), 1000, lasts_ms, 1000)
    assert (first_ms, last_ms) == (1000 + THIN_EVENT_MS + 5, 1000 + 14_880 + 5)


@pytest.mark.parametrize("path", [line(10, 0.1), stream_of_ones_own(line(10, 0.1))])
def test_a_node_slower_than_the_line_decides_when_an_answer_ends(path: Path) -> None:
    assert streamed_ms(link(path), 1000, 20_000, 1000)[1] == pytest.approx(21_000 + THIN_EVENT_MS + 5)


def test_an_answer_in_one_piece_takes_the_time_of_its_bytes() -> None:
    caller = link(line(10, 2.0))
    departure = caller.send(0, 10)
    # 800 bytes around 4,200 of text, then a refusal's 800: 20 ms and 3.2 ms at 2 Mbit/s
    assert caller.whole(departure, 1 * S, 1000) == 1025 * MS
    assert caller.whole(departure, 2 * S, 0) == 2005 * MS + 3_200_000_000


def test_an_answer_in_one_piece_takes_the_time_of_its_bytes_on_a_line_that_nobody_shares_too() -> None:
    caller = link(stream_of_ones_own(line(10, 2.0)))
    assert caller.whole(caller.send(0, 10), 1 * S, 1000) == 1025 * MS


def test_a_large_answer_in_one_piece_takes_more_flights_until_the_window_is_open() -> None:
    caller = link(line(70))
    departure = caller.send(0, 10)
    # 24,800 tokens are 104,960 bytes, 73 segments: 10 + 20 + 40 + 3.
    assert caller.whole(departure, 1 * S, 24_800) == (1000 + 210 + 35) * MS
    assert caller.whole(departure, 1 * S + 200 * MS, 24_800) == (1200 + 35) * MS
    assert caller.whole(departure, 1 * S + 401 * MS, 24_800) == (1401 + 210 + 35) * MS


def test_the_window_of_answers_is_forgotten_after_more_than_a_time_out() -> None:
    # The last flight leaves after 1,210 ms; the time-out is 200 ms.
    for later_ps, held_ms in ((0, 0), (1, 210)):
        caller = link(line(70))
        departure = caller.send(0, 10)
        caller.whole(departure, 1 * S, 24_800)
        now_ps = 1410 * MS + later_ps
        assert caller.whole(departure, now_ps, 24_800) == now_ps + (held_ms + 35) * MS


@pytest.mark.parametrize(
    ("path", "after_ms", "events"),
    [
        (line(70), 0, 77),  # ten segments of 1,448 bytes, 186 bytes an event
        (line(70), 69, 77),
        (line(70), 70, 233),  # 10 + 20
        (line(70), 140, 544),  # 10 + 20 + 40
        (line(0, 0.1), 0, 1),
        (line(0, 0.1), 100, 7),  # one every 14.88 ms after the first
        (line(1000, 0.1), 10_000, 673),
    ],
)
def test_a_path_brings_no_more_events_than_its_window_and_its_thinnest_hop_let_through(
    path: Path, after_ms: int, events: int
) -> None:
    caller = link(path)
    departure = caller.send(0, 10)
    caller.begins(departure, 1 * S)
    assert caller.events_after(departure, after_ms * MS) == events


def test_the_events_that_a_span_has_room_for_are_rounded_up() -> None:
    thin = link(line(10, 0.1))
    assert [thin.events_within(span_ms * MS) for span_ms in (0, 1, 14, 15)] == [0, 1, 1, 2]
    assert link(line(10)).events_within(15 * MS) == 0


def test_a_fast_stream_to_a_far_caller_waits_for_the_window() -> None:
    # 1,000 events are 186,000 bytes, 129 segments: 10 + 20 + 40 + 59 in four flights.
    assert streamed_ms(link(line(70)), 1000, 70.6, 1000)[1] == 1000 + 3 * 70 + 35
    assert streamed_ms(link(line(70)), 1000, 209, 1000)[1] == 1000 + 3 * 70 + 35
    assert streamed_ms(link(line(70)), 1000, 5000, 1000)[1] == 6000 + 35
    assert streamed_ms(link(line(70)), 1000, 7, 77)[1] == 1000 + 7 + 35  # ten segments


def test_only_a_stream_that_waited_for_the_window_leaves_it_wider() -> None:
    for lasts_ms, next_lasts_ms in ((5000, 210), (70, 70)):
        caller = link(line(70))
        departure = caller.send(0, 10)
        caller.begins(departure, 0)
        over_ps = caller.ends(departure, lasts_ms * MS, 1000) - 35 * MS
        caller.begins(departure, over_ps)
        assert caller.ends(departure, over_ps + 70 * MS, 1000) - over_ps == (next_lasts_ms + 35) * MS


# Several answers


@pytest.mark.parametrize(
    ("lasts_ms", "last_ends_ms"),
    [
        (0, 1000 + 3 * 14_880 + 5),
        (20_000, 1000 + 3 * 14_880 + 5),
        (60_000, 61_000 + 3 * THIN_EVENT_MS + 5),
    ],
)
def test_streams_of_one_caller_share_the_line(lasts_ms: float, last_ends_ms: float) -> None:
    ends = ends_together_ms(link(line(10, 0.1)), 3, lasts_ms, 1000)
    assert ends[-1] == pytest.approx(last_ends_ms)
    assert ends == sorted(ends)


def test_streams_over_a_path_without_a_line_share_nothing() -> None:
    ends = ends_together_ms(link(stream_of_ones_own(line(10, 0.1))), 3, 0, 1000)
    assert ends == [1000 + 14_880 + 5] * 3


def test_twenty_streams_over_dsl_end_when_their_bytes_can_have_come() -> None:
    """20 x 300 events x 186 bytes are 178.56 ms at 50 Mbit/s; one stream of 21 ms takes 8.9 ms of that."""
    path = path_between(
        InternetPlace(kind="internet", access="dsl", near="aws:us-east-1"), GATEWAY, "aws:us-east-1"
    )
    quiet = Path(tuple(replace(hop, jitter=None, loss_per_segment=0.0) for hop in path.hops))
    way_ms = quiet.rtt_ms / 2
    ends = ends_together_ms(link(quiet), 20, 21, 300)
    assert ends[-1] - 1000 - way_ms == pytest.approx(178.56)
    assert link(quiet).path.line_up_mbit_per_s == 8


def test_a_first_token_waits_behind_answers_that_are_complete() -> None:
    caller = link(line(10, 0.1))
    one, other = caller.send(0, 10), caller.send(0, 10)
    assert caller.whole(one, 1 * S, 1000) == (1000 + 400 + 5) * MS  # 5,000 bytes
    assert caller.begins(other, 1 * S + 100 * MS) / MS == 1000 + 400 + THIN_EVENT_MS + 5


def test_users_have_a_line_each() -> None:
    caller = link(line(10, 0.1), replace(NO_LOOKUP, users=10))
    ends: dict[int, list[float]] = {}
    for _ in range(40):
        departure = caller.send(0, 10)
        assert departure.connection is not None
        user = id(departure.connection.pool)
        ends.setdefault(user, []).append(caller.whole(departure, S, 1000) / MS - 1005)
    assert len(ends) == 10
    assert all(turns == [400 * (i + 1) for i in range(len(turns))] for turns in ends.values())


@pytest.mark.parametrize("connections", ["pooled", "per_request"])
def test_prompts_of_one_caller_share_the_line_up(connections: str) -> None:
    keep_alive = replace(NO_LOOKUP, connections=connections)  # type: ignore[arg-type]
    caller = link(line(10, up_mbit_per_s=8), keep_alive)
    # 4,800 bytes are 4.8 ms at 8 Mbit/s; the handshake takes 10 ms and the way out 5 ms.
    arrivals = [caller.send(0, 1000).arrived_ps / MS for _ in range(20)]
    assert arrivals == pytest.approx([10 + 4.8 * (i + 1) + 5 for i in range(20)])


# What a place's hops are


def test_access_lines_are_shared_and_paths_between_clouds_are_what_one_stream_gets() -> None:
    home = InternetPlace(kind="internet", access="wifi", line="dsl", near="aws:eu-west-1")
    far = path_between(home, GATEWAY, "aws:us-east-1")
    assert (far.line_up_mbit_per_s, far.line_down_mbit_per_s) == (8, 50)
    cloud = path_between(RegionPlace(kind="region", region="aws:eu-west-1"), GATEWAY, "aws:us-east-1")
    assert cloud.down_mbit_per_s < 500
    assert not cloud.has_line
    # From the Edge to somebody's home, the home's line bounds each stream, whoever else there may be.
    back = path_between(EdgePlace(kind="edge"), home, "aws:us-east-1")
    assert back.down_mbit_per_s == 8
    assert not back.has_line


# While a stream is under way


@given(
    down_mbit_per_s=st.sampled_from([0.05, 1.0, 20.0, 400.0]),
    rtt_ms=st.sampled_from([0.0, 3.0, 80.0]),
    events=st.integers(2, 2000),
    lasts_ms=st.integers(0, 3000),
)
def test_no_more_events_come_than_the_path_carries_and_the_last_one_comes_in_time(
    down_mbit_per_s: float, rtt_ms: float, events: int, lasts_ms: int
) -> None:
    caller = link(line(rtt_ms, down_mbit_per_s))
    departure = caller.send(0, 10)
    first_ps = caller.begins(departure, S)
    last_ps = caller.ends(departure, S + lasts_ms * MS, events)
    before = 0
    for after_ps in range(0, last_ps - first_ps + 1, max(1, (last_ps - first_ps) // 20)):
        carried = caller.events_after(departure, after_ps)
        assert before <= carried
        assert (carried - 1) * EVENT_BYTES * 8 <= down_mbit_per_s * after_ps / 10**6 + 1
        before = carried
    assert caller.events_after(departure, last_ps - first_ps) >= events


# Explained


@given(
    rtt_ms=st.sampled_from([0.0, 0.03, 10.0, 70.0, 300.0]),
    rate=st.sampled_from([0.1, 8.0, 300.0, float("inf")]),
    prompt_tokens=st.integers(1, 64_000),
    output_tokens=st.integers(1, 4000),
    cold=st.booleans(),
    stream=st.booleans(),
)
def test_the_lines_add_up_to_what_a_link_takes(
    *, rtt_ms: float, rate: float, prompt_tokens: int, output_tokens: int, cold: bool, stream: bool
) -> None:
    path = replace(line(rtt_ms, rate, rate), dns_lookup_ms=3.0)
    explanation = Explanation(path, prompt_tokens, cold=cold)
    caller = link(path, KeepAlive(idle_timeout_s=10_000))
    departure = caller.send(0, prompt_tokens)
    if not cold:
        caller.release(departure.connection, 10 * S)
        departure = caller.send(1000 * S, prompt_tokens)
    assert sum(line.ms for line in explanation.first_byte()) * MS == pytest.approx(
        departure.arrived_ps + departure.back_first_ps - departure.sent_ps, abs=10
    )
    rest = explanation.rest(output_tokens, stream=stream)
    lines = (*explanation.first_byte(), *rest)
    assert min(line.ms for line in lines) >= 0
    took_ps = back_ps(caller, departure, output_tokens, stream=stream) - departure.sent_ps
    assert sum(line.ms for line in lines) * MS == pytest.approx(took_ps, abs=10)


def back_ps(caller: Link, departure: Departure, output_tokens: int, *, stream: bool) -> int:
    """When an answer is back that is made at once."""
    if not stream:
        return caller.whole(departure, departure.arrived_ps, output_tokens)
    first_ps = caller.begins(departure, departure.arrived_ps)
    return first_ps if output_tokens == 1 else caller.ends(departure, departure.arrived_ps, output_tokens)


def test_words_for_no_limit_and_for_one() -> None:
    steps = [line.step for line in explain(line(10), 10)]
    assert "slow start: 1 segment in 1 flight" in steps
    assert "642 bytes, no limit of rate" in steps
    assert "186 bytes at 0.1 Mbit/s" in [line.step for line in explain(line(10, 0.1), 10)]
