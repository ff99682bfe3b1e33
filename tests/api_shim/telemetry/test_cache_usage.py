"""The gauge that autoscalers and routers read: it must move while answers grow."""

import asyncio

from tests.support.live import LLAMA, Wire, chat

GAUGE = f'vllm:kv_cache_usage_perc{{engine="0",model_name="{LLAMA}"}} '


def test_cache_usage_moves_while_an_answer_is_decoded(wire: Wire) -> None:
    """11 tokens of prompt end at 11 ms, then a token each 10 ms; two nodes with 2,000 blocks of a token each.

    At 500 ms tokens 2 to 49 are in the cache and the 50th step is under way: 11 + 49 blocks of 4,000.
    """

    async def story() -> list[float]:
        asked = asyncio.create_task(wire.send("/v1/chat/completions", chat(max_tokens=100, ignore_eos=True)))
        seen = []
        for pause_s in (0.005, 0.495, 0.1, 1.0):
            await asyncio.sleep(pause_s)
            text = (await wire.send("/metrics")).body.decode()
            (line,) = [line for line in text.splitlines() if line.startswith(GAUGE)]
            seen.append(float(line.removeprefix(GAUGE)))
        await asked
        return seen

    assert wire.platform.run(story()) == [11 / 4000, 60 / 4000, 70 / 4000, 0]
