"""Clients that have no more requests under way than they may: recordings, and closed loops by their means."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.scenario.schema import Scenario
from sim.validation.bare_node import bare_node
from sim.validation.closed_loops import ClosedLoop, simulated_means_ms
from sim.validation.compare import compare
from sim.validation.recorded import RecordedRequests, read_recorded
from sim.validation.replay import Replayed, replay
from tests.support.cli import e80sim

MS = 10**9


def server(token_ms: float = 0.1, seqs: int = 8) -> Scenario:
    """10 ms a step and `token_ms` a token, prompts whole up to 1,000 tokens."""
    card = {
        "kind": "gpu_iteration",
        "t_fixed_ms": 10.0,
        "t_host_ms": 0.0,
        "front_end_ms": 0.0,
        "launch_ms": 0.0,
        "t_weights_ms": 0.0,
        "ms_per_token": token_ms,
        "p_norm": 1.0,
        "ms_per_attn_pair": 0.0,
        "ms_per_kv_token": 0.0,
        "ms_per_sequence": 0.0,
        "kv_pool_tokens": 100_000,
    }
    batching = {"max_num_seqs": seqs, "max_num_batched_tokens": 1000, "async_scheduling": False}
    return bare_node(card, context_tokens=2000, batching=batching)


def requests(*rows: tuple[int, int, int]) -> RecordedRequests:
    """Rows of arrival in ms, prompt and output tokens."""
    at_ms, prompts, outputs = zip(*rows, strict=True)
    return RecordedRequests("rows.csv", tuple(ms * MS for ms in at_ms), prompts, outputs, {})


def test_who_finds_the_client_full_leaves_when_an_answer_has_come() -> None:
    replayed = replay(server(), requests((0, 50, 3), (0, 50, 3), (90, 50, 3)), max_concurrency=1)
    # each alone: 15 ms for the prompt, two steps of 10.1 ms
    assert (replayed.sent_ps / MS).tolist() == [0, 35.2, 90]
    assert replayed.simulated_ms["ttft"].tolist() == [15.0] * 3
    assert replayed.client_wait_ms.tolist() == [0, 35.2, 0]


def test_a_request_that_takes_a_freed_place_meets_the_node_in_its_next_step() -> None:
    replayed = replay(server(), requests((0, 50, 2), (0, 50, 9), (0, 50, 2)), max_concurrency=2)
    # at 20 + 10.2 ms the first ends and the second goes on alone; the third comes into its next step
    assert replayed.sent_ps[2] == 30.2 * MS
    assert replayed.first_ps[2] == pytest.approx((30.2 + 10.1 + 15.1) * MS)


@given(
    most=st.integers(1, 5),
    rows=st.lists(
        st.tuples(st.integers(0, 300), st.integers(1, 300), st.integers(1, 20)), min_size=1, max_size=25
    ),
)
@settings(max_examples=25, deadline=None)
def test_no_more_are_under_way_than_may_be_and_nobody_waits_beside_a_free_place(
    most: int, rows: list[tuple[int, int, int]]
) -> None:
    replayed = replay(server(), requests(*rows), max_concurrency=most)
    sent, ended, arrived = replayed.sent_ps, replayed.ended_ps, np.array(replayed.recorded.arrival_ps)
    assert (sent >= arrived).all()
    assert sent[np.argsort(arrived, kind="stable")].tolist() == sorted(sent)
    for number, at_ps in enumerate(sent):
        under_way = int(((sent < at_ps) & (ended > at_ps)).sum())
        assert under_way < most
        if at_ps > arrived[number]:
            assert at_ps in ended


def test_a_client_that_may_have_all_under_way_is_an_open_loop() -> None:
    rows = requests((0, 500, 30), (5, 700, 30), (5, 300, 30), (40, 900, 5))
    capped, free = replay(server(), rows, max_concurrency=4), replay(server(), rows)
    assert capped.first_ps.tolist() == free.first_ps.tolist()
    assert capped.ended_ps.tolist() == free.ended_ps.tolist()


@pytest.mark.parametrize("most", [None, 12])
@pytest.mark.parametrize("ahead", [False, True])
def test_both_engines_replay_alike_with_preemptions_caches_and_a_cap(most: int | None, ahead: bool) -> None:
    rng = np.random.default_rng(3)
    prompts = rng.integers(20, 500, 80)
    recorded = RecordedRequests(
        "own",
        tuple((np.cumsum(rng.integers(0, 60, 80)) * MS).tolist()),
        tuple(prompts.tolist()),
        tuple(rng.integers(2, 120, 80).tolist()),
        {},
        tuple((prompts // 32 * 16).tolist()),
    )
    node = bare_node(
        {"preset": "rtx_pro_6000_vllm", "kv_pool_tokens": 3000},
        context_tokens=700,
        batching={"max_num_seqs": 32, "max_num_batched_tokens": 512, "async_scheduling": ahead},
    )
    fast, step = (replay(node, recorded, max_concurrency=most, engine=engine) for engine in ("fast", "step"))
    assert fast.sent_ps.tolist() == step.sent_ps.tolist()
    assert fast.first_ps.tolist() == step.first_ps.tolist()
    assert fast.ended_ps.tolist() == step.ended_ps.tolist()


# Recordings of our own


def written(path: Path, replayed: Replayed, *, arrivals: bool = True) -> Path:
    recorded = replayed.recorded
    cached = recorded.cached_tokens or (0,) * len(recorded)
    simulated = replayed.simulated_ms
    lines = [
        "input_toks,output_toks,cached_toks,ttft_ms,tpot_ms,e2e_ms" + (",arrival_ms" if arrivals else "")
    ]
    for number in range(len(recorded)):
        cells: list[float] = [recorded.prompt_tokens[number], recorded.output_tokens[number], cached[number]]
        cells += [float(simulated[metric][number]) for metric in ("ttft", "tpot", "e2e")]
        cells += [recorded.arrival_ps[number] / MS] if arrivals else []
        lines.append(",".join(str(cell) for cell in cells))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("arrivals", [True, False])
def test_what_a_capped_client_of_ours_saw_replays_without_error(tmp_path: Path, arrivals: bool) -> None:
    rng = np.random.default_rng(5)
    at_ps = np.cumsum(rng.integers(0, 30, 120)) * MS if arrivals else np.zeros(120, dtype=int)
    prompts = rng.integers(40, 900, 120)
    original = RecordedRequests(
        "own",
        tuple(at_ps.tolist()),
        tuple(prompts.tolist()),
        tuple(rng.integers(2, 40, 120).tolist()),
        {},
        tuple((prompts // 64 * 32).tolist()),
    )
    saw = replay(server(), original, max_concurrency=6)
    assert saw.client_wait_ms.max() > 0
    recorded = read_recorded(written(tmp_path / "own.csv", saw, arrivals=arrivals), arrivals=arrivals)
    for row in compare(replay(server(), recorded, max_concurrency=6)):
        assert row.requests == 120
        assert row.mape == pytest.approx(0, abs=1e-9)
    # without its cap, or without what was cached, it would not
    assert compare(replay(server(), recorded))[0].mape > 0.1
    uncached = dataclasses.replace(recorded, cached_tokens=())
    assert compare(replay(server(), uncached, max_concurrency=6))[0].mape > 0.1


def test_the_command_tells_what_waited_at_the_client(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("isl,osl,ttft_ms\n50,3,15\n50,3,15\n", encoding="utf-8")
    result = e80sim("validate", [str(path), "--hardware", "rtx_pro_6000_vllm", "--max-concurrency", "1"])
    assert result.exit_code == 0, result.stderr
    assert "before they were sent 1 of 2 requests waited at the client" in result.stdout
    lacking = e80sim("validate", [str(path), "--hardware", "rtx_pro_6000_vllm"])
    assert (lacking.exit_code, "no column for the arrival" in lacking.stderr) == (2, True)


# Closed loops


def test_a_lone_client_of_a_closed_loop_has_the_node_for_itself() -> None:
    means_ms = simulated_means_ms(server(), ClosedLoop(50, 3, 1, {}))
    assert means_ms == {
        "ttft": pytest.approx(15.0),
        "tpot": pytest.approx(10.1),
        "e2e": pytest.approx(35.2),
    }


def test_clients_of_a_closed_loop_do_not_go_in_step() -> None:
    """If they did, nobody's prompt would make anybody wait for a token."""
    means_ms = simulated_means_ms(server(token_ms=0.0), ClosedLoop(50, 4, 3, {}))
    assert means_ms["tpot"] == pytest.approx(10.0)
    assert means_ms["ttft"] == pytest.approx(20.0)  # its own step, and the one that its question came into
    dearer = simulated_means_ms(server(), ClosedLoop(100, 100, 4, {}))
    # four decodes in a step; during one's answer each of the three others has a prompt of 100 tokens, 10 ms
    assert dearer["tpot"] == pytest.approx(10.4 + 3 * 10.0 / 99, rel=0.002)


def test_a_file_of_closed_loops_is_compared_row_by_row(tmp_path: Path) -> None:
    path = tmp_path / "loops.csv"
    path.write_text("isl,osl,concurrency,tpot_ms,note\n1024,64,4,16,x\n1024,64,8,20,y\n", encoding="utf-8")
    options = [str(path), "--hardware", "rtx_pro_6000_vllm"]
    text, data = e80sim("validate", options), e80sim("validate", [*options, "--json"])
    assert (text.exit_code, data.exit_code) == (0, 0), text.stderr
    assert text.stdout.splitlines()[-1].startswith("TPOT: MAPE ")
    assert text.stderr == "Columns not used: note.\n"
    found = json.loads(data.stdout)
    errors = [row["simulated_ms"]["tpot"] / row["measured_ms"]["tpot"] - 1 for row in found["rows"]]
    assert found["metrics"]["tpot"]["mape"] == pytest.approx(np.abs(errors).mean())
    twice = e80sim("validate", [*options, "--max-concurrency", "4"])
    assert (twice.exit_code, "is in the rows of" in twice.stderr) == (2, True)
