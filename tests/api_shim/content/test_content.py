"""The words: synthetic ones of exact length, echoes, files, stop strings."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_shim.content import synthetic
from api_shim.content.own_words import Echo, Synthetic
from api_shim.content.plan import Content, ContentAsk, ContentPlan
from api_shim.content.replay import Replay
from api_shim.content.stop_strings import cut_at_stop
from api_shim.content.words import pieces_of
from traffic.tokens import VOCABULARIES, vocabulary

LLAMA3 = "llama3"


def ask(said: str = "Say hello", **fields: object) -> ContentAsk:
    natural: Callable[[], int] = lambda: 20  # noqa: E731 -- a constant in a lambda's place
    plain = {
        "vocabulary": vocabulary(LLAMA3),
        "model": "m",
        "messages": (("system", "Be kind"), ("user", said)),
        "seed": 5,
        "natural_tokens": natural,
        "room_tokens": 1000,
    }
    return ContentAsk(**(plain | fields))  # type: ignore[arg-type]


def planned(content: Content, question: ContentAsk) -> ContentPlan:
    return asyncio.run(content.plan(question))


@pytest.mark.parametrize("name", VOCABULARIES.values())
@pytest.mark.parametrize("tokens", [1, 2, 11, 12, 13, 500, 12_251, 12_252, 12_253, 25_000])
def test_synthetic_text_has_exactly_as_many_tokens_as_asked_for(name: str, tokens: int) -> None:
    for seed in (0, 1, 1020, 2**63):
        pieces = synthetic.pieces(tokens, seed)
        assert len(pieces) == tokens
        assert vocabulary(name).count("".join(pieces)) == tokens


@pytest.mark.parametrize("name", VOCABULARIES.values())
@pytest.mark.parametrize("tokens", range(1, 40))
def test_a_finished_answer_ends_in_a_full_stop_and_keeps_its_length(name: str, tokens: int) -> None:
    plan = planned(Synthetic(), ask(natural_tokens=lambda: tokens))
    text = "".join(plan.choices[0])
    assert plan.finish_reason == "stop"
    assert vocabulary(name).count(text) == tokens == plan.output_tokens
    assert ".." not in text


@given(
    pieces=st.lists(st.sampled_from(["a", "b", "ab", " ", "ba", ""]), min_size=1, max_size=30),
    stops=st.lists(st.sampled_from(["ab", "b a", "aa", "bb", "abab"]), min_size=1, max_size=4),
    min_tokens=st.integers(0, 10),
)
def test_a_cut_text_is_a_beginning_of_the_whole_without_any_stop_string(
    pieces: list[str], stops: list[str], min_tokens: int
) -> None:
    cut = cut_at_stop(pieces, stops, min_tokens)
    whole = "".join(pieces)
    if cut is None:
        if not min_tokens:
            assert not any(stop in whole for stop in stops)
        return
    text = "".join(cut)
    assert whole.startswith(text)
    assert min_tokens <= len(cut) <= len(pieces)
    assert any(whole[len(text) :].startswith(stop) for stop in stops)
    if not min_tokens:
        assert not any(stop in text for stop in stops)
        assert not any(stop in "".join(pieces[: len(cut) - 1]) for stop in stops), "as early as can be"


def test_an_echo_says_the_last_user_message() -> None:
    plan = planned(Echo(), ask("To be, or not to be"))
    assert "".join(plan.choices[0]) == "To be, or not to be"
    assert (plan.output_tokens, plan.finish_reason) == (7, "stop")
    capped = planned(Echo(), ask("To be, or not to be", max_tokens=3))
    assert ("".join(capped.choices[0]), capped.finish_reason) == ("To be,", "length")


def test_an_echo_of_nothing_is_one_empty_token() -> None:
    assert planned(Echo(), ask("")).choices == ([""],)


def test_letters_of_several_tokens_come_whole() -> None:
    text = "naïve 日本語 🦙🦙"
    pieces = list(pieces_of(vocabulary(LLAMA3), text))
    assert "".join(pieces) == text
    assert len(pieces) == vocabulary(LLAMA3).count(text)
    assert "\ufffd" not in text


def test_a_replay_takes_the_line_that_matches_and_the_others_in_turn(tmp_path: Path) -> None:
    file = tmp_path / "answers.jsonl"
    file.write_text(
        '{"content": "one"}\n\n{"match": "weather", "content": "rain"}\n{"content": "two"}\n',
        encoding="utf-8",
    )
    replay = Replay(file)
    said = ["hello", "the weather?", "hello", "hello"]
    answers = ["".join(planned(replay, ask(text)).choices[0]) for text in said]
    assert answers == ["one", "rain", "two", "one"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"content": "x"}\nnonsense\n', r"answers\.jsonl:2: not a JSON object"),
        ('{"text": "x"}\n', r"answers\.jsonl:1: a line is"),
        ('{"match": "x", "content": "y"}\n', "needs a line without `match`"),
        ("", "needs a line without `match`"),
    ],
)
def test_a_bad_replay_file_is_told_by_line(tmp_path: Path, text: str, sentence: str) -> None:
    file = tmp_path / "answers.jsonl"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=sentence):
        Replay(file)


def test_a_missing_replay_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot read"):
        Replay(tmp_path / "none.jsonl")
