"""Plain completions, models, the OpenAPI document, metrics."""

import pytest

from tests.support.live import GPT_OSS, LLAMA, MS, Wire, chat


def complete(prompt: object = "hello", **fields: object) -> dict[str, object]:
    return {"model": LLAMA, "prompt": prompt, **fields}


def test_a_prompt_is_counted_without_a_template_and_capped_at_16_tokens_by_default(wire: Wire) -> None:
    reply = wire.ask("/v1/completions", complete(ignore_eos=False, min_tokens=100))
    body = reply.json
    assert body["object"] == "text_completion"
    assert (body["usage"]["prompt_tokens"], body["usage"]["completion_tokens"]) == (1, 16)
    assert body["choices"][0].keys() == {"index", "text", "logprobs", "finish_reason"}
    assert reply.ended_ps == (1 + 15 * 10) * MS


def test_a_prompt_can_be_token_numbers(wire: Wire) -> None:
    """15339 is "hello" in Llama's vocabulary, so the answer is that to the word."""
    as_numbers = wire.ask("/v1/completions", complete([15339])).json
    assert as_numbers["usage"]["prompt_tokens"] == 1
    assert as_numbers["choices"] == wire.ask("/v1/completions", complete()).json["choices"]


def test_several_prompts_are_several_requests_and_one_reply(wire: Wire) -> None:
    body = wire.ask("/v1/completions", complete(["hello", "hello world"], n=2, max_tokens=2)).json
    assert [choice["index"] for choice in body["choices"]] == [0, 1, 2, 3]
    assert body["usage"]["prompt_tokens"] == 3
    assert body["usage"]["completion_tokens"] == 8
    assert body["usage"]["total_tokens"] == 11


def test_echo_puts_the_prompt_in_front(wire: Wire) -> None:
    plain = wire.ask("/v1/completions", complete(max_tokens=3)).json["choices"][0]["text"]
    assert (
        wire.ask("/v1/completions", complete(max_tokens=3, echo=True)).json["choices"][0]["text"]
        == "hello" + plain
    )
    assert wire.ask("/v1/completions", complete(max_tokens=3, echo=True, stream=True)).text == "hello" + plain


def test_logprobs_have_the_older_shape(wire: Wire) -> None:
    choice = wire.ask("/v1/completions", complete(max_tokens=3, logprobs=2)).json["choices"][0]
    logprobs = choice["logprobs"]
    assert "".join(logprobs["tokens"]) == choice["text"]
    assert logprobs["text_offset"][0] == 0
    assert [len(top) for top in logprobs["top_logprobs"]] == [2, 2, 2]


def test_a_stream_says_the_same_in_pieces(wire: Wire) -> None:
    whole = wire.ask("/v1/completions", complete(max_tokens=9, ignore_eos=True)).json
    options = {"include_usage": True}
    reply = wire.ask(
        "/v1/completions", complete(max_tokens=9, ignore_eos=True, stream=True, stream_options=options)
    )
    assert reply.text == whole["choices"][0]["text"]
    assert reply.frames[-1]["usage"] == whole["usage"]
    assert reply.frames[-2]["choices"][0]["finish_reason"] == "length"


@pytest.mark.parametrize(
    ("prompt", "param"),
    [([], "prompt"), (5, "prompt"), ([5, "x"], "prompt"), ([2**31 - 1], "prompt"), (None, "prompt")],
)
def test_what_is_no_prompt_answers_400(wire: Wire, prompt: object, param: str) -> None:
    reply = wire.ask("/v1/completions", complete(prompt))
    assert reply.status == 400
    assert str(reply.error["param"]).startswith(param)


def test_a_prompt_beyond_the_context_is_named_so(wire: Wire) -> None:
    assert wire.ask("/v1/completions", complete("hello" * 2500)).error["param"] == "prompt"


def test_models_have_openais_members_and_the_provider_of_8080(wire: Wire) -> None:
    body = wire.ask("/v1/models").json
    assert body["object"] == "list"
    assert [model["id"] for model in body["data"]] == [LLAMA, GPT_OSS]
    assert body["data"][0] == {
        "id": LLAMA,
        "object": "model",
        "created": 1_767_225_600,
        "owned_by": "8080",
        "provider": "taalas",
    }
    assert wire.ask(f"/v1/models/{GPT_OSS}").json == body["data"][1]
    reply = wire.ask("/v1/models/gpt-99")
    assert (reply.status, reply.error["code"]) == (404, "model_not_found")
    assert wire.ask("/v1/models", key=None).status == 401


def test_health_and_metrics_need_no_key(wire: Wire) -> None:
    assert wire.ask("/health", key=None).status == 200
    assert wire.ask("/metrics", key=None).status == 200


def metrics(wire: Wire) -> dict[str, float]:
    lines = wire.ask("/metrics").body.decode().splitlines()
    return {name: float(value) for name, value in (x.rsplit(" ", 1) for x in lines if not x.startswith("#"))}


def test_metrics_go_by_vllms_names_with_buckets_fine_enough_for_an_asic(wire: Wire) -> None:
    wire.ask(body=chat(max_tokens=3))
    wire.ask(body=chat(max_tokens=1991))
    found, label = metrics(wire), f'engine="0",model_name="{LLAMA}"'
    assert found[f"vllm:time_to_first_token_seconds_sum{{{label}}}"] == 0.011
    assert found[f"vllm:e2e_request_latency_seconds_sum{{{label}}}"] == 0.031
    assert found[f"vllm:request_time_per_output_token_seconds_sum{{{label}}}"] == 0.01
    assert found[f"vllm:prompt_tokens_total{{{label}}}"] == 11
    assert found[f"vllm:generation_tokens_total{{{label}}}"] == 3
    assert (
        found[f'vllm:request_success_total{{engine="0",finished_reason="length",model_name="{LLAMA}"}}'] == 1
    )
    assert found[f'e80sim:requests_refused_total{{model_name="{LLAMA}",reason="context"}}'] == 1
    assert found[f"vllm:num_requests_running{{{label}}}"] == 0
    assert found[f"vllm:kv_cache_usage_perc{{{label}}}"] == 0
    assert found["e80sim:paced"] == 1
    below_a_ms = [
        name for name in found if "time_to_first_token_seconds_bucket" in name and 'le="0.0001' in name
    ]
    assert below_a_ms


def test_metrics_tell_what_is_inside_while_it_is(wire: Wire) -> None:
    import asyncio

    async def look() -> dict[str, float]:
        asking = asyncio.create_task(
            wire.send("/v1/chat/completions", chat(max_tokens=900, ignore_eos=True, stream=True))
        )
        await asyncio.sleep(1)
        reply = await wire.send("/metrics")
        await asking
        lines = [line.rsplit(" ", 1) for line in reply.body.decode().splitlines() if not line.startswith("#")]
        return {name: float(value) for name, value in lines}

    found = wire.platform.run(look())
    assert found[f'vllm:num_requests_running{{engine="0",model_name="{LLAMA}"}}'] == 1
    assert found["e80sim:streams"] == 1
    assert found["e80sim:requests_inside"] == 1


def test_the_openapi_document_refers_to_nothing_missing(wire: Wire) -> None:
    import json
    import re

    document = wire.ask("/openapi.json").json
    names = set(re.findall(r"#/components/schemas/(\w+)", json.dumps(document)))
    assert names
    assert names <= set(document["components"]["schemas"])
