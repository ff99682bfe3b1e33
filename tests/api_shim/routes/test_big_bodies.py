"""Bodies and answers that take long to make: beside the loop or in pieces, or refused with the limit."""

import asyncio
import json
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import pytest

from api_shim.clocks.pacer import Pacer
from api_shim.content.own_words import Echo
from api_shim.exchange import chunk_writer
from api_shim.routes import common
from api_shim.shim import BYTES_AT_ONCE
from api_shim.wire import body as wire_body
from api_shim.wire.errors import ApiError
from sim.time.timeline import Timeline
from tests.support.live import LLAMA, MakeWire, Reply, Wire, chat

T = TypeVar("T")
COMPLETIONS = "/v1/completions"


@pytest.fixture
def aside(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A name for each work that was done beside the loop."""
    done: list[str] = []

    async def counted(work: Callable[[], T]) -> T:
        done.append(getattr(work, "func", work).__name__)
        return work()

    monkeypatch.setattr(wire.platform.shim.clock, "aside", counted)
    return done


@pytest.mark.parametrize(
    ("path", "field", "value"),
    [
        ("/v1/chat/completions", "messages", [{"role": "user", "content": "x " * BYTES_AT_ONCE}]),
        (COMPLETIONS, "prompt", "x " * BYTES_AT_ONCE),
    ],
)
def test_a_long_body_is_understood_beside_the_loop_and_a_short_one_at_once(
    wire: Wire, aside: list[str], path: str, field: str, value: Any
) -> None:
    long, short = {"model": LLAMA, field: value}, {"model": LLAMA, field: value[:1]}
    if field == "messages":
        short["messages"] = [{"role": "user", "content": "x"}]
    assert wire.ask(path, short).status == 200
    assert aside == []
    assert wire.ask(path, long).error["code"] == "context_length_exceeded"
    assert aside == ["_understood"]
    assert wire.ask(path, {**long, "n": 0}).error["code"] == "integer_below_min_value", (
        "errors come back, too"
    )


def test_a_long_answer_is_made_beside_the_loop_and_reads_as_a_short_one_does(
    wire: Wire, aside: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = chat("\u00e9\u4e2d", n=3, max_tokens=50, ignore_eos=True, logprobs=True, top_logprobs=2)
    plain = {
        "model": LLAMA,
        "prompt": ["a", "\u00e9"],
        "n": 2,
        "echo": True,
        "max_tokens": 70,
        "logprobs": 1,
        "ignore_eos": True,
    }
    for path, body in (("/v1/chat/completions", asked), (COMPLETIONS, plain)):
        monkeypatch.setattr(common, "LOGPROBS_AT_ONCE", 10_000)
        short = wire.ask(path, body).json
        assert aside == []
        monkeypatch.setattr(common, "LOGPROBS_AT_ONCE", 100)
        reply = wire.ask(path, body)
        assert aside.pop() == "_encoded"
        assert reply.json["choices"] == short["choices"]
        assert reply.json.keys() == short.keys()
        assert reply.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("field", "value", "param", "code"),
    [
        ("messages", [{"role": "user", "content": "x"}] * 2049, "messages", "array_above_max_length"),
        (
            "messages",
            [{"role": "user", "content": [{"type": "text", "text": "x"}] * 2049}],
            "messages[0].content",
            "array_above_max_length",
        ),
        ("logit_bias", {str(k): 1 for k in range(4097)}, "logit_bias", None),
        ("metadata", [[]] * 40_001, None, "request_too_complex"),
        ("user", ["x"] * 60_001, None, "request_too_complex"),
        ("user", [1] * 400_002, None, "request_too_complex"),
    ],
    ids=["messages", "parts", "biases", "brackets", "strings", "commas"],
)
def test_what_would_take_too_long_in_one_go_is_refused_with_the_limit(
    wire: Wire, field: str, value: Any, param: str | None, code: str | None
) -> None:
    reply = wire.ask(body={**chat(), field: value})
    assert (reply.status, reply.error["param"]) == (400, param)
    assert code is None or reply.error["code"] == code
    assert any(limit in reply.error["message"] for limit in ("2048", "4096", "40,000", "60,000", "400,000"))


def test_so_are_too_many_token_numbers(wire: Wire) -> None:
    reply = wire.ask(COMPLETIONS, {"model": LLAMA, "prompt": [1] * 400_002})
    assert (reply.status, reply.error["code"]) == (400, "request_too_complex")


def test_a_long_text_full_of_quotes_is_no_heap_of_strings() -> None:
    text = json.dumps({"content": '{"key": "value", "other": ["x"]}' * 10_000}).encode()
    for what, found, most in wire_body._bulk(text):
        assert found <= most, what
    assert [found for what, found, _ in wire_body._bulk(text) if what == "strings"] == [2]


def test_a_stream_with_much_to_say_at_once_says_it_in_pieces(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three choices of 40 tokens, all but the first of which come together, in pieces of 16."""
    body = chat(stream=True, n=3, max_tokens=40, ignore_eos=True)

    def texts(reply: Reply) -> list[str]:
        choices = [frame["choices"][0] for frame in reply.frames]
        return [
            "".join(one["delta"].get("content", "") for one in choices if one["index"] == index)
            for index in range(3)
        ]

    monkeypatch.setattr(type(wire.platform.shim), "flush_ps", 10**13)
    whole = wire.ask(body=body)
    monkeypatch.setattr(chunk_writer, "TOKENS_AT_ONCE", 16)
    pieces = wire.ask(body=body)
    assert texts(pieces) == texts(whole)
    assert len(whole.chunks) == 2
    assert len(pieces.chunks) == 1 + -(-119 // 16)
    vocabulary = wire.platform.shim.model(LLAMA).vocabulary
    assert sum(map(vocabulary.count, texts(whole))) == 120
    assert [vocabulary.count(text) for text in texts(whole)] == [40] * 3


def test_an_echo_of_a_long_text_costs_no_more_than_what_is_said_of_it(
    make: MakeWire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two tokens can be no more than twice 128 letters."""
    wire = make(content=Echo())
    vocabulary = wire.platform.shim.model(LLAMA).vocabulary
    encoded: list[int] = []
    encode = vocabulary.encode

    def spy(text: str) -> list[int]:
        encoded.append(len(text))
        return encode(text)

    monkeypatch.setattr(vocabulary, "encode", spy)
    reply = wire.ask(body=chat("word and " * 100, max_tokens=2))
    assert reply.json["choices"][0]["message"]["content"] == "word and"
    assert encoded == [256]


@pytest.mark.realtime
def test_on_the_wall_clock_long_work_has_a_thread_of_its_own() -> None:
    async def story() -> tuple[str, str]:
        pacer, turned = Pacer(Timeline()), threading.Event()

        def work() -> str:
            assert turned.wait(20)  # the loop goes on meanwhile, or this never ends
            return threading.current_thread().name

        def refuse() -> None:
            raise ApiError(400, "no")

        asyncio.get_running_loop().call_later(0.01, turned.set)
        try:
            where = await pacer.aside(work)
            with pytest.raises(ApiError) as refused:
                await pacer.aside(refuse)
        finally:
            pacer.close()
        return where, refused.value.message

    where, message = asyncio.run(story())
    assert where.startswith("aside")
    assert message == "no"
