"""`docs/api.md` says of each member what becomes of it, and that is so."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from docs import api_page
from docs.api_page import Member, Operation
from docs.data import build_openai_members
from tests.support.live import LLAMA, Wire, make_wire

OPERATIONS = {operation.label: operation for operation in api_page.operations()}
MARKS = api_page.marks()
HELLO = [{"role": "user", "content": "hello"}]
EXAMPLES: dict[str, dict[str, Any]] = {
    "POST /v1/chat/completions": {"model": LLAMA, "messages": HELLO},
    "POST /v1/completions": {"model": LLAMA, "prompt": "hello"},
    "POST /v1/responses": {"model": LLAMA, "input": "hello", "store": False},
}
"""The least that is answered. The members of these bodies are tried one by one."""
VALUES: dict[str, Any] = {
    "temperature": 0.3,
    "top_p": 0.5,
    "frequency_penalty": 1,
    "presence_penalty": 1,
    "logit_bias": {"5": 3},
    "user": "me",
    "metadata": {"a": "b"},
    "store": True,
    "stream_options": None,
    "max_tool_calls": 1,
    "safety_identifier": "somebody",
    "prompt_cache_key": "mine",
    "suffix": "the end",
    "best_of": 2,
}
"""Of those that are ignored."""
TRIED = [
    (label, member)
    for label in EXAMPLES
    for member in OPERATIONS[label].request
    if member.path == member.name
]


@pytest.fixture(scope="module")
def wire() -> Any:
    made = make_wire()
    yield made
    made.platform.close()


def mark_of(member: Member) -> str | None:
    return MARKS.of(member)


def ids(value: Any) -> str | None:
    return value.name if isinstance(value, Member) else None


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=lambda operation: str(operation.label))
def test_every_member_of_a_request_is_marked(operation: Operation) -> None:
    missing = {(m.owner, m.name) for m in (*operation.query, *operation.request) if mark_of(m) is None}
    assert not missing, "say in docs/data/api_marks.yaml what becomes of them"


def test_the_marks_name_what_there_is() -> None:
    there = {
        (label, member.name) for label, one in OPERATIONS.items() for member in (*one.query, *one.request)
    }
    for name, schema in api_page.document()["components"]["schemas"].items():
        there |= {(name, member) for member in schema.get("properties", {})}
    for label, one in OPERATIONS.items():
        only_openais = [*api_page.refused_of_openai(one), *api_page.ignored_of_openai(one)]
        there |= {(label, path) for path in only_openais}
        there |= {
            (label, name)
            for name in MARKS.refusals(label)
            if any(p.startswith(name[:-1]) for p in only_openais)
        }
    assert not MARKS.named - there


def said(wire: Wire, label: str, more: dict[str, Any]) -> Any:
    """What an answer comes to: its words and its tokens."""
    reply = wire.ask(label.partition(" ")[2], {**EXAMPLES[label], **more})
    assert reply.status == 200, reply.error
    told = reply.json
    words = [item["content"] for item in told["output"]] if "output" in told else told["choices"]
    return words, told["usage"]


@pytest.mark.parametrize(("label", "member"), TRIED, ids=ids)
def test_what_is_simulated_is_read_and_what_is_ignored_changes_nothing(
    wire: Wire, label: str, member: Member
) -> None:
    if mark_of(member) == "simulated":
        reply = wire.ask(label.partition(" ")[2], {**EXAMPLES[label], member.name: 0.5})
        assert (reply.status, (reply.error["param"] or "").startswith(member.name)) == (400, True)
    elif mark_of(member) == "refused":
        reply = wire.ask(label.partition(" ")[2], {**EXAMPLES[label], member.name: {"id": "x"}})
        assert (reply.status, reply.error["param"]) == (400, member.name)
    else:
        assert said(wire, label, {member.name: VALUES[member.name]}) == said(wire, label, {})


@pytest.mark.parametrize("label", EXAMPLES)
def test_what_only_openai_has_is_accepted_and_ignored(wire: Wire, label: str) -> None:
    names = [path for path in api_page.ignored_of_openai(OPERATIONS[label]) if path.isidentifier()]
    assert said(wire, label, {name: {"any": "thing"} for name in names}) == said(wire, label, {})


def part(kind: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [{"type": kind, kind: {"url": "https://x.example/a"}}]}]}


def item(**fields: str) -> dict[str, Any]:
    return {"input": [fields]}


def input_part(**fields: str) -> dict[str, Any]:
    return {"input": [{"role": "user", "content": [fields]}]}


CHAT, RESPONSES = "POST /v1/chat/completions", "POST /v1/responses"
REFUSED = {
    (CHAT, "messages[].content[].image_url"): part("image_url"),
    (CHAT, "messages[].content[].input_audio"): part("input_audio"),
    (CHAT, "messages[].content[].file"): part("file"),
    (RESPONSES, "tools[].*"): {"tools": [{"type": "web_search"}]},
    (RESPONSES, "tool_choice.server_label"): {"tool_choice": {"type": "mcp", "server_label": "x"}},
    (RESPONSES, "prompt.*"): {"prompt": {"id": "pmpt_1"}},
    (RESPONSES, "input[].*"): item(type="web_search_call", id="ws_1"),
    (RESPONSES, "input[].content[].image_url"): input_part(
        type="input_image", image_url="https://x.example/a"
    ),
    (RESPONSES, "input[].content[].file*"): input_part(type="input_file", file_url="https://x.example/a"),
}


@pytest.mark.parametrize(
    ("label", "path"), [(label, path) for label in OPERATIONS for path in MARKS.refusals(label)]
)
def test_what_is_refused_of_openais_is(wire: Wire, label: str, path: str) -> None:
    reply = wire.ask(label.partition(" ")[2], {**EXAMPLES[label], **REFUSED[label, path]})
    assert (reply.status, reply.error["type"]) == (400, "invalid_request_error")


def test_openais_names_are_those_of_its_document() -> None:
    if "E80SIM_DATA" not in os.environ:
        pytest.skip("E80SIM_DATA is not set")
    raw = Path(os.environ["E80SIM_DATA"]) / "openai" / "openai-subset.json"
    document = json.loads(raw.read_text(encoding="utf-8"))
    assert build_openai_members.TARGET.read_text(encoding="utf-8") == build_openai_members.text_of(document)


def test_the_page_sets_ours_beside_openais_and_8080s() -> None:
    page = api_page.render()
    assert "| `temperature` | yes | yes | accepted and ignored |" in page
    assert "| `min_tokens` |  |  | simulated |" in page
    assert "| `tools[].function.parameters` | yes |  | simulated |" in page
    assert "| `messages[].tool_calls[].function.name`* | yes |  | simulated |" in page
    assert ", `modalities`, " in page
    assert "Refused, of OpenAI's: `messages[].content[].image_url`" in page
