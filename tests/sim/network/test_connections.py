from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.network import Departure, KeepAlive, Link
from sim.network.explain import explain
from sim.network.hops import Hop
from sim.network.jitter import Gamma, Jitter, Lognormal
from sim.network.keep_alive import Connection, ConnectionPool
from sim.network.line import AccessLine
from sim.network.path import Path
from sim.network.places import GATEWAY, EdgePlace, InternetPlace, path_between
from sim.network.transport import NEVER_LOST, retransmission_ps, set_up_loss_ps, slow_start, transport

MS = 10**9
S = 10**12
NO_LOOKUP = KeepAlive(dns_lookup_ms=0)


def plain(rtt_ms: float, jitter: Jitter | None = None, loss: float = 0.0) -> Path:
    return Path((Hop("test", "custom", rtt_ms, jitter, loss),))


def link(path: Path, keep_alive: KeepAlive = NO_LOOKUP, seed: int = 1) -> Link:
    return Link(path, np.random.default_rng(seed), keep_alive)


def trip(departure: Departure) -> tuple[int, int]:
    """(set-up, way out)"""
    return departure.connected_ps - departure.sent_ps, departure.arrived_ps - departure.connected_ps


@pytest.mark.parametrize(
    ("prompt_tokens", "extra"),
    [(1000, 0), (3000, 0), (4000, 1), (8000, 1), (10_000, 1), (16_000, 2), (25_000, 3), (64_000, 4)],
)
def test_a_long_prompt_takes_more_flights(prompt_tokens: int, extra: int) -> None:
    departure = link(plain(100)).send(0, prompt_tokens)
    assert trip(departure) == (200 * MS, 50 * MS + extra * 100 * MS)


@pytest.mark.parametrize(("tls", "set_up_ms"), [("none", 70), ("1.3", 140), ("1.2", 210)])
def test_a_cold_connection_over_70_ms_costs_its_handshakes(tls: str, set_up_ms: int) -> None:
    departure = link(plain(70), KeepAlive(tls=tls, dns_lookup_ms=0)).send(5 * S, 100)  # type: ignore[arg-type]
    assert departure.cold
    assert trip(departure) == (set_up_ms * MS, 35 * MS)
    assert (departure.back_first_ps, departure.back_rtt_ps) == (35 * MS, 70 * MS)


def test_a_context_of_25k_over_70_ms_arrives_385_ms_after_a_cold_start() -> None:
    departure = link(plain(70)).send(0, 25_000)
    assert departure.arrived_ps == (140 + 210 + 35) * MS


def test_the_edge_costs_a_tenth_of_a_millisecond_when_cold() -> None:
    # Fabric 0.03 ms without its jitter: TCP and TLS 0.06, half a round trip 0.015, and 4,800 bytes at
    # 25 Gbit/s take 1.536 us.
    fabric = path_between(EdgePlace(kind="edge"), GATEWAY, "aws:us-east-1").hops[0]
    quiet = Path((Hop("fabric", "fabric", fabric.rtt_floor_ms, None, 0.0, fabric.up_mbit_per_s),))
    assert trip(link(quiet).send(0, 1000)) == (60_000_000, 15_000_000 + 1_536_000)


def test_a_name_is_looked_up_for_each_new_connection() -> None:
    path = Path(plain(10).hops, dns_lookup_ms=20)
    assert trip(link(path, KeepAlive()).send(0, 10))[0] == 40 * MS
    assert trip(link(path, KeepAlive(dns_lookup_ms=1)).send(0, 10))[0] == 21 * MS


def test_a_thin_uplink_delays_the_prompt_and_a_thin_downlink_the_answer() -> None:
    path = Path((Hop("line", "custom", 10, None, 0.0, 20.0, 2.0),))
    departure = link(path).send(0, 1000)  # 4,800 bytes at 20 Mbit/s: 1.92 ms; 186 at 2 Mbit/s: 0.744 ms
    assert trip(departure)[1] == 5 * MS + 1_920_000_000
    assert departure.back_first_ps == 5 * MS + 744_000_000


def test_an_idle_connection_is_used_again_until_it_expires() -> None:
    caller = link(plain(10))
    first = caller.send(0, 10)
    caller.release(first.connection, 1 * S)
    second = caller.send(61 * S, 10)
    assert not second.cold
    assert second.connection is first.connection
    assert trip(second) == (0, 5 * MS)
    caller.release(second.connection, 61 * S)
    assert caller.send(121 * S + 1, 10).cold


def test_a_connection_that_is_still_answering_is_not_shared() -> None:
    caller = link(plain(10))
    first = caller.send(0, 10)
    caller.release(first.connection, 3 * S)  # known ahead
    assert caller.send(2 * S, 10).cold
    assert caller.send(3 * S, 10).connection is first.connection


def test_the_connection_that_fell_idle_last_goes_first() -> None:
    caller = link(plain(10))
    early, late = caller.send(0, 10), caller.send(0, 10)
    caller.release(late.connection, 2 * S)
    caller.release(early.connection, 1 * S)
    assert caller.send(5 * S, 10).connection is late.connection
    assert caller.send(5 * S, 10).connection is early.connection
    assert caller.send(5 * S, 10).cold


def test_a_connection_that_is_never_released_is_closed() -> None:
    caller = link(plain(10))
    caller.send(0, 10)
    assert caller.send(S, 10).cold


def test_a_connection_per_request_is_always_cold() -> None:
    caller = link(plain(10), KeepAlive(connections="per_request", dns_lookup_ms=0))
    for at_s in range(3):
        departure = caller.send(at_s * S, 10)
        assert departure.cold
        caller.release(departure.connection, at_s * S)


def test_users_share_no_connections() -> None:
    caller = link(plain(10), KeepAlive(users=50, dns_lookup_ms=0))
    cold = 0
    for i in range(500):
        departure = caller.send(i * MS, 10)
        caller.release(departure.connection, i * MS)
        cold += departure.cold
    assert cold == 50  # all of them show up in 500 requests, each sets up once


def test_a_kept_window_spares_the_next_long_prompt_its_slow_start_until_it_idles() -> None:
    caller = link(plain(70))
    first = caller.send(0, 25_000)
    caller.release(first.connection, 1 * S)
    second = caller.send(1 * S + 200 * MS, 25_000)  # idle for no longer than the time-out of 200 ms
    assert trip(second) == (0, 35 * MS)
    caller.release(second.connection, 2 * S)
    assert trip(caller.send(2 * S + 201 * MS, 25_000)) == (0, (35 + 210) * MS)


def test_a_window_outlives_idleness_where_the_system_is_told_so() -> None:
    caller = link(plain(70), KeepAlive(dns_lookup_ms=0, slow_start_after_idle=False))
    caller.release(caller.send(0, 25_000).connection, 1 * S)
    assert trip(caller.send(30 * S, 25_000)) == (0, 35 * MS)


def test_a_path_that_costs_nothing_needs_no_connection() -> None:
    for free in (plain(0), Path(())):
        departure = link(free).send(7, 25_000)
        assert departure == Departure(7, 7, 7, False, None, 0, 0, NEVER_LOST)
        assert link(free).begins(departure, 9) == link(free).ends(departure, 9, 9) == 9
        assert link(free).whole(departure, 9, 1000) == 9


def test_nothing_is_drawn_on_a_path_without_jitter_and_loss() -> None:
    rng = np.random.default_rng(3)
    before = rng.bit_generator.state
    caller = Link(plain(10), rng, KeepAlive())
    caller.release(caller.send(0, 10).connection, S)
    seeds = rng.bit_generator.seed_seq
    assert isinstance(seeds, np.random.SeedSequence)
    assert seeds.n_children_spawned == 0
    assert rng.bit_generator.state == before


@pytest.mark.parametrize(
    ("segments", "window", "waits", "last_window"),
    [(10, 10, 0, 10), (11, 10, 1, 20), (71, 10, 3, 80), (30, 40, 0, 40)],
)
def test_a_window_doubles_per_flight(segments: int, window: int, waits: int, last_window: int) -> None:
    assert slow_start(segments, window, 50 * MS, 0) == (waits * 50 * MS, waits, last_window)


@pytest.mark.parametrize(("segment_ms", "held_ms", "waits"), [(1, 41 + 31 + 11, 3), (3, 23, 1), (6, 0, 0)])
def test_a_sender_waits_only_while_its_flight_is_shorter_than_the_round_trip(
    segment_ms: int, held_ms: int, waits: int
) -> None:
    # The first of 10 segments is acknowledged 50 ms after it is through, the other nine take 9 ms of that.
    assert slow_start(71, 10, 50 * MS, segment_ms * MS) == (held_ms * MS, waits, 80)


@pytest.mark.parametrize(("rtt_ps", "held"), [(900, (0, 0)), (901, (1, 1)), (1000, (100, 1))])
def test_a_sender_waits_for_what_nine_segments_leave_of_a_round_trip(
    rtt_ps: int, held: tuple[int, int]
) -> None:
    assert slow_start(11, 10, rtt_ps, 100) == (*held, 20)


def test_a_lost_segment_costs_a_round_trip_or_at_the_tail_a_time_out() -> None:
    rtt, rto = 50 * MS, 200 * MS
    assert retransmission_ps(11, 10, rtt, rto) == 0
    assert retransmission_ps(7, 10, rtt, rto) == rtt
    assert retransmission_ps(8, 10, rtt, rto) == rto
    assert retransmission_ps(1, 3, rtt, rto) == rto


def test_a_lost_first_segment_costs_a_second_and_a_lost_hello_a_time_out() -> None:
    assert [set_up_loss_ps(i, 1, S, MS) for i in (1, 2, 3, 4, 5, NEVER_LOST)] == [S, S, MS, MS, 0, 0]


def test_the_time_out_follows_the_path_above_its_minimum() -> None:
    assert transport().rto_ps(plain(70)) == 200 * MS
    assert transport().rto_ps(plain(300)) == 300 * MS
    # mean 10 ms, and a standard deviation of 10 ms of which a fifth of the variance is within a connection
    expected_ms = 310 + 4 * 10 * sqrt(0.2)
    assert transport().rto_ps(plain(300, Gamma(1, 10))) == pytest.approx(expected_ms * MS)


def test_losses_come_as_often_as_stated() -> None:
    caller = link(plain(100, loss=0.01), KeepAlive(tls="none", dns_lookup_ms=0))
    late = 0
    for i in range(20_000):
        departure = caller.send(i * S, 10)  # one segment: a loss is a time-out of 200 ms
        caller.release(departure.connection, i * S)
        late += departure.arrived_ps - departure.connected_ps == 250 * MS
        assert departure.back_first_ps in {50 * MS, 250 * MS}
    assert late == pytest.approx(200, abs=60)  # four standard deviations are 56


@pytest.mark.parametrize("jitter", [Gamma(1, 8.0), Gamma(0.5, 4.0), Lognormal(5.0, 0.8)])
def test_the_parts_of_the_jitter_add_up_to_the_distribution_of_the_hop(jitter: Gamma | Lognormal) -> None:
    caller = link(plain(0.000001, jitter), KeepAlive(connections="per_request", dns_lookup_ms=0))
    rtts_ms = np.array([2 * caller.send(i, 0).back_first_ps / MS for i in range(40_000)])
    assert rtts_ms.mean() == pytest.approx(jitter.mean_ms, rel=0.03)
    assert rtts_ms.std() == pytest.approx(sqrt(jitter.variance_ms2), rel=0.08)


def test_jitters_of_several_hops_add_up() -> None:
    jitters = (Gamma(1, 8.0), Gamma(2, 3.0), Lognormal(5.0, 0.8), Lognormal(2.0, 0.4))
    path = Path(tuple(Hop("h", "custom", 1e-6, jitter) for jitter in jitters))
    caller = link(path, KeepAlive(connections="per_request", dns_lookup_ms=0))
    sent = [caller.send(i, 0) for i in range(40_000)]
    # 8 + 2 x 3 + 5 exp(0.32) + 2 exp(0.08), on the way out, before the first event and at the end
    for rtts_ps in (
        [2 * (one.arrived_ps - one.connected_ps) for one in sent],
        [2 * one.back_first_ps for one in sent],
        [one.back_rtt_ps for one in sent],
    ):
        assert np.mean(rtts_ps) / MS == pytest.approx(14 + 6.886 + 2.167, rel=0.02)


def test_messages_connections_and_users_draw_apart() -> None:
    """The n-th message and the n-th connection have the same jitter however many there are of the others."""
    path = plain(10, Gamma(1, 8.0))
    one, many, shared = link(path), link(path), link(path, KeepAlive(users=40, dns_lookup_ms=0))
    messages: list[list[int]] = [[], [], []]
    bases: list[dict[int, int]] = [{}, {}, {}]
    for i in range(1100):  # over two blocks of messages, and seventeen of connections where each needs one
        for number, caller in enumerate((one, many, shared)):
            departure = caller.send(i * MS, 10)
            connection = departure.connection
            assert connection is not None
            if caller is not many:
                caller.release(connection, i * MS)
            messages[number].append(departure.back_rtt_ps - connection.base_ps)
            bases[number][connection.number] = connection.base_ps
    assert messages[0] == messages[1] == messages[2]
    assert [len(of_link) for of_link in bases] == [1, 1100, 40]
    assert list(bases[1]) == list(range(1100))
    assert bases[0].items() <= bases[2].items() <= bases[1].items()


def test_a_lookup_alone_makes_a_path_cost_something() -> None:
    path = Path(plain(0).hops, dns_lookup_ms=20)
    assert trip(link(path, KeepAlive()).send(0, 10)) == (20 * MS, 0)
    as_long = Path(plain(20).hops, dns_lookup_ms=20)
    assert trip(link(as_long, KeepAlive()).send(0, 10)) == (60 * MS, 10 * MS)


def test_messages_of_one_connection_resemble_each_other() -> None:
    caller = link(plain(10, Gamma(1, 8.0)))
    spreads, bases = [], []
    for i in range(200):
        kept = caller.send(i * 1000 * S, 10)  # expired by the next round: a new connection each
        rtts = [kept.back_first_ps]
        for k in range(1, 20):
            caller.release(kept.connection, i * 1000 * S + k * S)
            kept = caller.send(i * 1000 * S + k * S, 10)
            assert not kept.cold
            rtts.append(kept.back_first_ps)
        spreads.append(float(np.var(rtts, ddof=1)))
        bases.append(float(np.mean(rtts)))
    within = float(np.mean(spreads))
    between = float(np.var(bases))
    assert within / (within + between) == pytest.approx(0.2, abs=0.05)


def test_the_same_stream_gives_the_same_jitter_whatever_the_order_of_releases() -> None:
    path = plain(10, Gamma(1, 8.0), 0.001)
    one, other = link(path), link(path, KeepAlive(dns_lookup_ms=0, connections="per_request"))
    kept = [one.send(i * S, 10) for i in range(700)]  # never released: a new connection each time
    assert [d.arrived_ps for d in kept] == [other.send(i * S, 10).arrived_ps for i in range(700)]


def back(caller: Link, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Of so many answers on one connection: the way back of the first byte and of the end, in ms."""
    found = []
    for i in range(count):
        departure = caller.send(i * S, 10)
        made_ps = departure.arrived_ps
        through_ps = caller.whole(departure, made_ps, 1)
        caller.release(departure.connection, through_ps)
        found.append((departure.back_first_ps / MS, (through_ps - made_ps) / MS))
    first, last = np.array(found).T
    return first, last


@pytest.mark.parametrize("jitter", [Gamma(1, 8.0), Lognormal(5.0, 0.8)])
def test_the_last_byte_of_an_answer_has_a_jitter_of_its_own(jitter: Gamma | Lognormal) -> None:
    first, last = back(link(plain(10, jitter)), 4000)
    assert last.mean() == pytest.approx(first.mean(), rel=0.05)
    assert last.std() == pytest.approx(first.std(), rel=0.15)
    assert abs(np.corrcoef(first, last)[0, 1]) < 0.07  # four standard deviations of none at all


def test_the_last_byte_of_an_answer_is_lost_by_itself() -> None:
    # Two segments alone in their flights: each is lost one time in four, and waits for the time-out then.
    first, last = back(link(plain(100, loss=0.25)), 4000)
    assert set(first.tolist()) == set(last.tolist()) == {50.0, 250.0}
    late_first, late_last = first > 50, last > 50
    assert late_first.mean() == pytest.approx(0.25, abs=0.028)
    assert late_last.mean() == pytest.approx(0.25, abs=0.028)
    assert (late_first & late_last).mean() == pytest.approx(0.0625, abs=0.016)


def test_the_last_event_of_a_stream_has_a_loss_of_its_own() -> None:
    # Two segments alone in their flights: each is lost one time in four, and waits for the time-out then.
    caller, late = link(plain(100, loss=0.25)), []
    for i in range(4000):
        departure = caller.send(4 * i * S, 10)
        first_ps = caller.begins(departure, (4 * i + 1) * S) - (4 * i + 1) * S
        last_ps = caller.ends(departure, (4 * i + 2) * S, 2) - (4 * i + 2) * S
        assert {first_ps, last_ps} <= {50 * MS, 250 * MS}
        late.append((first_ps > 50 * MS, last_ps > 50 * MS))
    first, last = np.array(late).T
    assert first.mean() == pytest.approx(0.25, abs=0.028)  # four standard deviations
    assert last.mean() == pytest.approx(0.25, abs=0.028)
    assert (first & last).mean() == pytest.approx(0.0625, abs=0.016)


def test_a_pool_is_cold_a_moment_after_its_last_connection_has_idled_too_long() -> None:
    pool = ConnectionPool(60 * S)
    first, second = (Connection(number, pool, 0, [], 10) for number in range(2))
    assert pool.is_cold(0), "nothing was ever opened"
    pool.put(first, 0)
    assert [pool.is_cold(now_ps) for now_ps in (0, 60 * S, 60 * S + 1)] == [False, False, True]
    pool.put(second, 5 * S)  # known ahead
    assert [pool.is_cold(now_ps) for now_ps in (61 * S, 65 * S, 65 * S + 1)] == [False, False, True]
    assert pool.take(5 * S) is second
    assert not pool.is_cold(60 * S), "the first still waits"
    assert pool.is_cold(60 * S + 1), "and the second may never come back"


def test_a_pool_is_not_cold_while_its_users_line_carries_something() -> None:
    line = AccessLine()
    pool = ConnectionPool(60 * S, keeps=False, line=line)
    line.down(0, 100)
    assert [pool.is_cold(now_ps) for now_ps in (99, 100)] == [False, True]


paths = st.builds(
    lambda rtt_ms, jitter, loss, up: Path((Hop("h", "custom", rtt_ms, jitter, loss, up, up),), 2.0),
    st.floats(0, 400),
    st.one_of(
        st.none(),
        st.builds(Gamma, st.floats(0.3, 3), st.floats(0.001, 50)),
        st.builds(Lognormal, st.floats(0.1, 20), st.floats(0.1, 1.5)),
    ),
    st.sampled_from([0.0, 1e-6, 0.01, 0.3]),
    st.floats(1, 10_000),
)
steps = st.lists(
    st.tuples(st.integers(0, 100 * S), st.integers(0, 64_000), st.integers(0, 20 * S)),
    min_size=1,
    max_size=30,
)


@given(path=paths, steps=steps, users=st.integers(1, 3), seed=st.integers(0, 99))
def test_stamps_never_decrease_and_floors_are_floors(
    path: Path, steps: list[tuple[int, int, int]], users: int, seed: int
) -> None:
    caller = link(path, KeepAlive(users=users), seed)
    floor_ps = round(path.rtt_ms * MS)
    now, busy = 0, dict[int, int]()
    for gap, prompt_tokens, answer in steps:
        now += gap
        departure = caller.send(now, prompt_tokens)
        stamps = (departure.sent_ps, departure.connected_ps, departure.arrived_ps)
        delays = (departure.back_first_ps, departure.back_rtt_ps)
        assert {type(value) for value in (*stamps, *delays)} == {int}
        assert now == departure.sent_ps <= departure.connected_ps <= departure.arrived_ps
        set_up, out = trip(departure)
        assert set_up >= (2 * floor_ps + 2 * MS if departure.cold else 0)
        assert departure.cold or set_up == 0
        assert out >= floor_ps // 2
        assert departure.back_first_ps >= floor_ps // 2
        assert departure.back_rtt_ps >= floor_ps
        assert departure.connection is not None
        assert busy.get(departure.connection.number, -1) <= now
        busy[departure.connection.number] = departure.arrived_ps + answer
        caller.release(departure.connection, departure.arrived_ps + answer)


@given(path=paths, prompt_tokens=st.integers(0, 64_000), seed=st.integers(0, 99))
def test_a_warm_request_arrives_no_later_than_a_cold_one(path: Path, prompt_tokens: int, seed: int) -> None:
    path = Path(path.hops[:1], 2.0)
    warm, cold = link(path, KeepAlive(), seed), link(path, KeepAlive(idle_timeout_s=0.0), seed)
    for caller in (warm, cold):
        caller.release(caller.send(0, prompt_tokens).connection, 100 * S)
    kept, opened = warm.send(101 * S, prompt_tokens), cold.send(101 * S, prompt_tokens)
    assert opened.cold
    assert not kept.cold
    if not path.jitters:  # else they are on connections of different bases
        assert kept.arrived_ps <= opened.arrived_ps


def test_the_explanation_adds_up_to_what_a_cold_request_takes() -> None:
    path = plain(70)
    lines = explain(path, 25_000, NO_LOOKUP)
    assert sum(line.ms for line in lines) == pytest.approx(140 + 210 + 35 + 35)
    assert sum(line.rtts for line in lines) == 6
    departure = link(path).send(0, 25_000)
    assert departure.arrived_ps + departure.back_first_ps == 420 * MS


def test_the_explanation_names_the_steps_and_skips_the_set_up_of_a_warm_connection() -> None:
    path = path_between(
        InternetPlace(kind="internet", access="cable", near="aws:us-east-1"), GATEWAY, "aws:us-east-1"
    )
    cold, warm = explain(path, 25_000), explain(path, 25_000, cold=False)
    assert [line.step for line in cold[:4]] == [
        "DNS lookup",
        "TCP handshake",
        "TLS 1.3 handshake",
        "slow start: 73 segments in 4 flights",
    ]
    assert [line.step for line in warm] == [line.step for line in cold[3:]]
    assert (cold[0].ms, cold[1].ms) == (20, 17.5)
    upload = next(line for line in cold if "105,600 bytes at 20 Mbit/s" in line.step)
    assert upload.ms == pytest.approx(42.24)
    # A segment of 1,448 bytes takes 0.5792 ms: flights of 10 and 20 leave 12.29 and 6.50 of 17.5 ms idle, the
    # third none.
    assert cold[3].rtts == 2
    assert cold[3].ms == pytest.approx(17.5 - 9 * 0.5792 + 17.5 - 19 * 0.5792)


def test_on_average_a_link_takes_as_long_as_explained() -> None:
    path = Path((Hop("h", "custom", 40, Gamma(1, 8.0), 0.0, 20.0, 20.0),), 5.0)
    caller = link(path, KeepAlive(connections="per_request"))
    took = [
        (departure.arrived_ps + departure.back_first_ps - departure.sent_ps) / MS
        for departure in (caller.send(i, 16_000) for i in range(20_000))
    ]
    assert np.mean(took) == pytest.approx(sum(line.ms for line in explain(path, 16_000)), rel=0.01)


def test_what_lost_segments_took_is_told_apart_from_the_rest_of_the_way() -> None:
    """Each path with its losses against the same one without: what is told is the whole difference."""
    lossy = link(plain(100, loss=0.3), KeepAlive(tls="1.3", dns_lookup_ms=7))
    quiet = link(plain(100), KeepAlive(tls="1.3", dns_lookup_ms=7))
    told = set()
    for i in range(60):
        lost, free = lossy.send(i * S, 10), quiet.send(i * S, 10)
        assert lost.arrived_ps - free.arrived_ps == lost.lost_out_ps
        assert free.lost_out_ps == 0
        end, other_end = lossy.whole(lost, (i + 20) * S, 4), quiet.whole(free, (i + 20) * S, 4)
        assert end - other_end == lossy.lost_back_ps(lost, 4, stream=False)
        first, last = lossy.begins(lost, (i + 40) * S), lossy.ends(lost, (i + 41) * S, 5)
        assert first - quiet.begins(free, (i + 40) * S) == lossy.lost_back_ps(lost, 1, stream=True)
        assert last - quiet.ends(free, (i + 41) * S, 5) == lossy.lost_back_ps(lost, 5, stream=True)
        told.add(lost.lost_out_ps)
    assert len(told) > 3
