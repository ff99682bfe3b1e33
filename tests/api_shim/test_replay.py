"""A replay of what came into a live model has the same stamps, to the picosecond."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.tables import RunTables
from sim.run.journal import Journal, JournalEntry, JournalError, read_journal
from sim.run.live import LONGEST_S, first_difference, live_tables, replayed
from sim.scenario.schema import Scenario
from tests.support.live import GPT_OSS, LLAMA, MS, Wire, chat, make_wire, scenario
from tests.support.responding import asked

ENDLESS = {"horizon_s": LONGEST_S}
Step = dict[str, Any]


def recorded(spec: Scenario, agents: list[list[Step]], path: Path) -> tuple[RunTables, list[JournalEntry]]:
    """Agents that ask one thing after the other, without a pause between an answer and the next question."""
    wire = make_wire(spec)
    spool = path.with_suffix(".spool")
    spool.unlink(missing_ok=True)
    journal = wire.platform.shim.journal = Journal(wire.platform.world.env, spool)

    async def ask(agent: list[Step]) -> None:
        for step in agent:
            await asyncio.sleep(step["pause_ms"] / 1000)
            await _ask(wire, step)

    async def story() -> None:
        await asyncio.gather(*(ask(agent) for agent in agents))
        await asyncio.sleep(1)  # until the last in the background is over

    wire.platform.run(story())
    wire.platform.close()
    journal.write(path)
    assert read_journal(spool) == read_journal(path), "what a killed server leaves says the same"
    tables = live_tables(wire.platform.world)
    journal.close()
    return tables, read_journal(path)


async def _ask(wire: Wire, step: Step) -> None:
    leave_ms = step.get("leave_ms")
    now_ps = wire.platform.world.env.now
    how = step.get("how", "chat")
    if how != "chat":
        fields = {"stream": step["stream"], "model": step["model"], "background": how == "background"}
        await wire.send(
            "/v1/responses",
            asked(max_output_tokens=16, **fields),
            headers={"x-sim-place": step["place"], "x-sim-output-tokens": str(step["output"])},
            leave_at_ps=None if leave_ms is None else now_ps + leave_ms * MS,
        )
        return
    await wire.send(
        "/v1/chat/completions",
        chat(
            stream=step["stream"],
            model=step["model"],
            n=step.get("n", 1),
            max_tokens=step["output"],
            ignore_eos=True,
        ),
        headers={"x-sim-place": step["place"]},
        leave_at_ps=None if leave_ms is None else now_ps + leave_ms * MS,
    )


STEPS = st.fixed_dictionaries(
    {
        "pause_ms": st.sampled_from([0, 0, 0, 10, 11, 21]),
        "output": st.integers(1, 6),
        "stream": st.booleans(),
        "place": st.sampled_from(["here", "here", "away"]),
        "model": st.sampled_from([LLAMA, LLAMA, GPT_OSS]),
        "leave_ms": st.sampled_from([None, None, None, 0, 5, 11, 21, 31, 80]),
        "n": st.sampled_from([1, 1, 2]),
        "how": st.sampled_from(["chat", "chat", "response", "background"]),
    }
)


@settings(max_examples=40, deadline=None)
@given(agents=st.lists(st.lists(STEPS, min_size=1, max_size=4), min_size=1, max_size=6))
def test_agents_that_react_and_leave_at_the_very_instants_of_the_model_replay_to_the_picosecond(
    tmp_path_factory: pytest.TempPathFactory, agents: list[list[Step]]
) -> None:
    """Whole milliseconds everywhere, so that answers, steps, questions and departures fall together."""
    spec = scenario(run=ENDLESS)
    tables, entries = recorded(spec, agents, tmp_path_factory.mktemp("run") / "arrivals.jsonl")
    assert len(entries) >= sum(map(len, agents))
    assert first_difference(tables, live_tables(replayed(spec, entries))) is None


def crowd() -> list[list[Step]]:
    step = {"output": 4, "stream": True, "place": "here", "model": LLAMA}
    return [[step | {"pause_ms": 10 * i}] + [step | {"pause_ms": 0}] * 9 for i in range(20)]


def test_two_hundred_requests_under_limits_replay_with_their_refusals(tmp_path: Path) -> None:
    limits = {"requests_per_minute": 1000, "tokens_per_minute": 1500}
    spec = scenario(run=ENDLESS, limits=limits)
    tables, entries = recorded(spec, crowd(), tmp_path / "arrivals.jsonl")
    outcomes = tables.requests["outcome"].to_pylist()
    assert len(outcomes) == 200
    assert 20 < outcomes.count("rejected_tokens_limit") < 190
    assert first_difference(tables, live_tables(replayed(spec, entries))) is None


@pytest.mark.parametrize(
    ("order", "batching", "refused"),
    [
        ("slo_deadline", {"max_num_queued_reqs": 3, "watermark": 0.1}, "rejected_max_num_queued_reqs"),
        ("edf", {"max_num_queued_tokens": 40, "max_num_active_seqs": 2}, "rejected_saturated"),
    ],
)
def test_a_crowd_at_the_gateway_and_at_full_nodes_replays_with_its_refusals(
    tmp_path: Path, order: str, batching: dict[str, Any], refused: str
) -> None:
    flow = {"max_concurrency": 4, "max_requests": 8, "ttl_s": 0.1, "order": order, "fairness": "round_robin"}
    spec = scenario(run=ENDLESS, llama={"flow_control": flow, "batching": batching})
    tables, entries = recorded(spec, crowd(), tmp_path / "arrivals.jsonl")
    outcomes = set(tables.requests["outcome"].to_pylist())
    assert {"completed", refused} <= outcomes
    assert first_difference(tables, live_tables(replayed(spec, entries))) is None


def test_one_picosecond_more_is_told_with_its_row_and_column(tmp_path: Path) -> None:
    spec = scenario(run=ENDLESS)
    tables, entries = recorded(spec, [[crowd()[0][0]]] * 3, tmp_path / "arrivals.jsonl")
    entries[1] = entries[1]._replace(at_ps=entries[1].at_ps + 1)
    difference = first_difference(tables, live_tables(replayed(spec, entries)))
    assert difference == "In requests: row 1 has sent_ps 0, and 1 in the replay."


def test_an_arrival_reads_as_a_trace_and_keeps_what_a_replay_needs(tmp_path: Path) -> None:
    step = {"pause_ms": 7, "output": 5, "stream": False, "place": "away", "model": LLAMA, "leave_ms": 3}
    recorded(scenario(run=ENDLESS), [[step]], tmp_path / "arrivals.jsonl")
    (line,) = map(json.loads, (tmp_path / "arrivals.jsonl").read_text().splitlines())
    assert line["arrival_ps"] == line["intended_ps"] == 7 * MS
    assert (line["prompt_tokens"], line["output_tokens"]) == (11, 5)
    assert (line["place"], line["project"]) == ("away", line["key"])
    assert line["caller"] == f"key/{line['key']}"
    assert line["stream"] is False
    assert line["left"] == {"at_ps": 10 * MS, "order": 2, "passed": 0}


def test_of_a_journal_that_was_cut_off_all_but_the_last_line_counts(tmp_path: Path) -> None:
    steps = [crowd()[0][0] | {"leave_ms": 15}, crowd()[0][0]]
    _, entries = recorded(scenario(run=ENDLESS), [steps], tmp_path / "arrivals.jsonl")
    assert len(entries) == 3
    cut_off = (tmp_path / "arrivals.spool").read_text()[:-5]
    (tmp_path / "cut.jsonl").write_text(cut_off)
    assert read_journal(tmp_path / "cut.jsonl") == entries[:2]


def test_a_full_disk_ends_a_journal_and_not_the_server(tmp_path: Path) -> None:
    wire = make_wire(scenario(run=ENDLESS))
    journal = wire.platform.shim.journal = Journal(wire.platform.world.env, tmp_path / "arrivals.jsonl")
    full = Path("/dev/full").open("w", buffering=1)  # noqa: SIM115 -- the journal closes it

    async def story() -> list[int]:
        before = await wire.send("/v1/chat/completions", chat(max_tokens=2))
        journal._lines, kept = full, journal._lines
        after = [await wire.send("/v1/chat/completions", chat(max_tokens=2)) for _ in range(2)]
        kept.close()
        return [reply.status for reply in (before, *after)]

    assert wire.platform.run(story()) == [200, 200, 200]
    assert journal.problem is not None
    assert journal.problem.strerror == "No space left on device"
    assert len(read_journal(tmp_path / "arrivals.jsonl")) == journal.arrivals == 1
    wire.platform.close()


def test_a_file_that_is_no_journal_is_told_by_its_line(tmp_path: Path) -> None:
    file = tmp_path / "arrivals.jsonl"
    file.write_text('{"arrival_ps": 1, "prompt_tokens": 2, "output_tokens": 3}\n')
    with pytest.raises(JournalError, match=r"arrivals\.jsonl line 1 is not a recorded request"):
        read_journal(file)


WAYS = [
    {"routing": "power_of_two", "load_signals": {"interval_ms": 10.0, "delay_ms": 1.0}},
    {"routing": "least_kv", "load_signals": {"interval_ms": 11.0}},
    {"routing": "least_kv"},
    {"routing": "central_queue"},
    {"routing": "least_outstanding", "disaggregated": {"prefill_nodes": 1}},
    {"routing": "central_queue", "disaggregated": {"prefill_nodes": 2}},
]


@settings(max_examples=20, deadline=None)
@given(
    way=st.sampled_from(WAYS),
    agents=st.lists(st.lists(STEPS, min_size=1, max_size=4), min_size=1, max_size=6),
)
def test_however_requests_get_to_nodes_they_replay_to_the_picosecond(
    tmp_path_factory: pytest.TempPathFactory, way: dict[str, Any], agents: list[list[Step]]
) -> None:
    values = {"kv_transfer.latency_ms": 10.0, "kv_transfer.mbit_per_s": 1e9}
    spec = scenario(run=ENDLESS, llama={"nodes": 3, **way})
    spec = spec.model_copy(update={"network": spec.network.model_copy(update={"values": values})})
    tables, entries = recorded(spec, agents, tmp_path_factory.mktemp("run") / "arrivals.jsonl")
    assert first_difference(tables, live_tables(replayed(spec, entries))) is None
