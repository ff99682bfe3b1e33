"""What real prompts have in common is found again: in `usage`, stamps, metrics, traces and the replay.

A token of a prompt costs 1 ms and every further token of an answer 10 ms; blocks have 16 tokens.
"""

from pathlib import Path
from typing import Any

import pytest

from api_shim.content.chat_template import TEMPLATES
from api_shim.content.prompt_tokens import chat_tokens
from sim.platform.recorder import AllBlocks
from sim.run.journal import Journal, read_journal
from sim.run.live import LONGEST_S, first_difference, live_tables, live_world, replayed
from tests.support.live import LLAMA, MS, Reply, Wire, chat, make_wire, scenario
from traffic.request import Prefix, Request
from traffic.tokens import vocabulary

SYSTEM = "You answer questions about the history of the steam engine in " + "very " * 40 + "few words."


def caching(**sections: Any) -> Any:
    batching = {"block_size": 16, "enable_prefix_caching": True}
    return scenario(llama={"nodes": 1, "batching": batching}, **sections)


@pytest.fixture
def cached() -> Any:
    wire = make_wire(caching())
    yield wire
    wire.platform.close()


def asked(wire: Wire, *said: str, **fields: Any) -> Reply:
    roles = ("user", "assistant")
    turns = [{"role": roles[i % 2], "content": text} for i, text in enumerate(said)]
    messages = [{"role": "system", "content": SYSTEM}, *turns]
    return wire.ask(body={"model": LLAMA, "messages": messages, "max_tokens": 5, **fields})


def cached_tokens(reply: Reply) -> tuple[int, int]:
    usage = reply.json["usage"]
    return usage["prompt_tokens"], usage["prompt_tokens_details"]["cached_tokens"]


def test_a_second_prompt_with_the_same_system_message_is_answered_sooner(cached: Wire) -> None:
    first, second = asked(cached, "Who was Watt?"), asked(cached, "Who was Newcomen?")
    tokens, found = cached_tokens(first)
    assert found == 0
    assert first.headers["x-sim-first-ps"] == str(tokens * MS)
    tokens, found = cached_tokens(second)
    # 1 token begins the text, 5 are around the 54 of the system message, 4 begin that of the user, and "Who
    # was" are 2: 66 in common.
    assert vocabulary("llama3").count(SYSTEM) == 54
    assert found == 64
    waited_ps = int(second.headers["x-sim-first-ps"]) - int(second.headers["x-sim-started-ps"])
    assert waited_ps == (tokens - found) * MS
    usage = second.json["usage"]
    assert usage["prefill_tokens"] == tokens - found
    assert usage["prefill_rate"] == 1000


def test_the_next_turn_finds_the_answer_too(cached: Wire) -> None:
    question = "Who was Watt?"
    first = asked(cached, question, max_tokens=60)
    answer = first.json["choices"][0]["message"]["content"]
    before = first.json["usage"]["total_tokens"]
    tokens, found = cached_tokens(asked(cached, question, answer, "And Newcomen?"))
    assert found == (before - 1) // 16 * 16, "all but the last token of the answer, in whole blocks"
    assert tokens > before


def test_responses_and_completions_tell_it_in_their_own_words(cached: Wire) -> None:
    for _ in range(2):
        response = cached.ask("/v1/responses", {"model": LLAMA, "input": SYSTEM, "max_output_tokens": 16})
        completion = cached.ask("/v1/completions", {"model": LLAMA, "prompt": SYSTEM, "max_tokens": 5})
    assert response.json["usage"]["input_tokens_details"]["cached_tokens"] == 48
    assert completion.json["usage"]["prompt_tokens_details"]["cached_tokens"] == 48, "54 tokens"
    stream = cached.ask(body=chat(SYSTEM, stream=True, stream_options={"include_usage": True}))
    assert stream.frames[-1]["usage"]["prompt_tokens_details"]["cached_tokens"] == 48


def test_metrics_and_traces_tell_it_too(cached: Wire) -> None:
    asked(cached, "Who was Watt?")
    asked(cached, "Who was Newcomen?", log=True)
    lines = cached.ask("/metrics", key=None).body.decode().splitlines()
    of_llama = [line for line in lines if LLAMA in line]
    for name in ("prefix_cache_hits", "prompt_tokens_cached"):
        assert any(line.startswith(f"vllm:{name}_total") and line.endswith(" 64.0") for line in of_llama)
    (row,) = cached.ask("/v1/traces").json["data"]
    trace = cached.ask(f"/v1/traces/{row['id']}").json
    assert "64" in str([span for span in trace["spans"] if span["name"] == "prefill"])


def test_without_a_cache_nothing_is_tokenized_and_nothing_is_found() -> None:
    wire = make_wire(scenario())
    assert not wire.platform.shim.prefixes
    assert [cached_tokens(asked(wire, "Who was Watt?"))[1] for _ in range(2)] == [0, 0]
    wire.platform.close()


def test_a_replay_finds_the_same(tmp_path: Path) -> None:
    spec = caching(run={"horizon_s": LONGEST_S})
    wire = make_wire(spec)
    journal = wire.platform.shim.journal = Journal(wire.platform.world.env, tmp_path / "spool")
    answer = "He improved it."
    for said in (["Who was Watt?"], ["Who was Watt?", answer, "And Newcomen?"], ["Who was Papin?"]):
        asked(wire, *said, n=2 if len(said) == 1 else 1)
    wire.platform.close()
    journal.write(tmp_path / "arrivals.jsonl")
    tables = live_tables(wire.platform.world)
    journal.close()
    again = live_tables(replayed(spec, read_journal(tmp_path / "arrivals.jsonl")))
    assert first_difference(tables, again) is None
    assert sum(row["cached_tokens"] for row in again.requests.to_pylist()) >= 112


def test_a_server_that_records_tells_what_was_found_beside_what_could_be() -> None:
    world = live_world(caching(), blocks=AllBlocks())
    prompts: list[Prefix] = [(("request 0", 40),), (("request 0", 32), ("request 1", 48))]
    for number, prefix in enumerate(prompts):
        who = ("here", "key/me", "me", "me", "me", "me")
        request = Request(number, "llama", 50, 2, None, world.env.now, *who, prefix=prefix)
        world.platform.submit(request)
        while world.env.next_ps is not None:
            world.env.step()
    found = live_tables(world).prefixes
    assert found is not None
    (row,) = found.to_pylist()
    assert (row["prefix"], row["lookups"], row["tokens"], row["found_tokens"]) == ("request 0", 2, 100, 32)
    assert row["optimum_tokens"] == row["ceiling_tokens"] == 32


def test_the_tokens_of_a_chat_are_as_many_as_are_counted() -> None:
    words = vocabulary("llama3")
    messages = [("system", ["be kind"]), ("user", ["hello", "me"]), ("assistant", [""])]
    for template in TEMPLATES.values():
        counted = sum(words.count(text) for _, texts in messages for text in texts) + words.count('{"a": 1}')
        found = chat_tokens(words, template, ['{"a": 1}'], messages)
        assert len(found) == counted + template.tokens(3)
