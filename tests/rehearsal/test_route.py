"""One connection's delays, by hand and against the model's own links."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_shim.rehearsal.route import BLOCK, Course, Route
from sim.network import KeepAlive, Link
from sim.network.hops import Hop
from sim.network.jitter import Gamma, Jitter
from sim.network.path import Path
from sim.network.transport import transport

MS, S = 10**9, 10**12
MSS = transport().mss_bytes
WINDOW = transport().initial_window_segments


def path(rtt_ms: float, jitter: Jitter | None = None, loss: float = 0.0, **rates: Any) -> Path:
    return Path((Hop("test", "custom", rtt_ms, jitter, loss, **rates),))


def route(of: Path, seed: int = 1, **keep_alive: Any) -> Route:
    return Route(of, np.random.default_rng(seed), KeepAlive(dns_lookup_ms=0, **keep_alive), transport())


@pytest.mark.parametrize(("tls", "set_up_ms"), [("none", 70), ("1.3", 140), ("1.2", 210)])
def test_a_connection_over_70_ms_costs_its_handshakes_and_then_half_a_round_trip_each_way(
    tls: str, set_up_ms: int
) -> None:
    course = Course(route(path(70), tls=tls), 5 * S)
    assert course.connected_ps == 5 * S + set_up_ms * MS
    assert course.up(6 * S, 500, new_exchange=True) == 6 * S + 35 * MS
    assert course.down(7 * S, 500) == 7 * S + 35 * MS


def test_what_does_not_fit_into_the_window_waits_for_a_round_trip_and_the_window_stays_open() -> None:
    """The window is 10 segments; 11 take two flights, and then it is 20."""
    course = Course(route(path(100)), 0)
    assert course.up(1 * S, (WINDOW + 1) * MSS, new_exchange=True) == 1 * S + 150 * MS
    assert course.down(1 * S + 150 * MS, 10) == 1 * S + 200 * MS
    soon_ps = 1 * S + 250 * MS
    assert course.up(soon_ps, (WINDOW + 1) * MSS, new_exchange=True) == soon_ps + 50 * MS
    later_ps = 9 * S  # longer than a retransmission time-out: Linux has forgotten it
    assert course.up(later_ps, (WINDOW + 1) * MSS, new_exchange=True) == later_ps + 150 * MS


def test_head_and_body_of_one_instant_are_one_message() -> None:
    course = Course(route(path(100)), 0)
    assert course.up(1 * S, 200, new_exchange=True) == 1 * S + 50 * MS
    assert course.up(1 * S, (WINDOW + 1) * MSS - 200, new_exchange=False) == 1 * S + 150 * MS


def test_a_later_piece_does_not_overtake_an_earlier_one() -> None:
    course = Course(route(path(100)), 0)
    big_ps = course.down(1 * S, (WINDOW + 1) * MSS)
    assert course.down(1 * S + 10 * MS, 10) == big_ps


def test_answers_to_one_household_share_its_line() -> None:
    """10,000 bytes at 8 Mbit/s take 10 ms, and two of them 20 ms, over however many connections."""
    shared = route(path(0, up_mbit_per_s=8.0, down_mbit_per_s=8.0, shared=True), tls="none")
    one, other = Course(shared, 0), Course(shared, 0)
    assert one.down(1 * S, 10_000) == 1 * S + 10 * MS
    assert other.down(1 * S, 10_000) == 1 * S + 20 * MS


@given(
    rtt_ms=st.floats(0.1, 200),
    prompt_tokens=st.integers(1, 30_000),
    output_tokens=st.integers(0, 30_000),
    mbit_per_s=st.sampled_from([10.0, 1000.0, float("inf")]),
    seed=st.integers(0, 5),
    scale_ms=st.sampled_from([0.0, 3.0]),
    loss=st.sampled_from([0.0, 0.02]),
)
def test_as_many_bytes_take_as_long_as_on_the_models_own_links(
    rtt_ms: float,
    prompt_tokens: int,
    output_tokens: int,
    mbit_per_s: float,
    seed: int,
    scale_ms: float,
    loss: float,
) -> None:
    """The way out meets the same chances as there; the way back has others of the same kind, and is tried
    without any.
    """
    jitter = Gamma(1.0, scale_ms) if scale_ms else None
    of = path(rtt_ms, jitter, loss, up_mbit_per_s=mbit_per_s, down_mbit_per_s=mbit_per_s)
    link = Link(of, np.random.default_rng(seed), KeepAlive(dns_lookup_ms=0), block=BLOCK)
    departure = link.send(0, prompt_tokens)
    course = Course(route(of, seed), 0)
    assert course.connected_ps == departure.connected_ps
    size = transport().size_bytes(prompt_tokens)
    arrived_ps = course.up(departure.connected_ps, size, new_exchange=True)
    assert arrived_ps == pytest.approx(departure.arrived_ps, abs=1)
    if jitter is None and not loss:
        back_ps = link.whole(departure, departure.arrived_ps, output_tokens)
        size = transport().answer_size_bytes(output_tokens)
        assert course.down(departure.arrived_ps, size) == pytest.approx(back_ps, abs=1)
