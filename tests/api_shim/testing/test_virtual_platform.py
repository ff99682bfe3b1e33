"""What applications use in their own tests."""

import asyncio
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from api_shim.testing import VirtualPlatform, check_packages, virtual_client
from api_shim.testing.asgi_transport import Conversation
from tests.support.live import LLAMA, chat, scenario


async def agent(client: Any) -> int:
    """Three calls, each waiting for the one before it."""
    tokens = 0
    for question in ("plan", "act", "sum up"):
        messages = [{"role": "user", "content": question}]
        reply = await client.chat.completions.create(model=LLAMA, messages=messages, max_tokens=2)
        tokens += reply.usage.completion_tokens
    return tokens


def test_an_agent_can_be_timed_where_it_will_run() -> None:
    """Each call is 21 to 22 ms of work; from away it pays 20 ms more, and 20 once to connect."""
    spent = {}
    for place in ("here", "away"):
        client = virtual_client(scenario(), place=place)
        assert client.platform.run(agent(client)) == 6
        spent[place] = client.platform.now_s
        client.platform.close()
    assert spent["here"] == pytest.approx(0.064)
    assert spent["away"] == pytest.approx(spent["here"] + 0.020 + 3 * 0.020)


def test_the_same_story_gives_the_same_times_to_the_picosecond() -> None:
    def told() -> tuple[int, list[Any]]:
        with VirtualPlatform(scenario()) as platform:
            client = platform.client()

            async def crowd() -> list[Any]:
                async def one(i: int) -> Any:
                    await asyncio.sleep(i * 0.0137)
                    return await agent(client)

                return await asyncio.gather(*(one(i) for i in range(20)))

            return platform.world.env.now, platform.run(crowd())

    assert told() == told()


def test_the_fixture_makes_platforms_from_files_and_closes_them(
    virtual_platform: Any, tmp_path: Path
) -> None:
    file = tmp_path / "served.yaml"
    file.write_text(yaml.safe_dump(scenario().model_dump(mode="json", exclude_unset=True), sort_keys=False))
    platform = virtual_platform(file, overrides=["models.llama.nodes=1"])
    assert platform.world.platform.pools["llama"].size == 1
    client = platform.client(place="here")
    assert platform.run(agent(client)) == 6


def test_an_unknown_variant_is_told() -> None:
    with pytest.raises(ValueError, match="there is no variant `other`"):
        VirtualPlatform(Path("scenarios/edge-vs-cloud.yaml"), variant="other")


def test_another_package_under_one_of_our_names_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    impostor = ModuleType("traffic")
    impostor.__file__ = str(tmp_path / "traffic" / "__init__.py")
    monkeypatch.setitem(sys.modules, "traffic", impostor)
    with pytest.raises(ImportError, match=r"`import traffic` finds .* instead of e80sim's package"):
        check_packages()


def test_what_an_application_raises_before_it_answers_reaches_the_client() -> None:
    async def broken(_scope: Any, _receive: Any, _send: Any) -> None:
        raise RuntimeError("out of order")

    async def story() -> None:
        conversation = Conversation(broken, {}, b"")
        try:
            await conversation.head()
        finally:
            await conversation.leave()

    with pytest.raises(RuntimeError, match="out of order"):
        asyncio.run(story())


def test_a_client_that_times_out_mid_stream_is_heard_by_the_model() -> None:
    import httpx

    from api_shim.testing.asgi_transport import make_transport

    with VirtualPlatform(scenario()) as platform:
        transport = make_transport(httpx, platform.app)

        async def story() -> None:
            async with httpx.AsyncClient(transport=transport, base_url="http://t", timeout=0.004) as client:
                body = chat(stream=True, max_tokens=900, ignore_eos=True)
                headers = {"authorization": "Bearer k"}
                with pytest.raises(httpx.ReadTimeout):
                    await client.post("/v1/chat/completions", json=body, headers=headers)
            await asyncio.sleep(0.02)

        platform.run(story())
        assert platform.world.platform.inside == {}
        assert platform.world.platform.records.labels.vocabulary()["outcome"] == ["cancelled"]


@pytest.mark.parametrize("file", sorted(Path("scenarios").glob("*.yaml")), ids=lambda file: file.stem)
def test_every_example_scenario_can_be_served(virtual_platform: Any, file: Path) -> None:
    if "AzureLLM" in file.read_text(encoding="utf-8"):
        pytest.skip("it wants a trace that users bring themselves")
    platform = virtual_platform(file)
    client = platform.client(api_key=f"sk-{next(iter(platform.world.scenario.traffic))}")
    model = next(iter(platform.shim.models))

    async def ask() -> Any:
        messages = [{"role": "user", "content": "hello"}]
        return await client.chat.completions.create(model=model, messages=messages, max_tokens=3)

    assert platform.run(ask()).usage.completion_tokens <= 3
    assert platform.now_s > 0
