"""Traces of requests over the wire, in virtual time: their spans worked out by hand, and what they keep."""

import asyncio
import json
from typing import Any

import pytest

from api_shim.content.own_words import Echo, Synthetic
from api_shim.exchange.call import Call
from api_shim.settings import ServerSettings
from tests.support.batches import contents, line, run
from tests.support.live import LLAMA, MS, MakeWire, Reply, Wire, chat, scenario

START = 1_767_225_600
AWAY = {"x-sim-place": "away", "x-sim-output-tokens": "3"}
HERE = {"x-sim-output-tokens": "3"}
CLIENTS = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def rows(wire: Wire, query: str = "", **options: Any) -> list[Any]:
    listed = wire.ask(f"/v1/traces{query}", **options)
    assert listed.status == 200, listed.json
    data: list[Any] = listed.json["data"]
    return data


def newest(wire: Wire) -> Any:
    return wire.ask(f"/v1/traces/{rows(wire)[0]['id']}").json


def spans(trace: Any) -> list[tuple[str, float, float]]:
    """(name, beginning, end) in ms."""
    return [(span["name"], span["began_ps"] / MS, span["ended_ps"] / MS) for span in trace["spans"]]


def test_a_lone_request_from_away_is_taken_apart_without_a_gap(wire: Wire) -> None:
    """20 ms to connect, 10 there; 11 prompt tokens of 1 ms, two more tokens of 10; 10 back."""
    wire.ask(body=chat(log=True, temperature=0.5), headers={**AWAY, "x-request-id": "mine"})
    trace = newest(wire)
    assert spans(trace) == [
        ("set_up", 0, 20),
        ("network", 20, 30),
        ("admission", 30, 30),
        ("queue", 30, 30),
        ("prefill", 30, 41),
        ("decode", 41, 61),
        ("return", 61, 71),
    ]
    assert [span["attributes"] for span in trace["spans"][4:6]] == [
        {"request": 0, "node": 0, "sample": 0, "tokens": 11},
        {"request": 0, "node": 0, "sample": 0, "tokens": 3},
    ]
    assert {name: trace[name] for name in ("request_id", "endpoint", "model", "status", "outcome")} == {
        "request_id": "mine",
        "endpoint": "/v1/chat/completions",
        "model": LLAMA,
        "status": 200,
        "outcome": "stop",
    }
    assert (trace["created_at"], trace["began_ps"], trace["duration_ms"]) == (START, 0, 71)
    assert (trace["prompt_tokens"], trace["completion_tokens"]) == (11, 3)
    assert (trace["time_to_first_token_ms"], trace["stream"], trace["log"]) == (71, False, True)
    assert (trace["place"], trace["settings"], trace["finish_reasons"]) == (
        "away",
        {"temperature": 0.5},
        ["stop"],
    )


def test_log_keeps_both_bodies_and_the_prompt(wire: Wire) -> None:
    asked = chat("hello", log=True)
    answered = wire.ask(body=asked, headers=HERE)
    trace = newest(wire)
    assert trace["messages"] == [{"role": "user", "content": "hello"}]
    assert json.loads(trace["request"]["text"]) == asked
    assert trace["response"] == {
        "text": answered.body.decode(),
        "size_bytes": len(answered.body),
        "cut": False,
    }


def test_a_stream_is_kept_as_it_was_sent_and_tells_when_its_first_token_was_seen(wire: Wire) -> None:
    answered = wire.ask(body=chat(log=True, stream=True), headers=AWAY)
    trace = newest(wire)
    assert trace["response"]["text"] == answered.body.decode()
    assert (trace["time_to_first_token_ms"], trace["duration_ms"], trace["stream"]) == (51, 71, True)


def test_a_request_that_does_not_ask_leaves_no_trace(wire: Wire) -> None:
    wire.ask(body=chat())
    wire.ask(body=chat(log=False))
    wire.ask(body=chat("log: true"))
    assert rows(wire) == []


def test_who_waits_for_a_slot_is_seen_in_the_queue(wire: Wire) -> None:
    """Three at once on two nodes of one slot each: the third starts when the first two end, at 31 ms."""

    async def story() -> None:
        await asyncio.gather(
            *(wire.send("/v1/chat/completions", chat(log=True), headers=HERE) for _ in range(3))
        )

    wire.platform.run(story())
    queues = [one for row in rows(wire) for one in spans(wire.ask(f"/v1/traces/{row['id']}").json)]
    assert [one for one in queues if one[0] == "queue"] == [
        ("queue", 0, 31),
        ("queue", 0, 0),
        ("queue", 0, 0),
    ]


def test_each_of_n_completions_has_its_own_stages(wire: Wire) -> None:
    """One slot: the second completion starts when the first has ended."""
    wire.ask(body=chat(log=True, n=2), headers=HERE)
    trace = newest(wire)
    by_sample = {
        sample: [one["name"] for one in trace["spans"] if one["attributes"].get("sample") == sample]
        for sample in (0, 1)
    }
    assert by_sample == {0: ["queue", "prefill", "decode"], 1: ["queue", "prefill", "decode"]}
    assert trace["completion_tokens"] == 6
    assert trace["finish_reasons"] == ["stop", "stop"]
    assert spans(trace)[-1][0] == "return"
    assert max(ended for _, _, ended in spans(trace)) == trace["duration_ms"]


def test_who_lost_its_blocks_says_how_often_where_it_came_to(make: MakeWire) -> None:
    """Two of 11 + 20 tokens in 50 blocks of a token each: the second gives way, and comes back."""
    asic = {"kind": "hardwired_asic", "decode_step_ms": 10.0, "prefill_ms_per_token": 1.0}
    asic |= {"kv_pool_tokens": 50, "max_concurrent_sequences": 2}
    wire = make(scenario(llama={"nodes": 1, "hardware": asic, "context_tokens": 50}))
    body = chat(max_tokens=20, ignore_eos=True, log=True)

    async def both() -> None:
        await asyncio.gather(*(wire.send("/v1/chat/completions", body) for _ in range(2)))

    wire.platform.run(both())
    found = [wire.ask(f"/v1/traces/{row['id']}").json["spans"] for row in rows(wire)]
    lost = [
        [
            (span["name"], span["attributes"]["preemptions"])
            for span in one
            if "preemptions" in span["attributes"]
        ]
        for one in found
    ]
    assert sorted(lost) == [[], [("decode", 1)]]


def test_prompts_of_one_body_lie_side_by_side_in_one_trace(wire: Wire) -> None:
    body = {"model": LLAMA, "prompt": ["hello", "hello there"], "log": True}
    wire.ask("/v1/completions", body, headers=HERE)
    trace = newest(wire)
    assert {span["attributes"]["request"] for span in trace["spans"]} == {0, 1}
    assert trace["messages"] == [
        {"role": "user", "content": "hello"},
        {"role": "user", "content": "hello there"},
    ]
    assert (trace["endpoint"], trace["completion_tokens"]) == ("/v1/completions", 6)


def test_a_client_that_leaves_ends_what_was_under_way(wire: Wire) -> None:
    """From here at 16 ms: in the middle of the first decode step."""

    async def story() -> Reply:
        return await wire.send("/v1/chat/completions", chat(log=True), headers=HERE, leave_at_ps=16 * MS)

    wire.platform.run(story())
    trace = newest(wire)
    assert (trace["status"], trace["outcome"], trace["duration_ms"]) == (499, "cancelled", 16)
    assert spans(trace)[-2:] == [("prefill", 0, 11), ("decode", 11, 16)]
    assert trace["completion_tokens"] == 1
    assert trace["time_to_first_token_ms"] is None


def test_a_client_that_leaves_its_stream_has_a_status_of_200(wire: Wire) -> None:
    async def story() -> Reply:
        body = chat(log=True, stream=True)
        return await wire.send("/v1/chat/completions", body, headers=AWAY, leave_at_ps=55 * MS)

    reply = wire.platform.run(story())
    trace = newest(wire)
    assert (trace["status"], trace["outcome"], trace["time_to_first_token_ms"]) == (200, "cancelled", 51)
    assert trace["response"]["text"] == reply.body.decode()
    assert spans(trace)[-1] == ("decode", 41, 55)


def test_what_a_limit_refuses_comes_back_from_the_gateway(make: MakeWire) -> None:
    wire = make(scenario(limits={"requests_per_minute": 1, "tokens_per_minute": 10**6}))
    wire.ask(body=chat(), headers=AWAY)
    refused = wire.ask(body=chat(log=True), headers=AWAY)
    assert refused.status == 429
    trace = newest(wire)
    assert (trace["status"], trace["outcome"], trace["completion_tokens"]) == (429, "rejected", 0)
    assert trace["response"]["text"] == refused.body.decode()
    assert spans(trace) == [("network", 71, 81), ("admission", 81, 81), ("return", 81, 91)]


def test_a_body_that_is_refused_is_kept_with_the_reason_if_it_says_log(wire: Wire) -> None:
    refused = wire.ask(body=chat(log=True, temperature=9))
    wire.ask(body=chat(temperature=9))
    wire.ask(body=b'{"log": true,')
    (row,) = rows(wire)
    assert (row["status"], row["outcome"], row["model"], row["duration_ms"]) == (400, "refused", LLAMA, 0)
    assert newest(wire)["response"]["text"] == refused.body.decode()
    unknown = wire.ask(body=chat(log=True) | {"model": "sk-not-a-model"})
    assert unknown.status == 404
    assert rows(wire)[0]["model"] == "[redacted]"


def test_keys_are_in_no_part_of_a_trace(wire: Wire) -> None:
    """Neither the caller's, nor those in its words, nor those that the answer repeats token by token."""
    secrets = ["sk-proj-abcdefgh1234", "Bearer eyJhbGciOi", "sk-me-and-nobody-else"]
    body = chat(f"my key is {secrets[0]}, {secrets[1]}", log=True, stop=["sk-stop-1234"])
    wire.ask(body=body, key=secrets[2], headers={"x-request-id": "sk-request-1234"})
    listed = wire.ask("/v1/traces", key=secrets[2])
    whole = wire.ask(f"/v1/traces/{listed.json['data'][0]['id']}", key=secrets[2])
    everything = listed.body + whole.body
    for secret in [*secrets, "sk-stop-1234", "sk-request-1234"]:
        assert secret.encode() not in everything
    assert whole.json["messages"][0]["content"] == "my key is [redacted], [redacted]"
    database = wire.platform.shim.store.database
    assert b"sk-" not in repr([tuple(row) for row in database.query("SELECT * FROM traces")]).encode()


def test_long_bodies_are_cut_and_say_so(wire: Wire) -> None:
    body = chat("hello " * 20_000, log=True, max_tokens=1)
    wire.ask(body=body)
    trace = newest(wire)
    assert trace["status"] == 400  # longer than the context
    assert trace["request"]["cut"]
    assert len(trace["request"]["text"]) == 65_536
    assert trace["request"]["size_bytes"] == len(json.dumps(body))
    assert trace["messages_cut"]
    assert sum(len(one["content"]) for one in trace["messages"]) == 65_536
    assert not trace["response"]["cut"]


def test_another_project_has_none_of_it(wire: Wire) -> None:
    wire.ask(body=chat(log=True))
    (row,) = rows(wire)
    assert rows(wire, key="sk-other") == []
    gone = wire.ask(f"/v1/traces/{row['id']}", key="sk-other")
    assert (gone.status, gone.error["code"]) == (404, "trace_not_found")


def test_the_list_is_filtered_and_paged(wire: Wire) -> None:
    for number in range(3):
        wire.ask(body=chat(log=True), headers={**HERE, "x-request-id": f"run-{number}"})
    wire.ask("/v1/completions", {"model": LLAMA, "prompt": "hi", "log": True, "n": 200}, headers=HERE)
    named = [row["request_id"] for row in rows(wire, "?request_id=run-")]
    assert named == ["run-2", "run-1", "run-0"]
    assert [row["status"] for row in rows(wire, "?endpoint=/v1/completions")] == [400]
    assert len(rows(wire, "?status=200&outcome=stop")) == 3
    assert len(rows(wire, f"?since={START + 0.031}&until={START + 0.062}")) == 1
    first = wire.ask("/v1/traces?limit=3").json
    assert (len(first["data"]), first["has_more"]) == (3, True)
    rest = wire.ask(f"/v1/traces?limit=3&after={first['last_id']}").json
    assert ([row["request_id"] for row in rest["data"]], rest["has_more"]) == (["run-0"], False)
    assert wire.ask("/v1/traces?limit=0").error["param"] == "limit"


def test_a_share_of_the_rest_is_traced_without_bodies(make: MakeWire) -> None:
    wire = make(settings=ServerSettings(trace_share=0.25))
    for _ in range(20):
        wire.ask(body=chat(), headers=HERE)
    wire.ask(body=chat(log=True), headers=HERE)
    found = rows(wire)
    assert [row["log"] for row in found] == [True] + [False] * 5
    sampled = wire.ask(f"/v1/traces/{found[1]['id']}").json
    assert (sampled["request"], sampled["response"], sampled["messages"]) == (None, None, [])
    assert [name for name, _, _ in spans(sampled)][-3:] == ["prefill", "decode", "return"]


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_none_and_all_are_shares_too(make: MakeWire, share: float) -> None:
    wire = make(settings=ServerSettings(trace_share=share))
    for _ in range(7):
        wire.ask(body=chat(), headers=HERE)
    assert len(rows(wire)) == 7 * share


def test_the_same_story_leaves_the_same_traces(make: MakeWire) -> None:
    def story() -> list[bytes]:
        wire = make(content=Synthetic(), settings=ServerSettings(trace_share=0.5))
        for number in range(6):
            wire.ask(body=chat(log=number % 3 == 0, stream=number % 2 == 0), headers=AWAY)
        return [wire.ask(f"/v1/traces/{row['id']}").body for row in rows(wire)]

    first = story()
    assert len(first) == 4
    assert first == story()


def test_traces_are_written_in_groups_and_at_the_latest_after_a_second(wire: Wire) -> None:
    wire.ask(body=chat(log=True), headers=HERE)
    traces = wire.platform.shim.store.traces
    assert len(traces._waiting) == 1
    wire.platform.run(asyncio.sleep(1))
    assert len(traces._waiting) == 0
    for _ in range(64):
        wire.ask(body=chat(log=True), headers={"x-sim-output-tokens": "1"})
    wire.platform.run(asyncio.sleep(0))
    assert len(traces._waiting) == 0


def test_a_clients_own_trace_is_remembered(wire: Wire) -> None:
    wire.ask(body=chat(log=True), headers={"traceparent": CLIENTS})
    assert newest(wire)["traceparent"] == CLIENTS
    for wrong in ("", "00-0-0-01", CLIENTS.replace("00-", "ff-", 1), f"00-{'0' * 32}-b7ad6b7169203331-01"):
        wire.ask(body=chat(log=True), headers={"traceparent": wrong})
        assert newest(wire)["traceparent"] is None


def test_a_line_of_a_batch_is_traced_as_a_request_of_its_own(wire: Wire) -> None:
    """It waits for no network; one that is refused leaves its reason."""
    batch = run(
        wire, [line("a", chat(log=True, max_tokens=2)), line("b", chat(log=True, n=1, max_tokens=1999))]
    )
    refused, answered = sorted(rows(wire), key=lambda row: str(row["status"]), reverse=True)
    assert (refused["status"], refused["outcome"]) == (400, "rejected")
    assert (answered["endpoint"], answered["outcome"], answered["duration_ms"]) == (
        "/v1/chat/completions",
        "length",
        21,
    )
    (result,) = contents(wire, batch["output_file_id"])
    assert result["response"]["request_id"] == answered["request_id"]
    trace = wire.ask(f"/v1/traces/{answered['id']}").json
    assert json.loads(trace["response"]["text"]) == result["response"]["body"]
    assert trace["place"] == "in-platform"


RESPONSE = {"model": LLAMA, "input": "hello", "log": True, "max_output_tokens": 20}


def test_responses_are_traced_plain_streamed_and_in_the_background(wire: Wire) -> None:
    plain = wire.ask("/v1/responses", RESPONSE, headers=HERE)
    assert plain.status == 200
    trace = newest(wire)
    assert (trace["endpoint"], trace["outcome"], trace["completion_tokens"]) == ("/v1/responses", "stop", 3)
    assert json.loads(trace["response"]["text"]) == plain.json
    assert trace["settings"] == {"max_output_tokens": 20}
    streamed = wire.ask("/v1/responses", {**RESPONSE, "stream": True}, headers=HERE)
    assert newest(wire)["response"]["text"] == streamed.body.decode()
    queued = wire.ask("/v1/responses", {**RESPONSE, "background": True}, headers=HERE)
    wire.platform.run(asyncio.sleep(1))
    trace = newest(wire)
    assert json.loads(trace["response"]["text"]) == queued.json
    assert (trace["status"], trace["outcome"], trace["duration_ms"]) == (200, "stop", 31)


@pytest.mark.parametrize("body", [RESPONSE, chat(log=True)], ids=["responses", "chat"])
@pytest.mark.parametrize("chunks", ["per_token", "coalesced"])
def test_a_key_that_a_stream_repeats_is_in_no_trace(make: MakeWire, body: Any, chunks: Any) -> None:
    """Token by token, as it came from the model."""
    secret = "sk-proj-abcdEFGH1234ijkl"
    wire = make(content=Echo(), settings=ServerSettings(stream_chunks=chunks, flush_ms=5.0))
    said = f"the key is {secret} and that was it"
    words: Any = {"input": said} if "input" in body else {"messages": [{"role": "user", "content": said}]}
    path = "/v1/responses" if "input" in body else "/v1/chat/completions"
    reply = wire.ask(path, {**body, **words, "stream": True, "max_output_tokens": None})
    assert reply.status == 200
    kept = newest(wire)["response"]["text"]
    assert "[redacted]" in kept
    spelled = "".join(
        str(value)
        for line in kept.split("\n")
        if line.startswith("data: {")
        for value in _texts(json.loads(line.removeprefix("data: ")))
    )
    assert secret not in spelled
    assert "abcd" not in spelled
    assert "EFGH" not in spelled
    assert spelled.count("and that was it") >= 1


def _texts(event: Any) -> list[str]:
    delta = event.get("delta")
    if isinstance(delta, str):
        return [delta]
    return [choice["delta"].get("content") or "" for choice in event.get("choices", [])]


def test_what_is_lost_is_the_platforms_fault_and_says_so(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the node had died while the answer was made."""
    ended = Call.ended
    monkeypatch.setattr(Call, "ended", lambda call, at_ps, _reason: ended(call, at_ps, "node_lost"))
    assert wire.ask(body=chat(log=True), headers=HERE).status == 503
    trace = newest(wire)
    assert (trace["status"], trace["outcome"], trace["finish_reasons"]) == (503, "node_lost", [])
    wire.ask(body=chat(log=True, stream=True), headers=HERE)
    assert (newest(wire)["status"], newest(wire)["outcome"]) == (200, "node_lost")
