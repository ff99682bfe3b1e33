"""What the overview says of the model at this moment."""

import asyncio

from api_shim.dashboard.live import MOST_LIMITERS, MOST_NODES, MOST_OWNERS, Course, LiveView, Look
from api_shim.dashboard.waterfall import THINNEST, WIDTH, bars, ticks
from tests.api_shim.dashboard.sample_traces import trace
from tests.support.live import LLAMA, MS, MakeWire, chat, scenario


def answered(look: Look) -> int:
    return look.answered


def output_tokens(look: Look) -> int:
    return look.output_tokens


def test_batch_queue_cache_and_streams_are_those_of_the_present(make: MakeWire) -> None:
    """Each node serves one at a time: of five, two stream and three wait."""
    wire = make()
    view = LiveView(wire.platform.shim)

    async def look_in_the_middle() -> None:
        asked = [
            asyncio.create_task(
                wire.send("/v1/chat/completions", chat(stream=True, max_tokens=100, ignore_eos=True))
            )
            for _ in range(5)
        ]
        await asyncio.sleep(0.1)
        now = view.moment()
        llama, oss = now.models
        assert (llama.id, llama.running, llama.waiting, llama.most_running) == (LLAMA, 2, 3, 1)
        assert sorted(node.running for node in llama.nodes) == [1, 1]
        assert 0 < llama.kv_blocks_used < llama.kv_blocks
        assert (oss.running, oss.waiting, oss.kv_blocks_used) == (0, 0, 0)
        assert (now.requests_inside, now.streams, now.answered) == (5, 2, 0)
        for task in asked:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)

    wire.platform.run(look_in_the_middle())


def test_limits_in_use_are_listed_and_those_that_are_not_are_left_out(make: MakeWire) -> None:
    wire = make(scenario(limits={"requests_per_minute": 2, "tokens_per_minute": 1000}))
    view = LiveView(wire.platform.shim)
    assert view.moment().limits == []
    for expected in (200, 200, 429):
        assert wire.ask(body=chat(max_tokens=4)).status == expected
    (use,) = view.moment().limits
    assert (use.used["requests"], use.used["tokens"][1], use.share) == ((2, 2), 1000, 1.0)
    assert view.moment().models[0].refused == {"requests": 1}
    wire.platform.run(asyncio.sleep(61))
    assert view.moment().limits == []


def test_of_many_keys_some_are_looked_at_and_the_fullest_shown(make: MakeWire) -> None:
    limits = {"requests_per_minute": 100, "tokens_per_minute": 10_000, "algorithm": "sliding_window"}
    wire = make(scenario(limits=limits))
    for number in range(MOST_LIMITERS + 5):
        wire.ask(body=chat(max_tokens=1), key=f"sk-{number}")
    wire.ask(body=chat(max_tokens=1), key="sk-100")
    now = LiveView(wire.platform.shim).moment()
    assert (len(now.limits), now.limits_in_use, now.limits_unseen) == (MOST_OWNERS, MOST_LIMITERS, 5)
    assert [use.used["requests"][0] for use in now.limits] == [2] + [1] * (MOST_OWNERS - 1)


def test_rates_are_of_the_last_ten_seconds_of_whoever_looks() -> None:
    """Twice as fast as the wall: 10 s of it are 20 simulated."""
    course = Course()
    for second in range(31):
        course.note(Look(float(second), 2.0 * second, 5 * second, 100 * second if second < 20 else 2000))
    now = Look(30.0, 60.0, 150, 2000)
    assert (course.rate(answered, now), course.rate(output_tokens, now)) == (2.5, 0.0)
    assert course.rates(output_tokens) == [50.0] * 20 + [0.0] * 10


def test_there_is_no_rate_before_the_second_look_nor_over_a_time_when_nobody_looked() -> None:
    course = Course()
    first, second = Look(0.0, 0.0, 0, 0), Look(60.0, 60.0, 600, 600)
    for look in (first, second):
        course.note(look)
        assert course.rate(answered, look) is None
    assert course.rates(output_tokens) == []


def test_several_who_look_share_one_course() -> None:
    """Looks between the seconds leave no points of their own."""
    course = Course()
    for tenth in range(100):
        course.note(Look(tenth / 10, tenth / 10, tenth, tenth))
    assert len(course.rates(output_tokens)) == 10
    assert all(abs(rate - 10) < 1e-6 for rate in course.rates(output_tokens))


def test_of_many_nodes_some_are_listed_and_all_are_counted(make: MakeWire) -> None:
    models = scenario().model_dump(mode="json", exclude_unset=True)["models"]
    wire = make(scenario(models={"llama": models["llama"] | {"nodes": MOST_NODES + 9}}))
    (llama,) = LiveView(wire.platform.shim).moment().models
    assert (llama.node_count, len(llama.nodes)) == (MOST_NODES + 9, MOST_NODES)


def test_bars_lie_as_the_spans_do() -> None:
    """61 ms in all: 10 out, prefill from 10 to 21, decode to 51."""
    drawn = {bar.name: bar for bar in bars(trace(1, 0.0))}
    assert (drawn["network"].x, drawn["network"].width) == (0, round(10 / 61 * WIDTH, 2))
    assert (drawn["prefill"].x, drawn["prefill"].after_ps) == (round(10 / 61 * WIDTH, 2), 10 * MS)
    assert (drawn["decode"].width, drawn["decode"].lasted_ps) == (round(30 / 61 * WIDTH, 2), 30 * MS)
    assert drawn["queue"].width == THINNEST
    assert drawn["return"].x + drawn["return"].width == WIDTH
    assert ticks(trace(1, 0.0)) == [0, 61 * MS // 4, 61 * MS // 2, 61 * MS * 3 // 4, 61 * MS]


def test_a_span_that_outlasts_its_trace_stays_inside_the_drawing() -> None:
    for bar in bars(trace(1, 0.0, duration_ps=20 * MS)):
        assert bar.x >= 0
        assert bar.x + bar.width <= WIDTH + 0.01
