"""What the dashboard says of prefix caches, worked by hand.

Two prompts of the same 54 tokens: the second finds the 3 full blocks of 16.
"""

import asyncio
from collections.abc import Iterator

import pytest

from api_shim.dashboard.live import LiveView
from api_shim.settings import ServerSettings
from tests.api_shim.dashboard.conftest import TOKEN, Browser
from tests.support.live import LLAMA, Wire, make_wire, scenario
from traffic.tokens import vocabulary

PROMPT = "You answer questions about the history of the steam engine in " + "very " * 40 + "few words."
CACHING = {"nodes": 1, "batching": {"block_size": 16, "enable_prefix_caching": True}}


@pytest.fixture
def caching() -> Iterator[Browser]:
    settings = ServerSettings(dashboard_token=TOKEN, trace_share=1.0)
    wire = make_wire(scenario(llama=CACHING), settings=settings)
    browser = Browser(wire)
    browser.sign_in()
    yield browser
    wire.platform.close()


def ask(wire: Wire, times: int) -> None:
    for _ in range(times):
        body = {"model": LLAMA, "prompt": PROMPT, "max_tokens": 5, "log": True}
        assert wire.ask("/v1/completions", body).status == 200


def test_the_hit_rate_is_of_prompt_tokens_and_the_course_of_simulated_seconds(caching: Browser) -> None:
    assert vocabulary("llama3").count(PROMPT) == 54
    view = LiveView(caching.wire.platform.shim)
    cache = view.moment().models[0].prefix_cache
    assert cache is not None
    assert (cache.hit_rate, cache.cached_tokens_per_s, cache.course) == (None, None, [])
    ask(caching.wire, 2)
    lasted_s = 2.0
    caching.wire.platform.run(asyncio.sleep(lasted_s - view.moment().simulated_s))
    llama, oss = view.moment().models
    assert llama.prefix_cache is not None
    assert (llama.prefix_cache.prompt_tokens, llama.prefix_cache.cached_tokens) == (108, 48)
    assert llama.prefix_cache.hit_rate == pytest.approx(4 / 9)
    assert llama.prefix_cache.cached_tokens_per_s == pytest.approx(24)
    assert llama.prefix_cache.course == pytest.approx([24])
    assert oss.prefix_cache is None, "it has none"


def test_the_overview_shows_the_cache_of_the_model_that_has_one(caching: Browser) -> None:
    before = caching.get("/dashboard/live").body.decode()
    assert "<dt>Prefix cache hit rate</dt><dd>\N{EN DASH}</dd>" in before
    ask(caching.wire, 2)
    page = caching.get("/dashboard/live").body.decode()
    assert page.count("Prefix cache hit rate") == 1
    assert '<dd>44\u00a0%</dd><dd class="muted">of 108 prompt tokens</dd>' in page
    assert "<dt>Cached tokens</dt><dd>48</dd>" in page


def test_a_request_that_found_its_beginning_says_so_beside_its_prompt_tokens(caching: Browser) -> None:
    ask(caching.wire, 2)
    rows = caching.wire.ask("/v1/traces").json["data"]
    found, first = (caching.get(f"/dashboard/traces/{row['id']}").body.decode() for row in rows)
    assert '<dt>Prompt tokens</dt><dd>54</dd><dd class="muted">48 cached</dd>' in found
    assert "cached_tokens 48" in found, "at the prefill"
    assert "<dt>Prompt tokens</dt><dd>54</dd></div>" in first
