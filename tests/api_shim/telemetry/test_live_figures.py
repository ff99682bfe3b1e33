"""What `/live` says while requests come."""

import asyncio
import re

import numpy as np
import pytest

from api_shim.telemetry.live_figures import MOST_SOURCES, LiveCourse, quantiles
from api_shim.telemetry.source_tally import LATEST, Latest, SourceKey
from reports.columns import columns_of
from reports.metrics import REQUEST_METRICS
from sim.run.live import live_tables
from tests.support.live import LLAMA, MakeWire, chat, scenario


def test_batch_queue_and_what_was_offered_are_those_of_the_present(make: MakeWire) -> None:
    """Each node serves one at a time: of five, two are in batches and three wait."""
    wire = make()
    course = LiveCourse(wire.platform.shim)

    async def look_in_the_middle() -> None:
        body = chat(stream=True, max_tokens=100, ignore_eos=True)
        asked = [asyncio.create_task(wire.send("/v1/chat/completions", body)) for _ in range(5)]
        await asyncio.sleep(0.1)
        figures = course.figures()
        now = figures.now
        assert (now.batch, now.queue, now.offered, now.carried, now.refused) == (2, 3, 5, 0, 0)
        assert [(one.id == LLAMA, one.batch, one.queue) for one in figures.models] == [
            (True, 2, 3),
            (False, 0, 0),
        ]
        for task in asked:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
        later = course.figures().now
        assert later.offered == later.carried + later.refused == 5

    wire.platform.run(look_in_the_middle())


def test_refused_requests_are_offered_too_and_have_their_cause(make: MakeWire) -> None:
    wire = make(scenario(limits={"requests_per_minute": 2, "tokens_per_minute": 1000}))
    for expected in (200, 200, 429):
        assert wire.ask(body=chat(max_tokens=4)).status == expected
    figures = LiveCourse(wire.platform.shim).figures()
    assert (figures.now.offered, figures.now.carried, figures.now.refused) == (3, 2, 1)
    (source,) = figures.models[0].sources
    assert (source.answered, source.refused) == (2, {"requests": 1})
    assert figures.per_s == {"offered": None, "carried": None, "refused": None}


def test_rates_are_counts_between_looks_over_simulated_seconds(make: MakeWire) -> None:
    wire = make()
    course = LiveCourse(wire.platform.shim)
    before = course.figures().now
    wire.platform.run(asyncio.sleep(2))
    assert wire.ask(body=chat(max_tokens=4)).status == 200
    figures = course.figures()
    lasted_s = figures.now.simulated_s - before.simulated_s
    assert lasted_s > 2
    assert figures.per_s == {"offered": 1 / lasted_s, "carried": 1 / lasted_s, "refused": 0.0}
    assert figures.course["carried"] == [1 / lasted_s]
    wire.platform.run(asyncio.sleep(60))
    assert course.figures().course["carried"] == []  # nobody looked meanwhile


def test_a_quantile_is_told_from_as_many_requests_on_as_a_report_asks_for() -> None:
    """20, 200 and 1,000: after 15 s with 50 requests a p95 takes 60 s in all, a p99 300 s."""
    assert [(one.found, one.run_s) for one in quantiles(np.empty(0), 0, 15.0)] == [(None, None)] * 3
    p50, p95, p99 = quantiles(np.full(50, 0.007), 50, 15.0)
    assert p50.found is not None
    assert p50.found.value == 0.007
    assert [(one.name, one.found, one.run_s) for one in (p95, p99)] == [("p95", None, 60), ("p99", None, 300)]


def test_a_quantile_lies_between_requests_and_not_at_the_end_of_a_bucket() -> None:
    """Of 1 to 200 ms, in any order, the p50 is 100.5 ms, and 190.05 ms are passed by one in twenty."""
    latencies = np.random.default_rng(1).permutation(np.arange(1, 201)) / 1000
    p50, p95, _ = (one.found for one in quantiles(latencies, 200, 1.0))
    assert p50 is not None
    assert p95 is not None
    assert p50.value == pytest.approx(0.1005)
    assert p95.value == pytest.approx(0.19005)
    assert p50.low is not None
    assert p50.high is not None
    assert 0.05 < p50.low < 0.1005 < p50.high < 0.15


def test_the_latest_values_stay_in_order_when_the_first_are_given_up() -> None:
    latest = Latest()
    for value in range(LATEST):
        latest.add(float(value))
    assert latest.in_order().tolist() == list(range(LATEST))
    for value in range(LATEST, LATEST + 3):
        latest.add(float(value))
    assert latest.in_order().tolist() == list(range(3, LATEST + 3))
    assert latest.seen == LATEST + 3


def test_each_source_has_its_latencies_from_each_of_its_places(make: MakeWire) -> None:
    """Prompts of 11 tokens take 11 ms, each further token 10; from away 10 ms each way, and 20 to connect."""
    wire = make()
    body = chat(max_tokens=5, ignore_eos=True, stream=True)
    for key, place, times in (("sk-chat", "away", 2), ("sk-chat", "here", 1), ("sk-else", "here", 3)):
        for _ in range(times):
            assert wire.ask(body=body, key=key, headers={"x-sim-place": place}).status == 200
    (model, nothing) = LiveCourse(wire.platform.shim).figures().models
    assert nothing.sources == []
    found = {one.name: one for one in model.sources}
    assert {name: one.answered for name, one in found.items()} == {
        "All sources": 6,
        "live": 3,
        "chat, away": 2,
        "chat, here": 1,
    }
    assert found["chat, away"].latest["TTFT"] * 1000 == pytest.approx([51, 31])
    assert found["chat, away"].latest["E2E"] * 1000 == pytest.approx([91, 71])
    assert found["live"].latest["TTFT"] * 1000 == pytest.approx([11] * 3)
    assert found["All sources"].latest["TPOT"] * 1000 == pytest.approx([10] * 6)


def test_what_is_not_streamed_has_no_first_token_and_a_lone_token_no_further_one(make: MakeWire) -> None:
    wire = make()
    assert wire.ask(body=chat(max_tokens=4, ignore_eos=True)).status == 200
    assert wire.ask(body=chat(max_tokens=1, ignore_eos=True, stream=True)).status == 200
    (source,) = LiveCourse(wire.platform.shim).figures().models[0].sources
    assert source.seen == {"TTFT": 1, "TPOT": 0, "E2E": 2}


def test_the_figures_are_those_that_the_report_of_the_run_has(make: MakeWire) -> None:
    """Requests that wait for each other, of two sources; to the last bit."""
    wire = make()

    async def ask(number: int) -> None:
        await asyncio.sleep(0.021 * number)
        key = "sk-chat" if number % 3 else "sk-else"
        body = chat(max_tokens=2 + number % 7, ignore_eos=True, stream=True)
        assert (await wire.send("/v1/chat/completions", body, key=key)).status == 200

    async def many() -> None:
        await asyncio.gather(*(ask(number) for number in range(60)))

    wire.platform.run(many())
    sources = {one.name: one for one in LiveCourse(wire.platform.shim).figures().models[0].sources}
    requests = columns_of(live_tables(wire.platform.shim.world).requests)
    for name in ("chat", "live"):
        mine = requests.take(requests.labelled("source", name) & requests.outcome("completed"))
        assert len(mine) >= 20
        for latency, told in sources[name].quantiles(100.0).items():
            median = told[0].found
            assert median is not None
            assert median.value == np.median(REQUEST_METRICS[latency.lower()](mine))


def test_with_many_sources_those_with_most_answers_are_shown(make: MakeWire) -> None:
    wire = make()
    metrics = wire.platform.shim.metrics
    for number in range(MOST_SOURCES + 3):
        metrics.sources[SourceKey(LLAMA, f"source {number}", "here")].answered = number
    model = LiveCourse(wire.platform.shim).figures().models[0]
    assert [one.name for one in model.sources][:2] == ["All sources", f"source {MOST_SOURCES + 2}"]
    assert (len(model.sources), model.left_out) == (1 + MOST_SOURCES, 3)


def test_the_page_needs_no_key_fetches_from_its_server_alone_and_says_how_long_to_run(make: MakeWire) -> None:
    wire = make()
    for _ in range(3):
        assert wire.ask(body=chat(max_tokens=4)).status == 200
    page = wire.ask("/live", None, key=None)
    assert page.status == 200
    text = page.body.decode()
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', text)
    assert "default-src &#39;none&#39;" in policy
    assert policy.endswith("connect-src &#39;self&#39;")
    part = wire.ask("/live/figures", None, key=None).body.decode()
    assert part.startswith("<p")
    assert re.search(r"run [\d.,]+ .?s for a p95", part.replace("\u00a0", " "))
    assert "3 answered, none refused" in part
    assert LLAMA in part
