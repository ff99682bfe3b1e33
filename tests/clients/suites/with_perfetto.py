"""Perfetto's trace processor reads an exported trace as it is meant: slices, what they lie in, and counters.

Run by the interpreter that has the package `perfetto`; the processor is behind the socket TRACE_PROCESSOR.
"""

import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from perfetto.trace_processor import TraceProcessor

NS_PER_US = 1000
DEPTHS = {"request": 0, "phase": 1, "preemption": 2}
"""By category, how many slices a slice lies in."""
THREADS = "join thread_track on slice.track_id = thread_track.id join thread using (utid)"
Events = list[dict[str, Any]]


@pytest.fixture(scope="module")
def processor() -> Iterator[TraceProcessor]:
    found = TraceProcessor(remote=os.environ["TRACE_PROCESSOR"])
    yield found
    found.close()


@pytest.fixture(scope="module")
def events() -> Events:
    found: Events = json.loads(Path(os.environ["TRACE"]).read_text(encoding="utf-8"))["traceEvents"]
    return found


def rows(processor: TraceProcessor, columns: Sequence[str], rest: str) -> Counter[tuple[Any, ...]]:
    """`columns` with the names that they get last."""
    names = [column.split()[-1] for column in columns]
    found = processor.query(f"select {', '.join(columns)} {rest}")
    return Counter(tuple(getattr(row, name) for name in names) for row in found)


def named(events: Events, what: str) -> dict[tuple[int, int], str]:
    """By process and thread."""
    return {(one["pid"], one["tid"]): one["args"]["name"] for one in events if one["name"] == what}


def test_nothing_is_dropped_or_mended(processor: TraceProcessor) -> None:
    worse = "severity in ('error', 'data_loss') and value > 0"
    assert rows(processor, ["name", "value"], f"from stats where {worse}") == {}


def test_every_slice_is_where_it_was_and_lies_in_what_holds_it(
    processor: TraceProcessor, events: Events
) -> None:
    processes, threads = named(events, "process_name"), named(events, "thread_name")
    wanted = Counter(
        (
            processes[one["pid"], 0],
            threads[one["pid"], one["tid"]],
            one["cat"],
            one["name"],
            one["ts"] * NS_PER_US,
            one["dur"] * NS_PER_US,
            one["args"]["request"],
            DEPTHS[one["cat"]],
        )
        for one in events
        if one["ph"] == "X"
    )
    assert {kind for _, _, kind, *_ in wanted} == set(DEPTHS)
    columns = ["process.name as process", "thread.name as thread", "slice.category as category"]
    columns += ["slice.name as name", "slice.ts as ts", "slice.dur as dur"]
    columns += ["extract_arg(slice.arg_set_id, 'args.request') as request", "slice.depth as depth"]
    assert rows(processor, columns, f"from slice {THREADS} join process using (upid)") == wanted


def test_who_took_the_place_of_a_preempted_request_is_an_argument(
    processor: TraceProcessor, events: Events
) -> None:
    told = ("by", "cause", "recomputed_tokens")
    wanted = Counter(
        (one["name"], *(one["args"][name] for name in told))
        for one in events
        if one.get("cat") == "preemption"
    )
    arguments = [f"extract_arg(arg_set_id, 'args.{name}') as {name}" for name in told]
    assert rows(processor, ["name", *arguments], "from slice where category = 'preemption'") == wanted


def test_every_value_of_every_counter_is_read(processor: TraceProcessor, events: Events) -> None:
    processes = named(events, "process_name")
    wanted = Counter(
        (processes[one["pid"], 0], f"{one['name']} {unit}", one["ts"] * NS_PER_US, float(value))
        for one in events
        if one["ph"] == "C"
        for unit, value in one["args"].items()
    )
    columns = ["process.name as process", "track.name as name", "counter.ts as ts", "counter.value as value"]
    tracks = "join process_counter_track as track on counter.track_id = track.id join process using (upid)"
    assert rows(processor, columns, f"from counter {tracks}") == wanted
