"""Every node on a port of its own: who asks there meets that very node, and its metrics.

A prompt token costs 1 ms and every further token 10 ms, one sequence at a time on each of two nodes: "hello"
with 5 tokens takes 11 + 40 ms, and "hello" behind it has its first token 62 ms after it came.
"""

import asyncio
import socket
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from api_shim.cli import _bound
from api_shim.node_ports import NodePort, settle, told
from api_shim.server import bind
from api_shim.testing import VirtualPlatform
from e80sim.mistakes import UserError
from sim.platform.pool import Pool
from sim.run.journal import Journal, read_journal
from sim.run.live import LONGEST_S, first_difference, live_tables, replayed
from tests.api_shim.telemetry.test_metrics import Samples, scraped
from tests.support.live import GPT_OSS, LLAMA, MS, MakeWire, Reply, Wire, chat, scenario

CHAT = "/v1/chat/completions"
NODE_0, NODE_1, OF_OSS = 9001, 9002, 9101
PORTS = ["llama:9001", "oss:9101"]


def together(wire: Wire, *asked: Any) -> list[Reply]:
    """Coroutines that all begin at the present instant."""

    async def story() -> list[Reply]:
        return list(await asyncio.gather(*asked))

    return wire.platform.run(story())


def hello(wire: Wire, port: int, **fields: Any) -> Any:
    return wire.send(CHAT, chat(max_tokens=5, ignore_eos=True, **fields), port=port)


def metrics(wire: Wire, port: int = 80) -> Samples:
    return scraped(wire.ask("/metrics", port=port, key=None).body.decode())


def test_a_request_is_served_by_the_node_whose_port_it_came_to(make: MakeWire) -> None:
    """The platform itself would have sent the second one to the idle node."""
    wire = make(node_ports=PORTS)
    replies = together(wire, hello(wire, NODE_0), hello(wire, NODE_0), hello(wire, NODE_1))
    assert [reply.headers["x-sim-node"] for reply in replies] == ["0", "0", "1"]
    assert [int(reply.headers["x-sim-first-ps"]) // MS for reply in replies] == [11, 62, 11]
    assert {reply.headers["x-sim-place"] for reply in replies} == {"in-platform"}, "it has no way to go"


@pytest.mark.parametrize("path", ["/v1/completions", "/v1/responses"])
def test_the_other_endpoints_are_served_there_too(make: MakeWire, path: str) -> None:
    wire = make(node_ports=PORTS)
    body = {"model": LLAMA, "prompt" if "completions" in path else "input": "hello"}
    for stream in (False, True):
        reply = wire.ask(path, {**body, "stream": stream}, port=NODE_1)
        assert reply.status == 200
        if not stream:
            assert reply.headers["x-sim-node"] == "1"


def test_limits_of_the_platform_do_not_hold_at_a_node_and_are_not_spent_there(make: MakeWire) -> None:
    wire = make(scenario(limits={"requests_per_minute": 1}), node_ports=PORTS)
    here = {"x-sim-place": "here"}
    for _ in range(3):
        reply = wire.ask(CHAT, chat(max_tokens=1), port=NODE_0)
        assert reply.status == 200
        assert not [name for name in reply.headers if name.startswith("x-ratelimit")]
    assert wire.ask(CHAT, chat(max_tokens=1), headers=here).status == 200
    assert wire.ask(CHAT, chat(max_tokens=1), headers=here).status == 429


def test_a_caller_who_says_where_it_is_has_the_way_from_there(make: MakeWire) -> None:
    wire = make(node_ports=PORTS)
    reply = wire.ask(CHAT, chat(max_tokens=1), port=NODE_0, headers={"x-sim-place": "away"})
    assert int(reply.headers["x-sim-arrived-ps"]) == 30 * MS, "set up in 20 ms, and 10 ms on the way"


def test_a_full_node_refuses_by_its_own_limit_and_counts_it(make: MakeWire) -> None:
    batching = {"max_num_seqs": 1, "max_num_queued_reqs": 1}
    wire = make(scenario(llama={"batching": batching}), node_ports=PORTS)
    first, second, elsewhere = together(
        wire, hello(wire, NODE_0), hello(wire, NODE_0, stream=True), hello(wire, NODE_1)
    )
    assert (first.status, second.status, elsewhere.status) == (200, 503, 200)
    assert second.headers["x-sim-refused-by"] == "max_num_queued_reqs"
    rejections = "admission_rejections_total{reason=max_num_queued_reqs}"
    assert metrics(wire, NODE_0)[rejections] == 1
    assert rejections not in metrics(wire, NODE_1)
    assert metrics(wire)[rejections] == 1


def test_metrics_of_a_port_are_those_of_its_node(make: MakeWire) -> None:
    """At 30 ms both nodes have computed the prompt and one more token; one has somebody who waits."""
    wire = make(scenario(llama={"batching": {"block_size": 4}}), node_ports=PORTS)

    async def story() -> list[Samples]:
        asked = [asyncio.ensure_future(hello(wire, port)) for port in (NODE_0, NODE_0, NODE_1)]
        seen = []
        for at in (0.005, 0.025, 0.5):
            await asyncio.sleep(at)
            replies = [await wire.send("/metrics", port=port, key=None) for port in (NODE_0, NODE_1, 80)]
            seen += [scraped(reply.body.decode()) for reply in replies]
        await asyncio.gather(*asked)
        return seen

    early, _, _, busy, light, platform, over, over_light, _ = wire.platform.run(story())
    assert (early["num_requests_running"], early["time_to_first_token_seconds_count"]) == (1, 0)
    assert [one["num_requests_waiting"] for one in (busy, light, platform)] == [1, 0, 1]
    for one, times in ((busy, 1), (light, 1), (platform, 2)):
        assert one["num_requests_running"] == times
        assert one["iteration_tokens_total_sum"] == times * 12
        assert one["kv_cache_usage_perc"] == 4 / 500, "13 tokens of 4 to a block"
    for one in (busy, light):
        assert one["time_to_first_token_seconds_count"] == 1, "while the answer is still being made"
        assert one["time_to_first_token_seconds_sum"] == pytest.approx(0.011)
        assert (one["prompt_tokens_total"], one["generation_tokens_total"]) == (11, 2)
        assert not [name for name in one if name.startswith("request_success")]
    assert over["time_to_first_token_seconds_sum"] == pytest.approx(0.011 + 0.062)
    assert over["e2e_request_latency_seconds_sum"] == pytest.approx(0.051 + 0.102)
    assert over["request_success_total{finished_reason=length}"] == 2
    assert over["request_queue_time_seconds_sum"] == pytest.approx(0.051)
    assert over["request_decode_time_seconds_sum"] == pytest.approx(0.08)
    assert over["inter_token_latency_seconds_count"] == 8
    assert over["kv_cache_usage_perc"] == 0
    assert over_light["e2e_request_latency_seconds_count"] == 1


def test_each_completion_of_a_request_counts_at_a_node_as_it_does_in_vllm(make: MakeWire) -> None:
    wire = make(node_ports=PORTS)
    left = wire.send(CHAT, chat(max_tokens=50, ignore_eos=True), port=NODE_0, leave_at_ps=300 * MS)
    together(wire, hello(wire, NODE_0, n=3), left, asyncio.sleep(1))
    seen = metrics(wire, NODE_0)
    assert seen["request_params_n_sum"] == 3
    assert seen["request_params_n_count"] == 1
    assert seen["request_max_num_generation_tokens_sum"] == 5
    assert seen["request_prompt_tokens_sum"] == 33
    assert seen["request_success_total{finished_reason=length}"] == 3
    assert seen["request_success_total{finished_reason=abort}"] == 1
    assert seen["prompt_tokens_total"] == 44
    platform = metrics(wire)
    assert (platform["request_params_n_count"], platform["request_prompt_tokens_sum"]) == (1, 11)


def test_a_node_answers_for_its_model_alone_and_for_nothing_else_of_the_platform(make: MakeWire) -> None:
    wire = make(node_ports=PORTS)
    assert [one["id"] for one in wire.ask("/v1/models", port=NODE_0).json["data"]] == [LLAMA]
    assert [one["id"] for one in wire.ask("/v1/models", port=OF_OSS).json["data"]] == [GPT_OSS]
    assert wire.ask(f"/v1/models/{LLAMA}", port=NODE_0).status == 200
    assert wire.ask(f"/v1/models/{GPT_OSS}", port=NODE_0).error["code"] == "model_not_found"
    other = wire.ask(CHAT, chat(model=GPT_OSS), port=NODE_0)
    assert (other.status, other.error["code"]) == (404, "model_not_found")
    for path in ("/v1/files", "/dashboard", "/v1/batches", "/openapi.json", "/api/org", "/hosted/me/"):
        refused = wire.ask(path, port=NODE_1)
        assert refused.status == 404, path
        assert refused.error["message"].startswith("This is node 1 of llama, which has no /")
    background = wire.ask("/v1/responses", {"model": LLAMA, "input": "x", "background": True}, port=NODE_0)
    assert (background.status, background.error["param"]) == (400, "background")


def test_keys_are_needed_where_vllm_needs_them(make: MakeWire) -> None:
    wire = make(node_ports=PORTS)
    assert [wire.ask(path, port=NODE_0, key=None).status for path in ("/health", "/metrics")] == [200, 200]
    assert wire.ask(CHAT, chat(), port=NODE_0, key=None).status == 401


def test_a_node_that_takes_nothing_is_not_healthy(make: MakeWire) -> None:
    wire = make(node_ports=PORTS)
    pool = wire.platform.world.platform.pools["llama"]
    assert isinstance(pool, Pool)
    pool.drain(pool.node(0))
    assert [wire.ask("/health", port=port).status for port in (NODE_0, NODE_1, 80)] == [503, 200, 200]
    refused = wire.ask(CHAT, chat(), port=NODE_0)
    assert (refused.status, refused.headers["x-sim-refused-by"]) == (503, "no_endpoints")


def test_a_recording_names_the_node_and_replays_to_the_picosecond(tmp_path: Path) -> None:
    spec = scenario(run={"horizon_s": LONGEST_S}, limits={"requests_per_minute": 2})
    wire = Wire(VirtualPlatform(spec, node_ports=PORTS))
    journal = wire.platform.shim.journal = Journal(wire.platform.world.env, tmp_path / "spool")

    async def agent(port: int, leaves: bool) -> None:
        for turn in range(3):
            leave_at_ps = wire.platform.world.env.now + 21 * MS if leaves and turn == 1 else None
            await wire.send(
                CHAT, chat(max_tokens=5, ignore_eos=True, n=1 + turn), port=port, leave_at_ps=leave_at_ps
            )
            await wire.send("/metrics", port=port)

    async def story() -> None:
        await asyncio.gather(agent(NODE_0, True), agent(NODE_0, False), agent(NODE_1, False), agent(80, True))

    wire.platform.run(story())
    wire.platform.close()
    journal.write(tmp_path / "arrivals.jsonl")
    tables, entries = live_tables(wire.platform.world), read_journal(tmp_path / "arrivals.jsonl")
    journal.close()
    again = live_tables(replayed(spec, entries))
    assert first_difference(tables, again) is None
    named = [entry.request.node for entry in entries if entry.request is not None]
    assert [named.count(node) for node in (0, 1, None)] == [6, 3, 3]
    served = [(row["number"], row["node"]) for row in again.requests.to_pylist()]
    numbers = {entry.number: entry.request.node for entry in entries if entry.request is not None}
    assert all(numbers[number] in {None, node} for number, node in served)


def test_an_unmodified_client_comes_in_on_a_nodes_port_in_virtual_time() -> None:
    with VirtualPlatform("scenarios/node-ports.yaml", node_ports=["9001"]) as platform:
        client = platform.client(port=9003)

        async def story() -> tuple[str, float]:
            ask = client.chat.completions.with_raw_response.create
            answer = await ask(**chat(max_tokens=150, extra_body={"ignore_eos": True}))
            return answer.headers["x-sim-node"], platform.now_s

        node, now_s = platform.run(story())
    assert node == "2"
    assert now_s == pytest.approx(0.0011 + 149 * 0.002)


def test_ports_follow_each_other_and_are_told_when_the_server_starts() -> None:
    spec = scenario(llama={"nodes": 10})
    ports = settle(spec, ["llama:9001", "oss:0"])
    assert ports[0] == NodePort("llama", 0, 9001)
    assert [one.port for one in ports] == [*range(9001, 9011), 0, 0]
    lines = told(ports[:10], "http://h")
    assert lines[0] == "http://h:9001/v1 is node 0 of llama"
    assert lines[7:] == [
        "http://h:9008/v1 is node 7 of llama",
        "... and so on, up to http://h:9010, which is node 9 of llama",
    ]


def test_nodes_get_ports_that_are_free_or_are_told_which_one_is_not() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        nodes, sockets = _bound(
            [NodePort("llama", 0, 0), NodePort("llama", 1, 0)], partial(bind, "127.0.0.1")
        )
        with sockets[0], sockets[1]:
            assert [one.getsockname()[1] for one in sockets] == [node.port for node in nodes]
            assert len({0, port, *(node.port for node in nodes)}) == 4
        sentence = rf"--node-ports: node 1 of llama: cannot listen on 127.0.0.1 port {port}: "
        with pytest.raises(UserError, match=sentence):
            _bound([NodePort("llama", 1, port)], partial(bind, "127.0.0.1"))


SPLIT = {"nodes": 2, "disaggregated": {"prefill_nodes": 1}}


@pytest.mark.parametrize(
    ("llama", "wanted", "sentence"),
    [
        ({}, ["9001"], "the scenario has the models llama, oss; say whose nodes, such as llama:9001"),
        ({}, ["lama:9001"], "there is no model `lama`; did you mean `llama`?"),
        ({}, ["llama:http"], "write it as [MODEL:]PORT, the first of its ports, such as 9001"),
        ({}, ["llama:70000"], "write it as [MODEL:]PORT"),
        ({"nodes": 3}, ["llama:65534"], "would need the ports 65534 to 65536, and ports end at 65535"),
        ({"nodes": 8000}, ["llama:9001"], "models.llama has 8000 nodes, and at most 512 can have ports"),
        ({}, ["llama:8079"], "port 8080, for node 1 of llama, is taken already"),
        ({}, ["llama:9001", "oss:9002"], "port 9002, for node 0 of oss, is taken already"),
        ({}, ["llama:9001", "llama:9101"], "the nodes of llama have their ports already"),
        (SPLIT, ["llama:9001"], "models.llama divides prefill and decode"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(
    llama: dict[str, Any], wanted: list[str], sentence: str
) -> None:
    with pytest.raises(UserError, match=r"^--node-ports ") as refused:
        settle(scenario(llama=llama), wanted, taken=[8080])
    assert sentence in str(refused.value)
