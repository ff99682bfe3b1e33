"""Bounds on what a prefix cache can find: by hand, against single blocks, and against what nodes find."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.node.cache_log import CacheLog, Lookup, bounds
from sim.node.fast_forward import FastForward
from sim.node.prefix_pool import PrefixPool
from tests.support.kernel_driver import Driver
from tests.support.kernel_workload import random_workload, with_prefixes
from tests.support.naive_prefix_pool import Key, NaivePrefixPool
from traffic.request import Prefix


def found(*lookups: tuple[Prefix, int], blocks: int) -> list[tuple[int, ...]]:
    """(optimum, ceiling) in blocks of one token; every lookup has a token more than its prefix."""
    return [tuple(each) for each in bounds([(path, n, 0) for path, n in lookups], blocks, 1)]


def of(name: str, tokens: int) -> tuple[Prefix, int]:
    return ((name, tokens),), tokens + 1


def test_the_ceiling_finds_whatever_was_asked_for_and_the_optimum_what_it_can_keep() -> None:
    # Two blocks hold one of the prompts. LRU would find nothing of a, b, a, b; the best keeps one of them.
    lookups = [of("a", 2), of("b", 2), of("a", 2), of("b", 2)]
    assert found(*lookups, blocks=2) == [(0, 0), (0, 0), (2, 2), (0, 2)]
    assert found(*lookups, blocks=3) == [(0, 0), (0, 0), (2, 2), (1, 2)]
    assert found(*lookups, blocks=4) == [(0, 0), (0, 0), (2, 2), (2, 2)]


def test_a_part_of_a_prompt_is_worth_keeping_as_far_as_it_is_asked_for_again() -> None:
    lookups = [of("a", 9), of("b", 3), of("a", 2), of("b", 3)]
    assert found(*lookups, blocks=5)[2:] == [(2, 2), (3, 3)]


def test_prompts_that_part_share_what_is_before() -> None:
    one, other = (("s", 4), ("x", 8)), (("s", 4), ("y", 8))
    lookups = [(one, 9), (other, 9), (one, 9), ((("s", 2), ("z", 8)), 9)]
    assert found(*lookups, blocks=100) == [(0, 0), (4, 4), (8, 8), (2, 2)]


def naive_bounds(lookups: list[Lookup], blocks: int, size: int) -> list[tuple[int, int]]:
    """A block at a time: what is needed last again goes first, the end of a prompt before its beginning."""
    keys_of = NaivePrefixPool(1, size).keys
    asked = [keys_of(path, min((n - 1), path[-1][1]) // size) for path, n, _ in lookups]
    left = [keys_of(path, min(path[-1][1], 10_000) // size) for path, _, _ in lookups]
    kept: set[Key] = set()
    seen: set[Key] = set()
    answers = []
    for i, keys in enumerate(asked):
        hits = [
            next((n for n, key in enumerate(keys) if key not in store), len(keys)) for store in (kept, seen)
        ]
        answers.append((hits[0] * size, hits[1] * size))
        seen.update(left[i])
        again: dict[Key, int] = {}
        for j in reversed(range(i + 1, len(asked))):
            again.update(dict.fromkeys(asked[j], j))
        worth = [key for key in kept | set(left[i]) if key in again]
        places = {key: place for keys in left for place, key in enumerate(keys)}
        worth.sort(key=lambda key: (again[key], places[key]))
        kept = set(worth[:blocks])
    return answers


names = st.sampled_from("ab")
ends = st.lists(st.integers(1, 24), min_size=1, max_size=3, unique=True).map(sorted)
paths = ends.flatmap(lambda found: st.tuples(*(st.tuples(names, st.just(end)) for end in found)))
lookup_lists = st.lists(st.tuples(paths, st.integers(1, 26), st.just(0)), max_size=14)


@settings(max_examples=50, deadline=None)
@given(lookup_lists, st.integers(1, 20), st.sampled_from([1, 3, 4]))
def test_runs_find_what_single_blocks_find(lookups: list[Lookup], blocks: int, size: int) -> None:
    assert [tuple(bound) for bound in bounds(lookups, blocks, size)] == naive_bounds(lookups, blocks, size)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32))
def test_no_node_finds_more_than_the_best_cache_and_that_no_more_than_one_without_end(seed: int) -> None:
    rng = np.random.default_rng(seed)
    workload = with_prefixes(rng, random_workload(rng, most=40))
    limits, log = workload.limits, CacheLog()
    pool = PrefixPool(limits.kv_blocks, limits.block_size, log)
    Driver(FastForward(limits, workload.law, pool=pool, keep_schedule=True), workload.events).run()
    best = bounds(log.lookups, limits.kv_blocks, limits.block_size)
    for (_, _, tokens), bound in zip(log.lookups, best, strict=True):
        assert tokens <= bound.ceiling
        assert bound.optimum <= bound.ceiling
    assert sum(tokens for _, _, tokens in log.lookups) <= sum(bound.optimum for bound in best)
