"""Rows of traces by hand: what a page holds, whom it is shown to, and what goes when there are too many."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from api_shim.store.database import Database
from api_shim.store.store import Store
from api_shim.store.traces import KeptText, Trace, TraceRow, Traces, TraceSpan, TracesWanted

NOW_S = 1_800_000_000
WEEK_S = 7 * 24 * 3600


def trace(number: int, at_s: float = 0.0, text: str = "", **row: Any) -> Trace:
    """It began `at_s` seconds after NOW_S."""
    made = TraceRow(
        id=f"trace_{number:020x}",
        request_id=f"req_{number:03d}",
        project="p",
        endpoint="/v1/chat/completions",
        model="m",
        status=200,
        outcome="stop",
        began_ns=NOW_S * 10**9 + round(at_s * 1000) * 10**6,
        duration_ps=5,
        first_seen_ps=None,
        prompt_tokens=1,
        output_tokens=2,
        streamed=False,
        logged=True,
    )
    return Trace(replace(made, **row), 0, [], request=KeptText(text, len(text), cut=False))


def kept(*traces: Trace, **bounds: int) -> Traces:
    store = Traces(Database(None), **bounds)
    for one in traces:
        store.add(partial(replace, one))
    return store


def numbers(store: Traces, project: str | None = "p", now_s: float = NOW_S, **wanted: Any) -> list[int]:
    page = store.page(project, now_s, TracesWanted(**wanted))
    return [int(row.id.removeprefix("trace_"), 16) for row in page.rows]


def test_a_trace_comes_back_as_it_was() -> None:
    whole = Trace(
        trace(1).row,
        began_ps=12,
        spans=[TraceSpan("decode", 3, 2**62, {"request": 1, "node": 0, "sample": 2})],
        key="key-1",
        place="home",
        finish_reasons=["stop", "length"],
        settings={"temperature": 0.5, "stop": ["a"]},
        messages=[("user", "ä\u202e\x00<b>")],
        messages_cut=True,
        request=KeptText("{}", 2, cut=False),
        response=KeptText("dat", 900, cut=True),
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    )
    assert kept(whole).get("p", whole.row.id, NOW_S) == whole
    assert kept(trace(1)).get("p", trace(1).row.id, NOW_S) == trace(1)


def test_to_another_project_a_trace_does_not_exist_and_who_runs_the_server_sees_all() -> None:
    store = kept(trace(1), trace(2, project="q"))
    assert (numbers(store, "p"), numbers(store, "q"), numbers(store, "r")) == ([1], [2], [])
    assert numbers(store, None) == [2, 1]
    assert store.get("p", trace(2).row.id, NOW_S) is None
    assert store.get("q", trace(2).row.id, NOW_S) is not None
    assert store.get(None, trace(2).row.id, NOW_S) is not None


def test_each_filter_leaves_what_fits_and_all_of_them_hold_at_once() -> None:
    store = kept(
        trace(1, -3, endpoint="/v1/completions"),
        trace(2, -2, status=429, outcome="rejected", model="n"),
        trace(3, -1, model="n", request_id="req_0%"),
        trace(4, 0, outcome="length"),
    )
    second_ns, now_ns = 10**9, NOW_S * 10**9
    assert numbers(store) == [4, 3, 2, 1]
    assert numbers(store, endpoint="/v1/completions") == [1]
    assert numbers(store, status=429) == [2]
    assert numbers(store, outcome="length") == [4]
    assert numbers(store, model="n") == [3, 2]
    assert numbers(store, model="n", status=200) == [3]
    assert numbers(store, request_id="req_0") == [4, 3, 2, 1]
    assert numbers(store, request_id="req_00") == [4, 2, 1]
    assert numbers(store, request_id="req_0%") == [3]  # it is no pattern
    assert numbers(store, request_id="eq") == []
    assert numbers(store, since_ns=now_ns - 2 * second_ns, until_ns=now_ns) == [3, 2]


def test_pages_go_on_where_the_last_one_ended_also_among_traces_of_one_instant() -> None:
    store = kept(*(trace(number) for number in range(1, 6)), trace(6, -1))
    first = store.page("p", NOW_S, TracesWanted(limit=2))
    assert [row.request_id for row in first.rows] == ["req_005", "req_004"]
    assert first.has_more
    store.add(lambda: trace(7))
    assert numbers(store, limit=2, after=first.rows[-1].id) == [3, 2]
    last = store.page("p", NOW_S, TracesWanted(limit=2, after=trace(2).row.id))
    assert [row.request_id for row in last.rows] == ["req_001", "req_006"]
    assert not last.has_more
    assert numbers(store, after="trace_that_is_gone") == []


@given(st.lists(st.integers(-3, 3), max_size=12), st.integers(1, 5))
def test_pages_of_any_size_are_the_whole_list(seconds: list[int], limit: int) -> None:
    store = kept(*(trace(number, at_s) for number, at_s in enumerate(seconds)))
    in_order = sorted(range(len(seconds)), key=lambda number: (seconds[number], number), reverse=True)
    found = numbers(store, limit=limit)
    while len(found) < len(seconds):
        more = numbers(store, limit=limit, after=trace(found[-1]).row.id)
        assert more
        found += more
    assert found == in_order


def test_the_oldest_go_when_there_are_too_many() -> None:
    store = kept(*(trace(number, number) for number in (3, 1, 2)), most=2)
    assert numbers(store) == [3, 2]
    store.add(lambda: trace(9, 0.5))  # the oldest, though it came last
    assert numbers(store) == [3, 2]
    assert store._database.query("SELECT count(*) FROM trace_details")[0][0] == 2


def test_the_oldest_go_when_their_details_take_too_much() -> None:
    one = trace(1, text="".join(chr(33 + i * i % 89) for i in range(5000)))
    alone = kept(one)
    assert numbers(alone) == [1]
    (size_bytes,) = alone._database.query("SELECT detail_bytes FROM traces")[0]
    room = {"most_bytes": 2 * size_bytes + 50}
    store = kept(*(replace(one, row=trace(number, number).row) for number in range(5)), **room)
    assert numbers(store) == [4, 3]
    store.add(lambda: trace(7, 7))
    assert numbers(store) == [7, 4]


def test_a_trace_is_gone_when_it_is_a_week_old_for_readers_at_once_and_from_the_disk_with_the_next() -> None:
    store = kept(trace(1), trace(2, 1))
    assert numbers(store, now_s=NOW_S + WEEK_S - 0.001) == [2, 1]
    assert numbers(store, now_s=NOW_S + WEEK_S) == [2]
    assert store.get("p", trace(1).row.id, NOW_S + WEEK_S) is None
    assert store._database.query("SELECT count(*) FROM traces")[0][0] == 2
    store.forget_old(NOW_S + WEEK_S)
    assert store._database.query("SELECT count(*) FROM traces")[0][0] == 1


def test_traces_outlive_the_server_and_count_against_the_bounds_of_the_next(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.traces.add(lambda: trace(1))
    store.traces.write(NOW_S)
    store.close()
    store = Store(tmp_path)
    assert numbers(store.traces) == [1]
    bounded = Traces(store.database, most=1)
    bounded.add(lambda: trace(2, 1))
    assert numbers(bounded) == [2]
    store.close()


def test_a_full_disk_loses_the_traces_that_wait_and_nothing_else(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.traces.add(lambda: trace(1))
    store.traces.write(NOW_S)
    (pages,) = store.database.query("PRAGMA page_count")[0]
    store.database.query(f"PRAGMA max_page_count = {pages}")
    for number in range(2, 400):
        store.traces.add(partial(trace, number))
    assert numbers(store.traces) == [1]
    assert store.traces.lost == 398
    store.database.query("PRAGMA max_page_count = 100000")
    store.traces.add(lambda: trace(500, 1))
    assert numbers(store.traces) == [500, 1]
    assert store.database.query("PRAGMA integrity_check")[0][0] == "ok"
    store.close()
