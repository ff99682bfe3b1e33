"""How `make peers` measures, what it gives each peer to read, and what it writes of it."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from docs.peers.measure import Spread, cost_of, ratios
from docs.peers.peers import ASPECTS, OURS, ROWS, Job
from docs.peers.table import BEGIN, END, section, spread, with_section
from docs.peers.workload import MAX_NUM_BATCHED_TOKENS, drawn, write_formats
from traffic.traces import read_trace

BUSY = "import time\nwhile time.process_time() < 0.3: pass"
MB = 2**20


def test_the_cost_of_a_process_is_that_of_its_children_too_and_none_of_ours(tmp_path: Path) -> None:
    said = tmp_path / "said.txt"
    idle = cost_of([sys.executable, "-S", "-c", "print('done')"], said)
    assert said.read_text() == "done\n"
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-S', '-c', {BUSY!r}])"
    busy = cost_of([sys.executable, "-S", "-c", child], said)
    assert idle.cpu_s < 0.3 <= busy.cpu_s


def test_the_peak_is_that_of_the_process_alone(tmp_path: Path) -> None:
    ours = b"x" * (200 * MB)
    small = cost_of([sys.executable, "-S", "-c", ""], tmp_path / "said.txt")
    large = cost_of([sys.executable, "-S", "-c", f"held = b'x' * {100 * MB}"], tmp_path / "said.txt")
    assert len(ours) == 200 * MB
    assert small.peak_mb < 60
    assert 100 < large.peak_mb < 160


def test_a_process_that_fails_is_told_with_what_it_said(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="no such engine"):
        cost_of([sys.executable, "-c", "raise SystemExit('no such engine')"], tmp_path / "said.txt")


def test_ratios_compare_runs_of_one_round() -> None:
    # The machine slows down by four in the second round: the ratio is half in both.
    assert ratios([1.0, 4.0, 3.0], [2.0, 8.0, 2.0]) == Spread(0.5, 0.5, 1.5)
    assert spread(Spread(1234.56, 0.5, 9.0), 1) == "1,234.6 (0.5 to 9.0)"


def test_every_format_has_the_same_requests_at_the_same_times(tmp_path: Path) -> None:
    trace = drawn(300)
    folder = tmp_path / "300"
    write_formats(trace, folder)
    for name in ("requests.csv", "mooncake.jsonl"):
        read = read_trace(folder / name)
        for column in ("arrival_ps", "prompt_tokens", "output_tokens"):
            np.testing.assert_array_equal(getattr(read, column), getattr(trace, column), err_msg=name)
    rows = json.loads((folder / "rows.json").read_text())
    assert [round(row["timestamp"] * 1000) for row in rows] == (trace.arrival_ps // 10**9).tolist()
    assert [(row["prompt_tokens"], row["output_tokens"]) for row in rows] == list(
        zip(trace.prompt_tokens.tolist(), trace.output_tokens.tolist(), strict=True)
    )


def test_the_requests_are_what_the_page_says() -> None:
    trace = drawn(20_000)
    assert trace.rows / (trace.span_ps / 10**12) == pytest.approx(140, rel=0.03)
    assert trace.prompt_tokens.mean() == pytest.approx(512, rel=0.02)
    assert trace.output_tokens.mean() == pytest.approx(128, rel=0.02)
    assert drawn(20_000).prompt_tokens.tolist() == trace.prompt_tokens.tolist()


def test_a_step_looked_up_in_the_table_takes_what_ours_takes(tmp_path: Path) -> None:
    """64 sequences of 640 tokens, alone and beside 512 prompt tokens; within 1 % for the table's grid."""
    hardware = write_formats(drawn(10), tmp_path / "10")
    table = np.load(tmp_path / "10" / "step_times.npz")
    kv = np.abs(table["decode_active_kv_tokens"] - 64 * 640).argmin()
    context = np.abs(table["decode_context_length"] - 640).argmin()
    decodes_ms = table["decode_itl"][kv, context]
    assert decodes_ms == pytest.approx(hardware.step_time.step_ps([], 64, 64 * 640) / 10**9, rel=0.01)
    prompt_ms = table["prefill_ttft_ms"][table["prefill_isl"].tolist().index(512)]
    whole_ms = hardware.step_time.step_ps([(512, 0)], 64, 64 * 640) / 10**9
    assert decodes_ms + prompt_ms == pytest.approx(whole_ms, rel=0.01)
    assert table["prefill_isl"].max() == MAX_NUM_BATCHED_TOKENS


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row.name))
def test_a_row_has_a_command_of_the_job_and_says_all_of_what_it_models(row: Any, tmp_path: Path) -> None:
    folder = tmp_path / "workload"
    hardware = write_formats(drawn(10), folder)
    job = Job(Path("/somewhere/python"), folder, tmp_path / "out", hardware)
    words = [str(word) for word in row.command(job)]
    assert words[0] == "/somewhere/python"
    assert any(word.startswith(str(folder)) for word in words), "reads the workload"
    assert any(str(tmp_path / "out") in word for word in words), "leaves its outcome"
    assert "OUT" not in " ".join(words).split()
    if row.models:
        assert set(row.models) == set(ASPECTS)


def test_our_own_outcome_is_read_from_the_tables_of_a_run(tmp_path: Path) -> None:
    folder, out = tmp_path / "40", tmp_path / "out"
    hardware = write_formats(drawn(40), folder)
    out.mkdir()
    (row,) = (row for row in ROWS if row.name == f"{OURS}, no report")
    cost_of(row.command(Job(Path(sys.executable), folder, out, hardware)), out / "said.txt")
    outcome = row.outcome(out)
    assert outcome.requests == 40
    assert outcome.output_tokens == drawn(40).output_tokens.sum()
    # Nobody waits long for four idle nodes: a prompt's step, and about as many steps as output tokens.
    assert 10 < outcome.mean_ttft_ms < 60
    assert outcome.mean_ttft_ms + 120 * 7 < outcome.mean_e2e_ms < outcome.mean_ttft_ms + 140 * 15
    assert outcome.span_s > drawn(40).span_ps / 10**12


def told() -> dict[str, Any]:
    def costs(cpu_s: list[float], *, repeats: bool) -> dict[str, Any]:
        outcome = {
            "requests": 50,
            "output_tokens": 6000,
            "span_s": 20.0,
            "mean_ttft_ms": 31.24,
            "mean_e2e_ms": 2231.6,
        }
        peak = {"wall_s": cpu_s, "peak_mb": [80.0, 90.0, 100.0]}
        return {"cpu_s": cpu_s, **peak, "outcome": outcome, "repeats": repeats}

    rows = {OURS: costs([1.0, 2.0, 3.0], repeats=True), "sched-sim": costs([4.0, 4.0, 6.0], repeats=False)}
    return {
        "machine": "A small machine",
        "date": "2026-11-29",
        "python": "3.11.7",
        "versions": {"e80sim": "0.1.0", "sched-sim": "0.2.1"},
        "workloads": {"50": rows},
    }


def test_the_section_has_medians_spreads_and_ratios_of_rounds() -> None:
    text = section(told())
    assert "| e80sim | 2.0 (1.0 to 3.0) | 1 | 90 |" in text
    # 1/4, 2/4 and 3/6 of it.
    assert "| sched-sim | 4.0 (4.0 to 6.0) | 0.50 (0.25 to 0.50) | 90 |" in text
    assert "| vllm-sr-sim | — | — | — |" in text, "not measured, and told so"
    assert "| sched-sim | 50 | 300 | 31.2 | 2,232 | no |" in text
    assert "| e80sim | 50 | 300 | 31.2 | 2,232 | to the bit |" in text
    assert "In each round each runs once (3 of 50 requests)" in text
    assert "A small machine" in text
    assert "sched-sim 0.2.1" in text


def test_only_the_section_of_the_page_is_written() -> None:
    page = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    assert with_section(page, told()) == f"before\n{BEGIN}\n\n{section(told())}\n\n{END}\nafter\n"
    assert with_section(with_section(page, told()), told()) == with_section(page, told())
