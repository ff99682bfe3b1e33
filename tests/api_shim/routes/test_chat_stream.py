"""Streams: the order of the frames, when they come, and what a client that leaves gives back."""

import asyncio
from itertools import pairwise

import pytest

from api_shim.settings import ServerSettings, StreamChunks
from tests.support.live import LLAMA, MS, MakeWire, Wire, chat, scenario


def test_frames_come_in_openais_order(wire: Wire) -> None:
    reply = wire.ask(body=chat(stream=True, max_tokens=4))
    first, *middle, last = reply.frames
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert all(frame["choices"][0]["finish_reason"] is None for frame in [first, *middle])
    assert last["choices"][0]["delta"] == {}
    assert last["choices"][0]["finish_reason"] == "length"
    for frame in reply.frames:
        assert frame["object"] == "chat.completion.chunk"
        assert (frame["id"], frame["created"], frame["model"]) == (first["id"], 1_767_225_600, LLAMA)
        assert "usage" not in frame


def test_text_and_usage_equal_those_of_the_same_request_unstreamed(wire: Wire) -> None:
    whole = wire.ask(body=chat(max_tokens=40, ignore_eos=True)).json
    options = {"include_usage": True}
    streamed = wire.ask(body=chat(max_tokens=40, ignore_eos=True, stream=True, stream_options=options))
    assert streamed.text == whole["choices"][0]["message"]["content"]
    *others, last = streamed.frames
    assert last["choices"] == []
    assert last["usage"] == whole["usage"]
    assert all(frame["usage"] is None for frame in others)


@pytest.mark.parametrize("chunks", ["coalesced", "per_token"])
@pytest.mark.parametrize("logprobs", [False, True])
def test_usage_so_far_stands_on_every_chunk_where_a_client_asks(
    make: MakeWire, chunks: StreamChunks, logprobs: bool
) -> None:
    """Seven tokens to 11 of prompt, looked at every 25 ms: 1, 3 and 6 are there, and then all."""
    wire = make(settings=ServerSettings(flush_ms=25.0, stream_chunks=chunks))
    asked = {"include_usage": True, "continuous_usage_stats": True}
    body = chat(stream=True, max_tokens=7, ignore_eos=True, stream_options=asked, logprobs=logprobs)
    *chunked, last = wire.ask(body=body).frames
    counts = [0, 1, 3, 6, 7, 7] if chunks == "coalesced" else [0, 1, 2, 3, 4, 5, 6, 7, 7]
    assert [frame["usage"] for frame in chunked] == [
        {"prompt_tokens": 11, "completion_tokens": count, "total_tokens": 11 + count} for count in counts
    ]
    assert last["choices"] == []
    assert last["usage"]["completion_tokens"] == 7
    texts = [frame["choices"][0]["delta"].get("content") for frame in chunked]
    assert "".join(text or "" for text in texts) == wire.ask(body={**body, "stream_options": None}).text


def test_usage_so_far_counts_all_choices_and_needs_no_include_usage(wire: Wire) -> None:
    asked = {"continuous_usage_stats": True}
    frames = wire.ask(body=chat(stream=True, n=2, max_tokens=3, ignore_eos=True, stream_options=asked)).frames
    counts = [frame["usage"]["completion_tokens"] for frame in frames]
    assert counts == sorted(counts)
    assert (counts[0], counts[-1]) == (0, 6)
    assert all(frame["choices"] for frame in frames)


def test_tokens_arrive_when_the_model_has_them(make: MakeWire) -> None:
    """First token after 11 ms; looked at every 25 ms from there on, a token each 10 ms; the end is exact."""
    wire = make(settings=ServerSettings(flush_ms=25.0))
    reply = wire.ask(body=chat(stream=True, max_tokens=7, ignore_eos=True))
    assert reply.begun_ps == 11 * MS
    assert [at_ps for at_ps, _ in reply.chunks] == [11 * MS, 36 * MS, 61 * MS, 71 * MS]
    counts = [chunk.count(b'"content":') for _, chunk in reply.chunks]
    assert counts == [2, 1, 1, 1], "the role with the first token, then one frame for all that are due"
    vocabulary = wire.platform.shim.model(LLAMA).vocabulary
    texts = [frame["choices"][0]["delta"].get("content") for frame in reply.frames]
    assert [vocabulary.count(text) for text in texts if text] == [1, 2, 3, 1]


def test_a_stream_pauses_while_its_cache_goes_to_the_decode_node(make: MakeWire) -> None:
    """11 ms of prefill; 2 + 11 ms on the way; the token that is not in the cache takes 1 ms, others 10."""
    spec = scenario(llama={"disaggregated": {"prefill_nodes": 1}})
    values = {"kv_transfer.latency_ms": 2.0, "kv_transfer.mbit_per_s": 1048.576}  # a token has 131,072 bytes
    spec = spec.model_copy(update={"network": spec.network.model_copy(update={"values": values})})
    wire = make(spec, settings=ServerSettings(flush_ms=1.0))
    reply = wire.ask(body=chat(stream=True, max_tokens=4, ignore_eos=True))
    assert [at_ps for at_ps, _ in reply.chunks] == [at_ms * MS for at_ms in (11, 25, 35, 45)]
    assert reply.headers["x-sim-node"] == "1"
    assert "x-sim-last-ps" not in reply.headers, "more is to come"


def test_per_token_streams_have_a_frame_for_each_token(make: MakeWire) -> None:
    wire = make(settings=ServerSettings(flush_ms=25.0, stream_chunks="per_token"))
    reply = wire.ask(body=chat(stream=True, max_tokens=7, ignore_eos=True))
    texts = [frame["choices"][0]["delta"].get("content") for frame in reply.frames]
    assert len([text for text in texts if text]) == 7
    assert [at_ps for at_ps, _ in reply.chunks] == [11 * MS, 36 * MS, 61 * MS, 71 * MS]


def test_the_way_back_delays_every_token(wire: Wire) -> None:
    place = {"x-sim-place": "away"}
    wire.ask(body=chat(max_tokens=1), headers=place)
    began = wire.platform.world.env.now
    reply = wire.ask(body=chat(stream=True, max_tokens=2), headers=place)
    assert reply.begun_ps - began == (10 + 11 + 10) * MS
    assert reply.ended_ps - began == (10 + 11 + 10 + 10) * MS


def test_the_last_comment_carries_the_simulated_stamps(wire: Wire) -> None:
    stamps = wire.ask(body=chat(stream=True, max_tokens=3)).stamps
    assert stamps["sent_ps"] == 0
    assert stamps["first_seen_ps"] == 11 * MS
    assert stamps["ended_ps"] == 31 * MS
    assert stamps["place"] == "here"
    assert stamps["lateness_ms"] == 0


@pytest.mark.parametrize(
    ("server", "header", "told"),
    [(True, None, True), (True, "off", False), (False, None, False), (False, "on", True)],
)
def test_the_comment_with_the_stamps_can_be_left_out(
    make: MakeWire, server: bool, header: str | None, told: bool
) -> None:
    wire = make(settings=ServerSettings(sim_comment=server))
    headers = {} if header is None else {"x-sim-comment": header}
    reply = wire.ask(body=chat(stream=True, max_tokens=3), headers=headers)
    assert (b": x-sim " in reply.body) is told
    assert reply.frames
    assert "x-sim-sent-ps" in reply.headers


def test_a_comment_header_that_says_neither_is_refused_before_the_model_is_asked(wire: Wire) -> None:
    reply = wire.ask(body=chat(stream=True), headers={"x-sim-comment": "maybe"})
    assert (reply.status, reply.error["param"]) == (400, "x-sim-comment")
    assert len(wire.platform.world.platform.records.arrays("number")["number"]) == 0


def test_every_choice_opens_and_closes_once(wire: Wire) -> None:
    frames = wire.ask(body=chat(stream=True, n=2, max_tokens=3)).frames
    choices = [frame["choices"][0] for frame in frames]
    for index in (0, 1):
        own = [choice for choice in choices if choice["index"] == index]
        assert own[0]["delta"] == {"role": "assistant", "content": ""}
        assert [choice["finish_reason"] for choice in own].count("length") == 1
        assert own[-1]["finish_reason"] == "length"


def test_logprobs_ride_on_the_chunks_of_their_tokens(wire: Wire) -> None:
    reply = wire.ask(body=chat(stream=True, max_tokens=6, ignore_eos=True, logprobs=True, top_logprobs=1))
    for frame in reply.frames:
        (choice,) = frame["choices"]
        if choice["delta"].get("content"):
            entries = choice["logprobs"]["content"]
            assert "".join(entry["token"] for entry in entries) == choice["delta"]["content"]


def test_8080s_own_sdk_gets_usage_unasked(wire: Wire) -> None:
    reply = wire.ask(body=chat(stream=True, max_tokens=2), headers={"user-agent": "python-httpx/0.28.1"})
    assert reply.frames[-1]["usage"]["completion_tokens"] == 2


def test_a_stop_string_never_shows_even_in_part(wire: Wire) -> None:
    whole = wire.ask(body=chat(max_tokens=30, ignore_eos=True)).json["choices"][0]["message"]["content"]
    stop = " ".join(whole.split()[6:8])
    reply = wire.ask(body=chat(max_tokens=30, ignore_eos=True, stop=stop, stream=True))
    assert reply.text == whole[: whole.index(stop)]
    assert reply.frames[-1]["choices"][0]["finish_reason"] == "stop"


def test_a_long_silence_is_broken_by_comments(make: MakeWire) -> None:
    """Prompts of 9 s one after the other: the third on two nodes hears nothing of its own for 9 s."""
    wire = make(settings=ServerSettings(flush_ms=1000.0))
    long = "hello" + " hello" * 1889

    async def three() -> list[tuple[int, bytes]]:
        body = chat(long, stream=True, max_tokens=1)
        replies = await asyncio.gather(*(wire.send("/v1/chat/completions", body) for _ in range(5)))
        return replies[-1].chunks

    chunks = wire.platform.run(three())
    times = [at_ps / 10**12 for at_ps, _ in chunks]
    assert chunks[0] == (4 * 10**12, b": keep-alive\n\n")
    assert max(b - a for a, b in pairwise(times)) <= 4.0


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("leave_ms", [5, 11, 47, 400])
def test_a_client_that_leaves_frees_its_blocks_at_the_next_boundary(
    wire: Wire, stream: bool, leave_ms: int
) -> None:
    platform = wire.platform.world.platform
    nodes = [platform.pools["llama"].node(index) for index in (0, 1)]
    free = [node.kernel.free_blocks for node in nodes]

    async def leaves() -> None:
        body = chat(stream=stream, max_tokens=1500, ignore_eos=True)
        await wire.send("/v1/chat/completions", body, leave_at_ps=leave_ms * MS)
        assert wire.platform.world.env.now == leave_ms * MS
        await asyncio.sleep(0.011)

    wire.platform.run(leaves())
    assert [node.kernel.free_blocks for node in nodes] == free
    assert [node.outstanding for node in nodes] == [0, 0]
    assert platform.inside == {}
    assert not wire.platform.shim.exchanges
    assert wire.platform.shim.streams == 0
    assert platform.records.labels.vocabulary()["outcome"] == ["cancelled"]


def test_leaving_between_two_chunks_ends_the_stream_there(wire: Wire) -> None:
    body = chat(stream=True, max_tokens=1500, ignore_eos=True)
    reply = wire.ask(body=body, leave_after_chunks=3)
    assert len(reply.chunks) == 3
    assert reply.ended_ps == -1
