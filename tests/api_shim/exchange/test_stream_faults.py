"""Streams that go wrong because their client wants it. A prompt of 11 ms, then a token every 10 ms."""

import asyncio
import json
from typing import Any

import pytest

from tests.support.live import MS, Reply, Wire, chat, make_wire

FIVE = chat(stream=True, max_tokens=5, ignore_eos=True)


def streamed(wire: Wire, fault: str | None, path: str = "/v1/chat/completions", body: Any = FIVE) -> Reply:
    return wire.ask(path, body, headers={} if fault is None else {"x-sim-stream-fault": fault})


def frames(reply: Reply) -> list[bytes]:
    return reply.body.split(b"\n\n")


def test_a_stream_is_cut_in_the_middle_of_a_frame_and_its_request_leaves_the_model() -> None:
    wire = make_wire()
    whole, reply = streamed(wire, None), streamed(wire, "cut=2")
    assert (reply.status, reply.ended_ps) == (200, -1)  # it has no end
    *complete, half = frames(reply)
    assert len(complete) == 2
    assert half
    assert b"[DONE]" not in reply.body
    assert whole.ended_ps > 0
    wire.platform.run(asyncio.sleep(0.1))
    wire.platform.close()
    outcomes = wire.platform.world.tables("base").requests["outcome"].to_pylist()
    assert outcomes == ["completed", "cancelled"]


def test_one_frame_is_malformed_and_the_others_are_not() -> None:
    wire = make_wire()
    reply = streamed(wire, "malformed")
    wire.platform.close()
    data = [frame.removeprefix(b"data: ") for frame in frames(reply) if frame.startswith(b"data: ")]
    assert data[-1] == b"[DONE]"
    broken = []
    for number, text in enumerate(data[:-1]):
        try:
            json.loads(text)
        except ValueError:
            broken.append(number)
    assert broken == [1]
    assert reply.ended_ps == (11 + 40) * MS


@pytest.mark.parametrize(("path", "body"), [("/v1/chat/completions", FIVE), ("/v1/responses", None)])
def test_dribbled_pieces_make_up_the_same_bytes(path: str, body: Any) -> None:
    asked = body or {"model": FIVE["model"], "input": "hello", "stream": True, "max_output_tokens": 16}
    wires = make_wire(), make_wire()  # equal ones, for answers of the same ids
    whole, dribbled = (streamed(wires[i], (None, "dribble=7")[i], path, asked) for i in range(2))
    for wire in wires:
        wire.platform.close()
    assert dribbled.body == whole.body
    assert max(len(piece) for _, piece in dribbled.chunks) == 7
    assert dribbled.ended_ps == whole.ended_ps


@pytest.mark.parametrize("wanted", ["burn", "cut=", "cut=-1", "dribble=0", "dribble=99999", "cut=2;", ""])
def test_a_fault_that_there_is_not_is_refused(wanted: str) -> None:
    wire = make_wire()
    reply = streamed(wire, wanted)
    wire.platform.close()
    assert (reply.status, reply.error["param"]) == (400, "x-sim-stream-fault")
