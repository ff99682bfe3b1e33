"""Whatever stands in a file instead of what should: a recording, or one sentence that names the file."""

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from traffic.traces import TraceError, read_recording, read_trace

Rows = list[dict[str, Any]]
INSTEAD: list[Any] = [None, True, -1, 2**70, "", [], {}, [1]]

STATED: Rows = [
    {"session_id": "a", "turn": "0", "prompt_tokens": 9, "output_tokens": 2, "start_ps": 5, "sent_ps": 5},
    {
        "session_id": "a",
        "turn": "1",
        "prompt_tokens": 9,
        "output_tokens": 2,
        "after": ["0"],
        "delay_ps": 7,
        "not_before_ps": 8,
        "prefix": [["p", 4]],
        "sent_ps": 9,
    },
]
CHAINED: Rows = [
    {"session_id": "a", "timestamp": 5, "input_length": 600, "output_length": 2, "hash_ids": [1, 2]},
    {"session_id": "a", "delay": 5.5, "input_length": 9, "output_length": 2},
]
CHATS: Rows = [
    {
        "chat_id": 2 + turn,
        "parent_chat_id": -1 if turn == 0 else 1 + turn,
        "timestamp": turn + 0.5,
        "turn": turn,
        "input_length": 32,
        "output_length": 2,
        "hash_ids": [1, 2],
    }
    for turn in range(2)
]
SPAWN = {"children": ["b"], "join_at": 1}
TURN = {"messages": [{"role": "user", "content": [{"type": "text", "text": "go"}]}], "max_tokens": 2}
DAG: Rows = [
    {
        "session_id": "a",
        "context_mode": None,
        "pre_session_spawns": ["b"],
        "turns": [
            TURN | {"spawns": [SPAWN], "delay": 5, "tools": [{"type": "function"}], "extra": {}},
            TURN | {"forks": ["c", {"child": "d", "background": True}]},
        ],
    },
    *({"session_id": name, "turns": [TURN]} for name in "bcd"),
    {"session_id": "e", "orchestrator": True, "rounds": [{"spawns": ["b"], "think_time_ms": 5}]},
]
DYNAMO: Rows = [
    {
        "schema": "dynamo.request.trace.v1",
        "event_type": "request_end",
        "event_time_unix_ms": 1777312801000 + 100 * turn,
        "agent_context": {"session_id": f"s{turn}", "parent_session_id": "s0"},
        "request": {
            "request_id": f"r{turn}",
            "output_tokens": 16,
            "request_received_ms": 1777312800950 + 100 * turn,
            "total_time_ms": 50,
            "replay": {"trace_block_size": 64, "input_length": 100, "input_sequence_hashes": [5, 6]},
        },
    }
    for turn in range(2)
]
USAGE = [
    {"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}},
    {"key": "gen_ai.conversation.id", "value": {"stringValue": "c"}},
    {"key": "gen_ai.usage.input_tokens", "value": {"intValue": "9"}},
    {"key": "gen_ai.usage.output_tokens", "value": {"intValue": 3}},
]
OTLP: Rows = [
    {
        "resourceSpans": [
            {
                "scopeSpans": [
                    {
                        "spans": [
                            {
                                "traceId": "0a",
                                "spanId": f"0{span}",
                                "parentSpanId": "00",
                                "startTimeUnixNano": f"{10 * span}",
                                "endTimeUnixNano": f"{10 * span + 5}",
                                "attributes": USAGE,
                            }
                            for span in range(1, 3)
                        ]
                    }
                ]
            }
        ]
    }
]
SDK: Rows = [
    {
        "context": {"trace_id": "0x0a", "span_id": f"0x0{span}"},
        "parent_id": "0x00",
        "start_time": f"2026-11-29T07:10:5{span}.693246Z",
        "end_time": f"2026-11-29T07:10:5{span}.793246Z",
        "attributes": {
            "gen_ai.operation.name": "chat",
            "gen_ai.usage.input_tokens": 9,
            "gen_ai.usage.output_tokens": 3,
        },
    }
    for span in range(1, 3)
]
FORMS = {
    "sessions_jsonl": STATED,
    "mooncake_jsonl": CHAINED,
    "bailian_jsonl": CHATS,
    "dag_jsonl": DAG,
    "dynamo_trace": DYNAMO,
    "genai_spans": OTLP,
    "genai_spans of the SDK": SDK,
}
APART = {"mooncake_jsonl", "bailian_jsonl", "dynamo_trace"}
"""Which have a reader of their own for turns at their stamps."""


def places(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Of every value within."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in inside:
        yield (*way, key)
        yield from places(inner, (*way, key))


def broken(rows: Rows) -> Iterator[Rows]:
    """One value is another, or is not there."""
    for *way, last in places(rows):
        for instead in (*INSTEAD, ...):
            changed = deepcopy(rows)
            holder: Any = changed
            for key in way:
                holder = holder[key]
            if instead is ...:
                del holder[last]
            else:
                holder[last] = instead
            yield changed


def sentence_of(read: Callable[[Path, str], object], path: Path, form: str) -> str:
    """Empty where it is read."""
    try:
        read(path, form)
    except TraceError as problem:
        return str(problem)
    return ""


@pytest.mark.parametrize("form", FORMS)
def test_one_value_that_is_wrong_is_a_recording_or_a_sentence(tmp_path: Path, form: str) -> None:
    path, name = tmp_path / "broken.jsonl", form.split(maxsplit=1)[0]
    readers = [read_recording, *([read_trace] if name in APART else [])]
    told: list[str] = []
    for rows in broken(FORMS[form]):
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        told += [sentence_of(read, path, name) for read in readers]
    sentences = list(filter(None, told))
    assert all("broken.jsonl" in one and "\n" not in one for one in sentences)
    assert len(sentences) > 50
    assert len(told) - len(sentences) > 10
