"""Keys in the places and spellings in which one has been seen, and words that look only a little like one."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_shim.tracing.redaction import Redaction

NOTHING = Redaction("")
KEY = "sk-live-Ab12_cd34"


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        (f"my key is {KEY}.", "my key is [redacted]."),
        (f'{{"a":"{KEY}"}}', '{"a":"[redacted]"}'),
        (json.dumps(f"one\n{KEY}\ttwo"), '"one\\n[redacted]\\ttwo"'),
        (json.dumps(f"é{KEY}"), '"\\u00e9[redacted]"'),
        (f"old_{KEY}", "old_[redacted]"),
        ('{"k":"\\u0073k\\u002dlive1234"}', '{"k":"[redacted]"}'),
        ("authorization: Bearer abc.def-123", "authorization: [redacted]"),
        ('{"Authorization": "Basic dXNlcjpwYXNz"}', '{"Authorization": "[redacted]"}'),
        ('{"x":"{\\"api_key\\": \\"hunter22\\"}"}', '{"x":"{\\"api_key\\": \\"[redacted]\\"}"}'),
        ("a risk-free task-force at sk-1, sk- and desk-lamps", None),
        ('{"key": "value", "api": "x"}', None),
    ],
)
def test_what_looks_like_a_key_goes_and_its_surroundings_stay(text: str, redacted: str | None) -> None:
    assert NOTHING.text(text) == (text if redacted is None else redacted)


def test_the_callers_own_key_goes_whatever_it_looks_like() -> None:
    own = Redaction('hunter"22')
    assert own.text('it is hunter"22!') == "it is [redacted]!"
    assert own.text(json.dumps({"a": 'hunter"22'})) == '{"a": "[redacted]"}'
    assert NOTHING.text("hunter22") == "hunter22"
    assert Redaction("a").text("a banana") == "a banana"


def test_a_text_is_not_cut_within_the_callers_key() -> None:
    own = Redaction("hunter2222")
    assert own.cut("my hunter2222", 9) == "my "
    assert own.cut("my hun", 9) == "my hun"
    assert own.cut("abcdef", 3) == "abc"


def frames(*pieces: str, index: int = 0) -> str:
    chunks = [{"id": "x", "choices": [{"index": index, "delta": {"content": piece}}]} for piece in pieces]
    return "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks)


def said(events: str, index: int = 0) -> str:
    found = [
        json.loads(frame.removeprefix("data: ")) for frame in events.split("\n\n") if frame[:7] == "data: {"
    ]
    choices = [chunk["choices"][0] for chunk in found]
    return "".join(choice["delta"]["content"] for choice in choices if choice["index"] == index)


def test_a_key_that_is_streamed_token_by_token_is_found() -> None:
    events = frames("use sk", "-", "live", "12", " or not") + ": keep-alive\n\ndata: [DONE]\n\n"
    redacted = NOTHING.events(events)
    assert said(redacted) == "use [redacted] or not"
    assert "live" not in redacted.replace("keep-alive", "")
    assert redacted.endswith(": keep-alive\n\ndata: [DONE]\n\n")
    assert NOTHING.events(frames("sk", "y is blue")) == frames("sk", "y is blue")


def test_choices_that_take_turns_are_read_apart() -> None:
    events = frames("sk-li") + frames("all ", index=1) + frames("ve12") + frames("fine", index=1)
    assert said(NOTHING.events(events)) == "[redacted]"
    assert said(NOTHING.events(events), 1) == "all fine"


@given(st.lists(st.integers(1, len(KEY) - 1), max_size=6), st.booleans())
def test_however_a_key_is_cut_into_tokens_none_of_it_is_left(cuts: list[int], own: bool) -> None:
    key = "correct_horse_22" if own else KEY
    edges = sorted({0, *(cut for cut in cuts if cut < len(key)), len(key)})
    pieces = [key[start:stop] for start, stop in pairwise(edges)]
    redaction = Redaction(key if own else "")
    assert said(redaction.events(frames("(", *pieces, ")"))) == "([redacted])"


def logprobs(*tokens: str) -> dict[str, object]:
    return {"content": [{"token": token, "bytes": [1], "top_logprobs": []} for token in tokens]}


def test_the_tokens_of_an_answer_do_not_spell_a_key_either() -> None:
    choice = {"message": {"content": "sk-live1"}, "logprobs": logprobs("sk", "-", "live", "1")}
    answer = json.dumps({"choices": [choice]})
    assert json.loads(NOTHING.answer(answer)) == {"choices": [{"message": {"content": "[redacted]"}}]}
    assert NOTHING.answer(answer[:-40]).endswith('"[redacted]"}, "')
    harmless = json.dumps({"choices": [{"message": {"content": "sky"}, "logprobs": logprobs("sk", "y")}]})
    assert NOTHING.answer(harmless) == harmless
