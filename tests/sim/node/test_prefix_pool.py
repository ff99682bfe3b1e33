"""What a pool with a prefix cache finds, holds and evicts, with block numbers worked out by hand.

Blocks have 4 tokens. Names of prefixes are letters: `("a", 8)` are 8 tokens of `a`.
"""

import gc

from sim.node.cached_runs import Run
from sim.node.kernel import Sequence, SharedPrompt
from sim.node.prefix_pool import PrefixPool
from sim.node.work import Work
from traffic.request import Prefix


def waiting(
    prompt: int, *prefix: tuple[str, int], output: int = 1, shared: SharedPrompt | None = None
) -> Work:
    return Work(Sequence(0, prompt, output, shared_prompt=shared, prefix=prefix), (0, False, 0), 0)


def admitted(pool: PrefixPool, work: Work, left: int = 1000) -> tuple[int, int]:
    """Tokens found, tokens to compute."""
    new = pool.admit(work, left)
    assert new, "it fits"
    return work.cached, new


def served(pool: PrefixPool, prompt: int, *prefix: tuple[str, int], output: int = 1) -> int:
    """Tokens found by a request that comes and goes. Its last token never enters the cache."""
    work = waiting(prompt, *prefix, output=output)
    found, _ = admitted(pool, work)
    tokens = prompt + output - 1
    if tokens > prompt:
        pool.grow(work, prompt, tokens)
    pool.give_back(work, tokens)
    return found


def test_a_second_prompt_finds_the_full_blocks_that_it_shares() -> None:
    pool = PrefixPool(100, 4)
    assert served(pool, 20, ("a", 10)) == 0
    assert served(pool, 20, ("a", 10)) == 8, "10 tokens are two full blocks"
    assert served(pool, 20, ("a", 7)) == 4
    assert served(pool, 20, ("b", 10)) == 0
    assert pool.free == 100


def test_the_last_token_is_computed_even_where_all_is_found() -> None:
    pool = PrefixPool(100, 4)
    served(pool, 8, ("a", 8))
    again = waiting(8, ("a", 8))
    assert admitted(pool, again) == (4, 4), "and with it the whole of the last block"
    assert pool.free == 98
    pool.give_back(again, 8)
    assert served(pool, 9, ("a", 9)) == 8


def test_those_who_run_share_blocks_and_the_last_to_leave_frees_them() -> None:
    pool = PrefixPool(10, 4)
    one, other = waiting(17, ("a", 16)), waiting(17, ("a", 16))
    assert admitted(pool, one) == (0, 17)
    assert pool.free == 5
    assert admitted(pool, other) == (16, 1), "named by the step that computes them"
    assert pool.free == 4, "a block for its own token"
    pool.give_back(one, 17)
    assert pool.free == 5
    pool.give_back(other, 17)
    assert pool.free == 10


def test_the_least_recently_used_block_goes_first_and_of_a_prompt_the_last() -> None:
    pool = PrefixPool(6, 4)
    served(pool, 12, ("a", 12))
    served(pool, 12, ("b", 12))
    assert served(pool, 5, ("a", 5)) == 4, "`a` used its first block again, which is newer than `b` now"
    taken = waiting(8)
    assert admitted(pool, taken) == (0, 8), "a's third and second block go"
    assert pool.cached_tokens((("a", 12),), 13) == 4
    assert pool.cached_tokens((("b", 12),), 13) == 12
    pool.take(2)
    assert pool.cached_tokens((("a", 12),), 13) == 4
    assert pool.cached_tokens((("b", 12),), 13) == 4


def test_who_is_held_is_not_evicted_and_counts_as_taken() -> None:
    pool = PrefixPool(5, 4)
    served(pool, 16, ("a", 16))
    held = waiting(9, ("a", 9))
    assert admitted(pool, held) == (8, 1)
    assert pool.free == 2
    assert not pool.admit(waiting(12), 100)
    assert pool.fits(waiting(12), 100, free=3)
    assert pool.admit(waiting(8), 100)
    assert pool.cached_tokens((("a", 16),), 17) == 8


def test_found_blocks_that_nobody_holds_count_as_needed_and_as_free() -> None:
    pool = PrefixPool(4, 4)
    served(pool, 16, ("a", 16))
    assert not pool.fits(waiting(17, ("a", 16)), 100, pool.free), "4 are free, and all of them its own"
    assert pool.fits(waiting(16, ("a", 16)), 100, pool.free)


def test_a_conversation_finds_its_answer_too() -> None:
    pool = PrefixPool(100, 4)
    chat: Prefix = (("system", 8), ("chat", 1000))
    assert served(pool, 12, *chat, output=9) == 0  # 20 tokens enter the cache
    assert served(pool, 30, *chat) == 20
    assert served(pool, 30, ("system", 8), ("other", 1000)) == 8


def test_a_preempted_sequence_finds_its_own_blocks() -> None:
    pool = PrefixPool(100, 4)
    work = waiting(10, output=20)
    admitted(pool, work)
    pool.grow(work, 10, 15)
    pool.give_back(work, 15)
    work.sequence.generated = 6
    work.start_over()
    assert admitted(pool, work) == (12, 4), "16 tokens to compute again, of which three blocks are full"
    assert admitted(pool, waiting(10, output=20)) == (0, 10), "nobody else does"


def test_completions_of_one_prompt_share_all_of_it_and_not_their_answers() -> None:
    pool = PrefixPool(100, 4)
    shared = SharedPrompt()
    one, other = (waiting(10, ("a", 6), output=9, shared=shared) for _ in range(2))
    assert admitted(pool, one) == (0, 10)
    assert admitted(pool, other) == (8, 2)
    for work in (one, other):
        pool.grow(work, 10, 18)
        pool.give_back(work, 18)
    assert pool.free == 100
    assert served(pool, 12, ("a", 6)) == 4


def test_a_copy_that_was_computed_twice_loses_its_contents_first() -> None:
    pool = PrefixPool(100, 4)
    slow, quick = waiting(16, ("a", 16)), waiting(16, ("a", 16))
    assert admitted(pool, slow, left=2) == (0, 2)
    assert admitted(pool, quick) == (0, 16), "nothing is full yet"
    pool.grow(slow, 2, 16)
    assert pool.free == 92
    pool.give_back(quick, 16)
    pool.give_back(slow, 16)
    assert pool.free == 100
    pool.take(96)
    assert pool.cached_tokens((("a", 16),), 17) == 16, "one copy was left"


def runs() -> int:
    gc.collect()
    return sum(isinstance(one, Run) for one in gc.get_objects())


def test_what_was_evicted_leaves_nothing_behind() -> None:
    before, pool = runs(), PrefixPool(20, 4)
    for i in range(300):
        served(pool, 30, ("a", 3), (f"b{i % 7}", 9), (f"c{i}", 25), output=7)
    assert runs() - before < 20, "of 300 prompts with three runs each"
    pool.take(20)
    assert pool.cached_tokens((("a", 3), ("b1", 9)), 30) == 0
    assert runs() - before == 1, "the root"


def test_a_drained_node_finds_nothing_again() -> None:
    pool = PrefixPool(100, 4)
    served(pool, 20, ("a", 20))
    pool.reset()
    assert (pool.free, served(pool, 20, ("a", 20))) == (100, 0)
