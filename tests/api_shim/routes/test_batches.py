"""`/v1/batches` over the wire, in virtual time: a day is a step of the clock.

A request for one token takes 11 ms on an idle node, of which there are two.
"""

import asyncio
import json
from typing import Any

import pytest

from api_shim.routes import batches
from reports.stored import whole
from tests.support.batches import CHAT, contents, create, line, lines, put, requests, run, until_over
from tests.support.live import GPT_OSS, LLAMA, MakeWire, Wire, chat, scenario

DAY_S = 86_400
STRANGE = [
    "<script>alert(1)</script>",
    "'; DROP TABLE batches; --",
    "../../etc/passwd",
    "ä\u202e☃\U0001f600",
    "a\x00b",
]


def now_s(wire: Wire) -> int:
    return int(wire.platform.shim.clock.unix_s())


def test_a_batch_is_run_and_its_answers_are_those_of_the_endpoint(wire: Wire) -> None:
    began_s = now_s(wire)
    batch = run(wire, requests(5), metadata={"job": "nightly"})
    assert batch["status"] == "completed"
    assert batch["request_counts"] == {"total": 5, "completed": 5, "failed": 0}
    assert (batch["model"], batch["metadata"]) == (LLAMA, {"job": "nightly"})
    assert batch["error_file_id"] is None
    assert batch["created_at"] == batch["in_progress_at"] == batch["finalizing_at"] == began_s
    assert batch["expires_at"] == began_s + DAY_S
    assert batch["usage"]["total_tokens"] == 5 * (11 + 1)
    (alone,) = [wire.ask(body=chat(max_tokens=1)).json]
    answers = contents(wire, batch["output_file_id"])
    assert [answer["custom_id"] for answer in answers] == ["r0", "r1", "r2", "r3", "r4"]
    for answer in answers:
        assert sorted(answer) == ["custom_id", "error", "id", "response"]
        assert answer["id"].startswith("batch_req_")
        assert answer["error"] is None
        assert sorted(answer["response"]) == ["body", "request_id", "status_code"]
        assert answer["response"]["status_code"] == 200
        told = answer["response"]["body"]
        assert told.keys() == alone.keys()
        assert told["choices"] == alone["choices"]
    assert len({answer["id"] for answer in answers}) == 5
    assert len({answer["response"]["body"]["id"] for answer in answers}) == 5
    output = wire.ask(f"/v1/files/{batch['output_file_id']}").json
    assert (output["purpose"], output["filename"]) == ("batch_output", f"{batch['id']}_output.jsonl")


def test_requests_take_simulated_time_and_so_many_are_in_flight_as_the_scenario_says(make: MakeWire) -> None:
    """Six requests of 11 ms on two nodes: three rounds side by side, six one after the other."""
    for in_flight, last_ms in ((6, 33), (2, 33), (1, 66)):
        wire = make(scenario(serve={"batch_requests_in_flight": in_flight}))
        run(wire, requests(6))
        records = whole(wire.platform.world.tables("live").requests).to_pydict()
        assert max(records["ended_ps"]) == last_ms * 10**9
        assert set(records["place"]) == {"in-platform"}
        assert set(records["priority"]) == {100}
        assert records["sent_ps"] == records["arrived_ps"], "it is inside already"


def test_responses_too_but_none_in_the_background(wire: Wire) -> None:
    bodies: list[Any] = [
        {"model": LLAMA, "input": "hello"},
        {"model": LLAMA, "input": "hello", "background": True},
    ]
    made = [line(f"r{i}", body, url="/v1/responses") for i, body in enumerate(bodies)]
    batch = run(wire, made, endpoint="/v1/responses")
    assert batch["request_counts"] == {"total": 2, "completed": 1, "failed": 1}
    (answer,) = contents(wire, batch["output_file_id"])
    response = answer["response"]["body"]
    assert (response["object"], response["status"]) == ("response", "completed")
    assert batch["usage"]["total_tokens"] == response["usage"]["total_tokens"] == 16
    assert wire.ask(f"/v1/responses/{response['id']}").json == response
    (error,) = contents(wire, batch["error_file_id"])
    assert "leave 'background' out" in error["error"]["message"]


def test_completions_too_and_only_the_endpoint_of_the_batch(wire: Wire) -> None:
    body = {"model": LLAMA, "prompt": ["hello", "world"], "max_tokens": 2}
    batch = run(wire, [line("a", body, url="/v1/completions")], endpoint="/v1/completions")
    (answer,) = contents(wire, batch["output_file_id"])
    assert [choice["index"] for choice in answer["response"]["body"]["choices"]] == [0, 1]
    assert batch["usage"]["output_tokens"] == 4
    assert run(wire, [line("a", body, url="/v1/completions")])["status"] == "failed"


def test_lines_that_the_endpoint_refuses_are_in_the_error_file_and_the_others_run(wire: Wire) -> None:
    recursing: Any = {"type": "object", "required": ["me"], "properties": {"me": {"$ref": "#"}}}
    form = {"type": "json_schema", "json_schema": {"name": "endless", "schema": recursing}}
    batch = run(
        wire,
        [
            line("fine"),
            line("hot", chat(temperature=7)),
            line("endless", chat(response_format=form)),
            line("long", chat(max_tokens=5000)),
            line("stream", chat(stream=True)),
            line("fine too", chat(model=GPT_OSS, max_tokens=1)),
        ],
    )
    assert batch["status"] == "completed"
    assert batch["model"] is None, "there are two"
    assert batch["request_counts"] == {"total": 6, "completed": 2, "failed": 4}
    assert [each["custom_id"] for each in contents(wire, batch["output_file_id"])] == ["fine", "fine too"]
    errors = contents(wire, batch["error_file_id"])
    assert [each["custom_id"] for each in errors] == ["hot", "endless", "long", "stream"]
    assert [each["response"] for each in errors] == [None] * 4
    assert [each["error"]["code"] for each in errors] == [
        "decimal_above_max_value",
        "invalid_schema",
        "context_length_exceeded",
        "invalid_request",
    ]
    assert all(sorted(each["error"]) == ["code", "message"] for each in errors)


def test_every_fault_of_a_file_is_told_with_its_line(wire: Wire) -> None:
    bad: dict[str, Any] = {
        "not json": b"{",
        "an array": b"[1]",
        "deep": b'{"custom_id":"d","method":"POST","url":"/v1/chat/completions","body":{"a":' + b"[" * 3000,
    }
    content = b"".join(
        [
            lines([line("a")]),
            b"\n",
            bad["not json"] + b"\n",
            bad["an array"] + b"\n",
            lines([{"method": "POST", "url": CHAT, "body": chat()}]),
            lines([line("a")]),
            lines([line("b", method="GET", url="/v1/models")]),
            lines([line("c", chat(model="gpt-99"))]),
            lines([line("d", {"messages": []})]),
            bad["deep"] + b"\n",
            lines([line("e")]),
        ]
    )
    batch = run(wire, content)
    assert batch["status"] == "failed"
    assert batch["failed_at"] == now_s(wire)
    assert [(each["line"], each["code"], each["param"]) for each in batch["errors"]["data"]] == [
        (3, "invalid_json_line", None),
        (4, "invalid_type", None),
        (5, "missing_required_parameter", "custom_id"),
        (6, "duplicate_custom_id", "custom_id"),
        (7, "invalid_method", "method"),
        (7, "invalid_url", "url"),
        (8, "model_not_found", "body.model"),
        (9, "missing_required_parameter", "body.model"),
        (10, "invalid_json_line", None),
    ]
    assert batch["output_file_id"] is batch["error_file_id"] is None
    assert wire.platform.shim.served == 0


@pytest.mark.parametrize("content", [b"", b"\n\n \n"])
def test_an_empty_file_fails(wire: Wire, content: bytes) -> None:
    (error,) = run(wire, content)["errors"]["data"]
    assert (error["code"], error["line"]) == ("empty_file", None)


def test_a_line_longer_than_a_request_may_be_is_skipped_to_its_end(wire: Wire) -> None:
    long = line("b", chat("x" * 5 * 2**20))
    errors = run(wire, lines([line("a"), long, line("a")]))["errors"]["data"]
    assert [(each["line"], each["code"]) for each in errors] == [
        (2, "request_too_large"),
        (3, "duplicate_custom_id"),
    ]


def test_what_can_be_said_at_once_is_refused_at_once(wire: Wire) -> None:
    for fields, status, param in (
        ({"input_file_id": "file-000"}, 400, "input_file_id"),
        ({"input_file_id": put(wire, b"{}", purpose="user_data")}, 400, "input_file_id"),
        ({"endpoint": "/v1/embeddings"}, 400, "endpoint"),
        ({"completion_window": "1h"}, 400, "completion_window"),
        ({"metadata": {"a": 1}}, 400, "metadata.a"),
        ({"metadata": {str(n): "" for n in range(17)}}, 400, "metadata"),
        (
            {"output_expires_after": {"anchor": "created_at", "seconds": 5}},
            400,
            "output_expires_after.seconds",
        ),
    ):
        reply = create(wire, [line()], **fields)
        assert (reply.status, reply.error["param"]) == (status, param)
    assert wire.ask("/v1/batches").json["data"] == []


def test_an_input_larger_than_a_batch_may_be_is_refused(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    content = lines([line()])
    monkeypatch.setattr(batches, "MOST_INPUT_BYTES", len(content) - 1)
    reply = create(wire, content)
    assert (reply.status, reply.error["code"]) == (413, "file_too_large")
    monkeypatch.setattr(batches, "MOST_INPUT_BYTES", len(content))
    assert run(wire, content)["status"] == "completed"


def test_another_project_has_none_of_it(wire: Wire) -> None:
    id_ = run(wire, [line()])["id"]
    for method, path in (("GET", ""), ("POST", "/cancel"), ("DELETE", "")):
        reply = wire.ask(f"/v1/batches/{id_}{path}", method=method, key="sk-other")
        assert (reply.status, reply.error["code"]) == (404, "batch_not_found")
    assert wire.ask("/v1/batches", key="sk-other").json["data"] == []
    theirs = wire.ask(
        "/v1/batches",
        {"input_file_id": put(wire, b"{}"), "endpoint": CHAT, "completion_window": "24h"},
        key="sk-other",
    )
    assert theirs.status == 400


def test_batches_are_listed_newest_first_by_cursor_and_by_page(wire: Wire) -> None:
    ids = [run(wire, [line()])["id"] for _ in range(5)][::-1]
    first = wire.ask("/v1/batches?limit=2").json
    assert ([each["id"] for each in first["data"]], first["has_more"]) == (ids[:2], True)
    rest = wire.ask(f"/v1/batches?limit=3&after={first['last_id']}").json
    assert ([each["id"] for each in rest["data"]], rest["has_more"]) == (ids[2:], False)
    page = wire.ask("/v1/batches?limit=2&page=3&n_requests=1&project_id=x").json
    assert ([each["id"] for each in page["data"]], page["total_pages"], page["offset"]) == (ids[4:], 3, 4)
    assert wire.ask("/v1/batches?limit=101").status == 400
    assert wire.ask("/v1/batches?after=file-1").error["param"] == "after"


def test_8080s_client_gets_dates_as_texts_and_its_own_names(wire: Wire) -> None:
    id_ = run(wire, [line()])["id"]
    batch = wire.ask(f"/v1/batches/{id_}", headers={"user-agent": "python-httpx/0.28"}).json
    assert batch["created_at"] == batch["updated_at"] == "2026-01-01T00:00:00+00:00"
    assert batch["requests_file_id"] == batch["input_file_id"]
    assert batch["results_file_id"] == batch["output_file_id"]
    assert batch["project_id"].startswith("key_")


@pytest.mark.parametrize(("method", "path"), [("POST", "/cancel"), ("DELETE", "")])
def test_cancelling_lets_what_is_under_way_end_and_runs_nothing_more(
    make: MakeWire, method: str, path: str
) -> None:
    """Two at a time, 11 ms each: after 15 ms two are done and two under way."""
    wire = make(scenario(serve={"batch_requests_in_flight": 2}))
    id_ = create(wire, requests(10)).json["id"]
    wire.platform.run(asyncio.sleep(0.015))
    cancelled = wire.ask(f"/v1/batches/{id_}{path}", method=method)
    assert (cancelled.status, cancelled.json["status"]) == (200, "cancelling")
    assert wire.ask(f"/v1/batches/{id_}/cancel", method="POST").json["status"] == "cancelling"
    batch = until_over(wire, id_, 0.001)
    assert wire.platform.now_s == pytest.approx(0.022, abs=0.0011)
    assert batch["status"] == "cancelled"
    assert batch["request_counts"] == {"total": 10, "completed": 4, "failed": 0}
    assert len(contents(wire, batch["output_file_id"])) == 4
    not_run = contents(wire, batch["error_file_id"])
    assert [each["custom_id"] for each in not_run] == [f"r{n}" for n in range(4, 10)]
    assert {each["error"]["code"] for each in not_run} == {"batch_cancelled"}
    again = wire.ask(f"/v1/batches/{id_}/cancel", method="POST")
    assert (again.status, again.error["code"]) == (409, "batch_not_cancellable")


def test_at_the_end_of_the_window_a_batch_expires_with_what_it_has(make: MakeWire) -> None:
    """One at a time, 15,000 s each: the sixth would end after 90,000 s."""
    slow = {
        "kind": "hardwired_asic",
        "decode_step_ms": 10_000.0,
        "prefill_ms_per_token": 1.0,
        "kv_pool_tokens": 2000,
    }
    llama = {"id": LLAMA, "llm": "llama3.1-8b", "hardware": slow, "context_tokens": 2000}
    wire = make(scenario(models={"llama": llama}, serve={"batch_requests_in_flight": 1}))
    id_ = create(wire, requests(7, max_tokens=1501, ignore_eos=True)).json["id"]
    batch = until_over(wire, id_, 100)
    assert batch["status"] == "expired"
    assert batch["expired_at"] == batch["expires_at"] == batch["created_at"] + DAY_S
    assert batch["request_counts"] == {"total": 7, "completed": 5, "failed": 0}
    late = contents(wire, batch["error_file_id"])
    assert [each["custom_id"] for each in late] == ["r5", "r6"]
    assert {each["error"]["code"] for each in late} == {"batch_expired"}
    assert len(wire.platform.world.platform.inside) <= 1, "it leaves at the next boundary"


def test_a_budget_of_its_own_is_waited_for_and_nothing_is_refused(make: MakeWire) -> None:
    """120 a minute: as many at once, and two a second from then on."""
    limits = {
        "requests_per_minute": 1,
        "tokens_per_minute": 12,
        "batch": {"requests_per_minute": 120, "tokens_per_minute": 10**6},
    }
    wire = make(scenario(limits=limits))
    batch = run(wire, requests(130))
    assert batch["request_counts"] == {"total": 130, "completed": 130, "failed": 0}
    assert 4 < batch["completed_at"] - batch["created_at"] < 7
    records = whole(wire.platform.world.tables("live").requests).to_pydict()
    assert set(records["outcome"]) == {"completed"}


def test_interactive_requests_go_before_those_of_a_batch(make: MakeWire) -> None:
    """At 1 ms both nodes are busy until 11 ms and 62 requests wait; by priority a chat is next."""
    for queue, waits_ms in (("priority", 10), ("fcfs", 32 * 11 - 1)):
        models = scenario().model_dump(mode="json", exclude_unset=True)["models"]
        models["llama"]["batching"] = {"queue": queue}
        wire = make(scenario(models=models))
        id_ = create(wire, requests(64, priority=-50)).json["id"]  # which nobody believes
        wire.platform.run(asyncio.sleep(0.001))
        reply = wire.ask(body=chat(max_tokens=1))
        began_ps, sent_ps = int(reply.headers["x-sim-started-ps"]), int(reply.headers["x-sim-sent-ps"])
        assert began_ps - sent_ps == waits_ms * 10**9
        assert until_over(wire, id_)["request_counts"]["completed"] == 64


def test_the_input_may_be_deleted_while_it_runs(wire: Wire) -> None:
    id_ = create(wire, requests(200)).json["id"]
    file_id = wire.ask(f"/v1/batches/{id_}").json["input_file_id"]
    assert wire.ask(f"/v1/files/{file_id}", method="DELETE").status == 200
    assert until_over(wire, id_)["request_counts"]["completed"] == 200


def test_outputs_expire_when_they_should(wire: Wire) -> None:
    lasting = {"anchor": "created_at", "seconds": 3600}
    batch = run(wire, [line(), line("b", chat(temperature=7))], output_expires_after=lasting)
    for file_id in (batch["output_file_id"], batch["error_file_id"]):
        file = wire.ask(f"/v1/files/{file_id}").json
        assert file["expires_at"] == file["created_at"] + 3600
    wire.platform.run(asyncio.sleep(3600))
    assert wire.ask(f"/v1/files/{batch['output_file_id']}").status == 404


@pytest.mark.parametrize("text", STRANGE)
def test_no_text_is_more_than_a_text(wire: Wire, text: str) -> None:
    batch = run(wire, [line(text, chat(text, max_tokens=1, user=text))], metadata={"a": text})
    assert batch["metadata"] == {"a": text}
    (answer,) = contents(wire, batch["output_file_id"])
    assert answer["custom_id"] == text
    assert (
        wire.ask("/v1/batches", {"input_file_id": text, "endpoint": text, "completion_window": text}).status
        == 400
    )
    assert wire.ask(f"/v1/batches?after={json.dumps(text)}").status == 400


def test_the_same_batch_gives_the_same_stamps(make: MakeWire) -> None:
    tables = []
    for _ in range(2):
        wire = make()
        run(wire, requests(100, max_tokens=3, ignore_eos=True))
        tables.append(wire.platform.world.tables("live").requests)
    assert tables[0].equals(whole(tables[1]))
