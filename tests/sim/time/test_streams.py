import weakref

import numpy as np
import pytest

from sim.time.streams import Streams, stream


def test_a_stream_depends_on_seed_replication_and_name_and_on_nothing_else() -> None:
    first = stream(1, 0, "traffic/chat/arrivals").random(4)
    assert np.array_equal(first, stream(1, 0, "traffic/chat/arrivals").random(4))
    others = [stream(2, 0, "traffic/chat/arrivals"), stream(1, 1, "traffic/chat/arrivals"), stream(1, 0, "x")]
    assert all(not np.array_equal(first, other.random(4)) for other in others)


def test_a_stream_is_the_same_on_every_machine() -> None:
    assert stream(8080, 3, "network/app").integers(0, 10**9, 3).tolist() == [768039672, 856257461, 666313374]


def test_a_streams_children_are_those_that_numpy_gives_it() -> None:
    plain = np.random.Generator(np.random.PCG64DXSM(np.random.SeedSequence(5)))
    ours = Streams(5, 0).stream("x")
    assert [type(child) for child in ours.spawn(2)] == [type(ours)] * 2
    keys = [child.bit_generator.seed_seq.spawn_key for child in ours.spawn(2)]  # type: ignore[attr-defined]  # not in numpy's stubs
    assert keys == [(2,), (3,)], "as those that plain generators count"
    assert len(plain.spawn(2)) == 2


def drawn(streams: Streams, *names: str) -> list[np.random.Generator]:
    return [streams.stream(name) for name in names]


def test_equal_draws_leave_equal_digests_in_whatever_order_the_streams_were_made() -> None:
    one, other = Streams(1, 0), Streams(1, 0)
    a, b = drawn(one, "a", "b")
    later_b, later_a = drawn(other, "b", "a")
    for generator in (a, b, later_a, later_b):
        generator.random(3)
    assert one.digest() == other.digest()


@pytest.mark.parametrize("which", ["first", "second of its name", "child", "grandchild"])
def test_one_draw_more_from_any_stream_or_one_split_off_it_shows(which: str) -> None:
    digests = set()
    for more in (False, True):
        streams = Streams(1, 0)
        first, second = drawn(streams, "a", "a")
        (child,) = first.spawn(1)
        (grandchild,) = child.spawn(1)
        by_name = {"first": first, "second of its name": second, "child": child, "grandchild": grandchild}
        by_name[which].random(2 if more else 1)
        digests.add(streams.digest())
    assert len(digests) == 2


def test_a_stream_more_shows_and_so_do_seed_and_replication() -> None:
    digests = set()
    for seed, replication, names in [(1, 0, "a"), (2, 0, "a"), (1, 1, "a"), (1, 0, "ab"), (1, 0, "b")]:
        streams = Streams(seed, replication)
        drawn(streams, *names)
        digests.add(streams.digest())
    assert len(digests) == 5


def test_streams_that_are_not_kept_go_with_those_who_draw_from_them() -> None:
    streams = Streams(1, 0, kept=False)
    (rng,) = drawn(streams, "a")
    gone = weakref.ref(rng)
    del rng
    assert gone() is None
