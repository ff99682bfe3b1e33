"""Who decides how long an answer is: the caller's source, `serve.output`, or a source of the model."""

from typing import Any

import pytest

from tests.support.live import GPT_OSS, LLAMA, MakeWire, chat, scenario

SEVEN = {"serve": {"output": {"kind": "fixed", "tokens": 7}}}
VARIED = {"serve": {"output": {"kind": "lognormal", "median": 40, "sigma": 0.5, "low": 20, "high": 60}}}


def output_tokens(reply: Any) -> int:
    assert reply.status == 200
    assert reply.json["choices"][0]["finish_reason"] == "stop"
    return int(reply.json["usage"]["completion_tokens"])


@pytest.mark.parametrize(
    ("sections", "key", "model", "tokens"),
    [
        ({}, "sk-me", LLAMA, 5),  # the source `chat` asks this model
        ({}, "sk-me", GPT_OSS, 5),  # no source does: the first of all
        (SEVEN, "sk-me", LLAMA, 7),
        (SEVEN, "sk-me", GPT_OSS, 7),
        (SEVEN, "sk-chat", LLAMA, 5),  # the key stands for `chat`, and its answers are its own
        (SEVEN, "sk-chat", GPT_OSS, 5),
    ],
)
def test_serve_output_gives_the_lengths_of_callers_who_stand_for_no_source(
    make: MakeWire, sections: dict[str, Any], key: str, model: str, tokens: int
) -> None:
    wire = make(scenario(**sections))
    assert output_tokens(wire.ask(body={**chat(), "model": model}, key=key)) == tokens
    plain = wire.ask("/v1/completions", {"model": model, "prompt": "hello"}, key=key)
    assert output_tokens(plain) == tokens


def test_serve_output_is_drawn_for_each_body_and_the_same_for_equal_ones(make: MakeWire) -> None:
    def drawn() -> list[int]:
        wire = make(scenario(**VARIED))
        return [output_tokens(wire.ask(body=chat(f"question {i}"))) for i in range(30)]

    lengths = drawn()
    assert drawn() == lengths
    assert len(set(lengths)) > 10
    assert 20 <= min(lengths) <= max(lengths) <= 60


def test_a_request_that_says_how_long_is_not_overruled(make: MakeWire) -> None:
    wire = make(scenario(**SEVEN))
    reply = wire.ask(body=chat(max_tokens=3))
    assert (reply.json["usage"]["completion_tokens"], reply.json["choices"][0]["finish_reason"]) == (
        3,
        "length",
    )
    assert output_tokens(wire.ask(body=chat(min_tokens=9))) == 9
    assert output_tokens(wire.ask(body=chat(), headers={"x-sim-output-tokens": "4"})) == 4
