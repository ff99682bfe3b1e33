"""What a pool says of a sequence that waits is what happens when it comes in."""

from hypothesis import given
from hypothesis import strategies as st

from sim.node.kernel import Sequence, SharedPrompt
from sim.node.kv_pool import CountingPool
from sim.node.work import Work


def waiting(number: int, prompt: int, computed: int = 0, shared: SharedPrompt | None = None) -> Work:
    return Work(Sequence(number, prompt, 1, shared_prompt=shared), (0, False, number), computed)


def test_blocks_are_those_of_what_is_there_and_what_the_step_adds() -> None:
    pool = CountingPool(blocks=10, block_size=16)
    assert pool.fits(waiting(0, 33), 100, free=3)  # 33 tokens: two full blocks and one begun
    assert not pool.fits(waiting(0, 33), 100, free=2)
    assert pool.fits(waiting(0, 33), 32, free=2)  # the step has room for 32
    assert not pool.fits(waiting(0, 33, computed=20), 12, free=1)  # with 20 that came along
    assert pool.fits(waiting(0, 33, computed=20), 12, free=2)
    assert not pool.fits(waiting(0, 33, computed=20), 13, free=2)


@given(
    prompt=st.integers(1, 60),
    computed=st.integers(0, 59),
    left=st.integers(1, 60),
    free=st.integers(0, 8),
    is_shared=st.booleans(),
)
def test_who_fits_is_admitted_and_nobody_else(
    prompt: int, computed: int, left: int, free: int, *, is_shared: bool
) -> None:
    pool = CountingPool(blocks=40, block_size=8)
    shared = SharedPrompt() if is_shared else None
    if shared is not None:
        assert pool.admit(waiting(0, prompt, shared=shared), 60) == prompt
    pool.take(pool.free - free)
    newcomer = waiting(1, prompt, min(computed, prompt - 1), shared)
    assert pool.fits(newcomer, left, pool.free) == (pool.admit(newcomer, left) > 0)
