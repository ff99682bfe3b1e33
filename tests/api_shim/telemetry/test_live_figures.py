"""What `/live` says while requests come."""

import asyncio
import re

from api_shim.clocks.histogram import Histogram
from api_shim.telemetry.live_figures import LiveCourse, quantiles
from tests.support.live import LLAMA, MakeWire, chat, scenario

MS = 10**9


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
    assert figures.models[0].refused == {"requests": 1}
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
    seen = Histogram((10 * MS, 20 * MS))
    assert [(one.upper_s, one.run_s) for one in quantiles(seen, 15.0)] == [(None, None)] * 3
    for _ in range(50):
        seen.observe(7 * MS)
    assert [(one.name, one.upper_s, one.run_s) for one in quantiles(seen, 15.0)] == [
        ("p50", 0.007, None),
        ("p95", None, 60),
        ("p99", None, 300),
    ]


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
    assert "Latencies of 3 answered requests" in part
    assert LLAMA in part
