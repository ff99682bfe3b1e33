"""Names of what prompts have in common, by hand; blocks are letters of 4 tokens."""

from hypothesis import given
from hypothesis import strategies as st

from traffic.request import Prefix
from traffic.run_names import RunNames


def prefix(names: RunNames, blocks: str, name: str) -> Prefix:
    return names.prefix(blocks, 4, 4 * len(blocks) - 1, name)


def test_a_prompt_that_nobody_knows_has_one_name() -> None:
    names = RunNames()
    assert prefix(names, "abcd", "one") == (("one", 15),)
    assert prefix(names, "abcd", "again") == (("one", 15),)
    assert prefix(names, "", "empty") == ()


def test_one_that_leaves_another_goes_on_under_its_own_name() -> None:
    names = RunNames()
    prefix(names, "abcd", "one")
    assert prefix(names, "abxy", "two") == (("one", 8), ("two", 15))
    assert prefix(names, "abcdef", "three") == (("one", 16), ("three", 23))
    assert prefix(names, "abxyz", "four") == (("one", 8), ("two", 16), ("four", 19))


def test_a_block_means_something_only_behind_the_blocks_before_it() -> None:
    names = RunNames()
    prefix(names, "abcd", "one")
    assert prefix(names, "bcd", "two") == (("two", 11),)


@given(st.lists(st.text("abc", max_size=6), max_size=12))
def test_prompts_share_exactly_the_tokens_that_begin_alike(prompts: list[str]) -> None:
    names = RunNames()
    named = [names.prefix(prompt, 4, 4 * len(prompt), str(i)) for i, prompt in enumerate(prompts)]
    for one, its in zip(prompts, named, strict=True):
        for other, others in zip(prompts, named, strict=True):
            alike = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), None)
            alike = min(len(one), len(other)) if alike is None else alike
            assert in_common(its, others) == 4 * alike


def in_common(one: Prefix, other: Prefix) -> int:
    tokens = 0
    for (name, end), (others, its_end) in zip(one, other, strict=False):
        if name != others:
            break
        tokens = min(end, its_end)
        if end != its_end:
            break
    return tokens


def test_it_forgets_what_was_not_seen_for_long() -> None:
    names = RunNames(most=4)
    prefix(names, "abc", "one")
    for i in range(3):
        assert prefix(names, "ab", f"hears {i}") == (("one", 7),)
        prefix(names, f"{i}xyz", f"other {i}")
    assert prefix(names, "abc", "late")[0][0] == "one"
    for i in range(4):
        prefix(names, f"{i}pqrstu", f"long {i}")
    assert prefix(names, "abc", "new") == (("new", 11),)
