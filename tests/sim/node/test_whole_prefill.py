"""Prompts that are computed whole, by hand. A step takes 10 ms, and 1 ms for each prompt token in it."""

import pytest

from tests.support.bench import MS, Diary, make_bench

engines = pytest.mark.parametrize("engine", ["step", "fast"])


@engines
def test_a_prompt_goes_first_while_those_who_decode_stand_still(engine: str) -> None:
    # Number 1 has its first token at 15, and would have the others at 25, 35 and 45. Number 2 comes at 20:
    # its prompt takes 10 + 20 ms from 25 on, and then both have a token at 65. The last of number 1 comes
    # at 75.
    b = make_bench(prefill="whole", engine=engine)
    for at, prompt, output in [(0, 5, 4), (20, 20, 2)]:
        b.submit_at(at, b.request(prompt, output), Diary())
    b.env.run()
    rows = b.rows()
    assert [row["first_ps"] / MS for row in rows] == [15, 55]
    assert [row["last_ps"] / MS for row in rows] == [75, 65]


@engines
def test_prompts_share_a_step_as_far_as_the_budget_takes_them_whole(engine: str) -> None:
    # 12 of 20 tokens, and 8 more do not fit beside 12: they have the next step, and the decode the third.
    b = make_bench(prefill="whole", budget=20, engine=engine)
    for prompt in (5, 7, 9):
        b.submit_at(0, b.request(prompt, 2), Diary())
    b.env.run()
    rows = b.rows()
    assert [row["first_ps"] / MS for row in rows] == [22, 22, 41]
    assert [row["last_ps"] / MS for row in rows] == [51, 51, 51]


@engines
def test_in_chunks_the_same_prompts_do_not_stop_those_who_decode(engine: str) -> None:
    b = make_bench(engine=engine)
    for at, prompt, output in [(0, 5, 4), (20, 20, 2)]:
        b.submit_at(at, b.request(prompt, output), Diary())
    b.env.run()
    assert [row["last_ps"] / MS for row in b.rows()] == [65, 65]


@engines
def test_tokens_are_told_apart_from_the_standstill_between_them(engine: str) -> None:
    b = make_bench(prefill="whole", engine=engine)
    first = b.submit_at(0, b.request(5, 4), Diary())
    b.submit_at(20, b.request(20, 2), Diary())
    seen: list[int] = []
    for at in (14, 16, 24, 26, 40, 64, 66, 74, 76):
        b.at(at, lambda: seen.append(first[0].tokens_by(b.env.now)))
    b.env.run()
    assert seen == [0, 1, 1, 2, 2, 2, 3, 3, 4]
