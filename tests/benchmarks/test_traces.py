"""What a hundred thousand traces cost to look through, and a traced request to answer."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter  # noqa: TID251 -- it measures
from typing import Any

import pytest

from api_shim.settings import ServerSettings
from api_shim.store.database import Database
from api_shim.store.traces import MOST_TRACES, Trace, Traces, TraceSpan, TracesWanted
from api_shim.testing import VirtualPlatform
from tests.api_shim.store.test_traces import NOW_S, trace
from tests.benchmarks.test_shim import asked, spread, virtual_scenario
from tests.support.live import Wire
from tests.support.speeds import Speeds

GROUP = 1000
NS_PER_S = 10**9
SPANS = [TraceSpan("decode", 10**9, 2 * 10**9, {"request": 1, "sample": 0, "node": 3})] * 7
FILTERS: dict[str, dict[str, Any]] = {
    "no filter": {},
    "a time in the middle": {
        "since_ns": (NOW_S + 50_000) * NS_PER_S,
        "until_ns": (NOW_S + 50_010) * NS_PER_S,
    },
    "an endpoint": {"endpoint": "/v1/completions"},
    "a model that was never asked": {"model": "none"},
    "a status that was never given": {"status": 503},
    "one in a thousand": {"status": 429},
    "the oldest by its request id": {"request_id": "req_000"},
    "all that do not go together": {"endpoint": "/v1/completions", "status": 429, "model": "m"},
}
BUDGET_S = 0.05


def made(number: int) -> Trace:
    one = trace(
        number,
        number,
        endpoint="/v1/completions" if number % 2 else "/v1/chat/completions",
        status=429 if number % 1000 == 0 else 200,
        request_id=f"req_{number:06d}" if number else "req_000",
        project=f"p{number % 10}",
    )
    return replace(one, spans=SPANS)


@pytest.fixture(scope="module")
def traces(tmp_path_factory: pytest.TempPathFactory, speeds: Speeds) -> Traces:
    """Each second one, on a disk."""
    folder: Path = tmp_path_factory.mktemp("traces")
    store = Traces(Database(folder / "state.sqlite"))
    began_s = perf_counter()
    for first in range(0, MOST_TRACES, GROUP):
        for number in range(first, first + GROUP):
            store.add(partial(made, number))
        store.write(NOW_S + first)
    per_trace_us = (perf_counter() - began_s) / MOST_TRACES * 1e6
    speeds.note("traces, written in groups of 1,000", f"{per_trace_us:10,.0f} us each")
    return store


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("project", [None, "p1"], ids=["all projects", "one project"])
def test_a_hundred_thousand_traces_are_paged_in_no_time(
    speeds: Speeds, traces: Traces, name: str, project: str | None
) -> None:
    wanted = TracesWanted(**FILTERS[name])
    took_s = []
    for _ in range(5):
        began_s = perf_counter()
        traces.page(project, NOW_S + MOST_TRACES, wanted)
        took_s.append(perf_counter() - began_s)
    of = "all projects" if project is None else "one project"
    speeds.note(f"traces, a page of {MOST_TRACES:,}, {name}, {of}", f"{median(took_s) * 1e3:10.2f} ms")
    assert min(took_s) < BUDGET_S


def test_a_page_from_the_middle_is_as_quick_as_the_first(speeds: Speeds, traces: Traces) -> None:
    """A cursor is looked up, not counted up to."""
    after = made(1000).row.id
    began_s = perf_counter()
    page = traces.page(None, NOW_S + MOST_TRACES, TracesWanted(after=after))
    speeds.note("traces, a page before the thousandth", f"{(perf_counter() - began_s) * 1e3:10.2f} ms")
    assert [row.id for row in page.rows[:2]] == [made(999).row.id, made(998).row.id]


@pytest.mark.parametrize(
    ("name", "fields", "share"),
    [("untraced", {}, 0.0), ("sampled", {}, 1.0), ("logged", {"log": True}, 0.0)],
)
def test_what_a_trace_costs(speeds: Speeds, name: str, fields: dict[str, Any], share: float) -> None:
    with VirtualPlatform(
        virtual_scenario(), settings=ServerSettings(trace_share=share, flush_ms=5.0)
    ) as platform:
        wire = Wire(platform)

        def run() -> None:
            body = asked(20, **fields)
            replies = platform.run(spread(partial(wire.send, "/v1/chat/completions", body), 500))
            assert [reply.status for reply in replies] == [200] * 500

        speeds.measure(f"shim, {name} chat, 20 tokens", 500, run)
