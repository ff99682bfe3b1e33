import numpy as np

from sim.time.streams import stream


def test_a_stream_depends_on_seed_replication_and_name_and_on_nothing_else() -> None:
    first = stream(1, 0, "traffic/chat/arrivals").random(4)
    assert np.array_equal(first, stream(1, 0, "traffic/chat/arrivals").random(4))
    others = [stream(2, 0, "traffic/chat/arrivals"), stream(1, 1, "traffic/chat/arrivals"), stream(1, 0, "x")]
    assert all(not np.array_equal(first, other.random(4)) for other in others)


def test_a_stream_is_the_same_on_every_machine() -> None:
    assert stream(8080, 3, "network/app").integers(0, 10**9, 3).tolist() == [768039672, 856257461, 666313374]
