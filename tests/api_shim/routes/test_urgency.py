"""What a caller says of urgency, and whose limits count. A prompt of 11 tokens takes 11 ms, one at a time."""

import asyncio
from typing import Any

import pytest

from sim.scenario.schema import Scenario
from tests.support.live import MS, MakeWire, Reply, Wire, chat, scenario

CHAT = "/v1/chat/completions"


def one_node(**sections: Any) -> Scenario:
    """With a queue that looks at priorities, and a key `sk-night` that sends batch work."""
    served = scenario(**sections)
    llama = served.models["llama"].model_copy(update={"nodes": 1})
    batching = llama.batching.model_copy(update={"queue": "priority"})
    night = served.traffic["chat"].model_copy(update={"batch": True, "place": "here"})
    return served.model_copy(
        update={
            "models": {**served.models, "llama": llama.model_copy(update={"batching": batching})},
            "traffic": {**served.traffic, "night": night},
        }
    )


def priorities(wire: Wire) -> list[int]:
    found: list[int] = wire.platform.world.platform.records.arrays("number")["priority"].tolist()
    return found


@pytest.mark.parametrize(
    ("said", "priority", "tier"),
    [
        ({}, 0, None),
        ({"service_tier": "auto"}, 0, "default"),
        ({"service_tier": "default"}, 0, "default"),
        ({"service_tier": "scale"}, 0, "default"),
        ({"service_tier": "flex"}, 10, "flex"),
        ({"service_tier": "priority"}, -10, "priority"),
        ({"priority": 7}, 7, None),
        ({"service_tier": "flex", "priority": -3}, -3, "flex"),
    ],
)
def test_a_body_states_its_urgency_in_openais_words_or_vllms(
    wire: Wire, said: dict[str, Any], priority: int, tier: str | None
) -> None:
    reply = wire.ask(body=chat(max_tokens=1, **said))
    assert reply.json["service_tier"] == tier
    assert priorities(wire) == [priority]


def test_a_key_that_stands_for_batch_traffic_sends_batch_work(make: MakeWire) -> None:
    wire = make(one_node())
    wire.ask(body=chat(max_tokens=1), key="sk-night")
    wire.ask(body=chat(max_tokens=1, priority=3), key="sk-night")
    assert priorities(wire) == [100, 3]


def test_the_urgent_go_first(make: MakeWire) -> None:
    # The first takes the node at once; of the others the urgent one is next, then the plain, then the batch.
    wire = make(one_node())
    wanted = [("sk-me", {}), ("sk-night", {}), ("sk-me", {}), ("sk-me", {"service_tier": "priority"})]

    async def together() -> list[Reply]:
        sent = (wire.send(CHAT, chat(max_tokens=1, **said), key=key) for key, said in wanted)
        return await asyncio.gather(*sent)

    replies = wire.platform.run(together())
    assert [reply.ended_ps // MS for reply in replies] == [11, 44, 33, 22]


def test_batch_work_has_headers_of_its_own_budget(make: MakeWire) -> None:
    rates = {"requests_per_minute": 5, "tokens_per_minute": 1000}
    limits = rates | {"batch": {"requests_per_minute": 1, "tokens_per_minute": 500}, "scope": "project"}
    wire = make(one_node(limits=limits))
    reply = wire.ask(body=chat(max_tokens=1), key="sk-night")
    assert reply.headers["x-ratelimit-limit-requests"] == "1"
    assert reply.headers["x-ratelimit-remaining-requests"] == "0"
    refused = wire.ask(body=chat(max_tokens=1), key="sk-night")
    assert (refused.status, refused.error["code"]) == (429, "rate_limit_exceeded")
    same_project = wire.ask(body=chat(max_tokens=1), key="sk-chat")
    assert same_project.headers["x-ratelimit-remaining-requests"] == "4"


@pytest.mark.parametrize("said", [{"service_tier": "turbo"}, {"priority": 2**40}, {"priority": 0.5}])
def test_urgency_that_means_nothing_is_a_400(wire: Wire, said: dict[str, Any]) -> None:
    reply = wire.ask(body=chat(**said))
    assert reply.status == 400
    assert reply.error["param"] == next(iter(said))
