"""Replaying recorded requests: the stamps, the errors, and the bounds that the model must keep."""

import importlib.util
import json
import os
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from e80sim.measured import MeasuredError
from sim.node.kernel import BatchLimits, Sequence
from sim.node.step_engine import StepEngine
from sim.scenario.schema import Scenario
from sim.validation.bare_node import bare_node
from sim.validation.checks import Evidence, gather
from sim.validation.closed_loops import loop_errors
from sim.validation.compare import compare, comparison_text
from sim.validation.loops import gather_loops
from sim.validation.recorded import RecordedRequests, read_recorded
from sim.validation.replay import Replayed, replay
from tests.support.cli import e80sim

MS = 10**9
# Chunks of at most 100 tokens; 10 ms a step and 0.1 ms a token.
CARD = {
    "kind": "gpu_iteration",
    "t_fixed_ms": 10.0,
    "t_host_ms": 0.0,
    "front_end_ms": 0.0,
    "launch_ms": 0.0,
    "t_weights_ms": 0.0,
    "ms_per_token": 0.1,
    "p_norm": 1.0,
    "ms_per_attn_pair": 0.0,
    "ms_per_kv_token": 0.0,
    "ms_per_sequence": 0.0,
    "kv_pool_tokens": 10_000,
}
BATCHING = {"max_num_seqs": 2, "max_num_batched_tokens": 100, "async_scheduling": False}


def server() -> Scenario:
    return bare_node(CARD, context_tokens=1000, batching=BATCHING)


def requests(*rows: tuple[int, int, int], **measured_ms: list[float]) -> RecordedRequests:
    """Rows of arrival in ms, prompt and output tokens."""
    return RecordedRequests(
        "rows.csv",
        tuple(at_ms * MS for at_ms, _, _ in rows),
        tuple(prompt for _, prompt, _ in rows),
        tuple(output for _, _, output in rows),
        {metric: np.array(values) for metric, values in measured_ms.items()},
    )


def test_a_lone_request_pays_its_prefill_and_its_steps() -> None:
    replayed = replay(server(), requests((0, 50, 3)))
    # 10 + 5 ms for the prompt, two steps of 10.1 ms
    assert replayed.first_ps.tolist() == [15 * MS]
    assert replayed.ended_ps.tolist() == [35 * MS + 200_000_000]
    assert replayed.simulated_ms["tpot"].tolist() == [10.1]


def test_an_answer_of_one_token_has_no_tpot() -> None:
    assert np.isnan(replay(server(), requests((0, 50, 1))).simulated_ms["tpot"][0])


def test_waiting_counts_from_the_recorded_arrival() -> None:
    # two slots: the third waits until the first two have ended, 20 + 10.2 ms after the start
    replayed = replay(server(), requests((0, 50, 2), (0, 50, 2), (5, 50, 2)))
    assert replayed.simulated_ms["ttft"].tolist() == [20.0, 20.0, pytest.approx(20 + 10.2 + 15 - 5)]


def test_tokens_that_were_cached_need_no_prefill() -> None:
    recorded = replace(requests((0, 50, 3), (100, 50, 3)), cached_tokens=(0, 30))
    # the second computes 20 of its 50 tokens
    assert replay(server(), recorded).simulated_ms["ttft"].tolist() == [15.0, 12.0]


@pytest.mark.parametrize("engine", ["step", "fast"])
def test_after_a_preemption_a_vllm_node_computes_what_its_cache_has_lost(engine: str) -> None:
    """Six blocks of ten tokens. Two requests of 20 tokens grow to 30 each; the second gives way to the first,

    which takes two of its three blocks until it ends. The second then computes 31 tokens, but those ten.
    """
    batching = BATCHING | {"block_size": 10}
    card = CARD | {"kv_pool_tokens": 60}
    ended_ms = [
        replay(
            bare_node(card, context_tokens=45, batching=batching | {"enable_prefix_caching": caching}),
            requests((0, 20, 25), (0, 20, 25)),
            engine=engine,
        )
        .simulated_ms["e2e"]
        .tolist()
        for caching in (True, False)
    ]
    # 14 ms for both prompts, ten steps of 10.2 ms with both, 14 of 10.1 ms with the first alone
    first_ms = 14 + 10 * 10.2 + 14 * 10.1
    assert ended_ms[0][0] == ended_ms[1][0] == pytest.approx(first_ms)
    # then its prefill, which makes its twelfth token, and 13 steps alone
    assert ended_ms[0][1] == pytest.approx(first_ms + 12.1 + 13 * 10.1)
    assert ended_ms[1][1] == pytest.approx(first_ms + 13.1 + 13 * 10.1)
    assert bare_node(card, context_tokens=45).models["model"].batching.enable_prefix_caching


def test_rows_need_not_be_in_order_of_arrival() -> None:
    replayed = replay(server(), requests((100, 50, 2), (0, 50, 2)))
    assert replayed.first_ps.tolist() == [115 * MS, 15 * MS]


def test_the_platform_gives_the_stamps_of_the_bare_kernel() -> None:
    rng = np.random.default_rng(3)
    arrivals = np.cumsum(rng.integers(0, 40, 200))
    prompts, outputs = rng.integers(1, 400, 200), rng.integers(1, 60, 200)
    recorded = requests(*zip(arrivals.tolist(), prompts.tolist(), outputs.tolist(), strict=True))
    replayed = replay(server(), recorded, engine="step")
    sequences = drive(recorded)
    assert replayed.first_ps.tolist() == [sequence.first_ps for sequence in sequences]
    assert replayed.ended_ps.tolist() == [sequence.last_ps for sequence in sequences]
    assert replay(server(), recorded, engine="fast").ended_ps.tolist() == replayed.ended_ps.tolist()


def drive(recorded: RecordedRequests) -> list[Sequence]:
    """The kernel alone, without a platform around it."""
    hardware = server().models["model"].build_hardware()
    kernel = StepEngine(BatchLimits(2, 100, 16, 10_000 // 16), hardware.step_time)
    sequences = [
        Sequence(number, prompt, output)
        for number, (prompt, output) in enumerate(
            zip(recorded.prompt_tokens, recorded.output_tokens, strict=True)
        )
    ]
    pending = list(zip(recorded.arrival_ps, sequences, strict=True))
    due: int | None = None
    while pending or due is not None:
        if pending and (due is None or pending[0][0] <= due):
            at_ps, sequence = pending.pop(0)
            due = kernel.add(at_ps, sequence)
        else:
            assert due is not None
            due = kernel.boundary(due).next_ps
    return sequences


def test_a_scenarios_network_and_place_take_part() -> None:
    far = server()
    places = {"beside": {"kind": "custom", "rtt_ms": 0.0}, "far": {"kind": "custom", "rtt_ms": 20.0}}
    raw = far.model_dump(mode="json", exclude_unset=True) | {"network": {"places": places}}
    far = Scenario.model_validate(raw)
    near_ps = replay(far, requests((0, 50, 2)), place="beside").first_ps[0]
    # TCP, TLS 1.3 and the request itself: three round trips
    assert replay(far, requests((0, 50, 2)), place="far").first_ps[0] == near_ps + 60 * MS
    with pytest.raises(ValueError, match="which place is meant\\? choose from beside, far"):
        replay(far, requests((0, 50, 2)))
    with pytest.raises(ValueError, match="there is no model 'gpt': choose from model"):
        replay(far, requests((0, 50, 2)), model="gpt", place="far")


def test_a_request_that_the_platform_refuses_is_named() -> None:
    with pytest.raises(ValueError, match=r"request 1 of rows\.csv was refused"):
        replay(server(), requests((0, 50, 2), (0, 990, 20)))


# Errors


def test_errors_are_shares_of_the_measured_values() -> None:
    recorded = requests((0, 1, 3), (0, 1, 3), ttft=[10.0, 40.0], e2e=[100.0, float("nan")])
    sent_ps, ended_ps = np.array([0, 0]), np.array([90 * MS, 90 * MS])
    replayed = Replayed(recorded, sent_ps, np.array([12 * MS, 30 * MS]), ended_ps)
    ttft, e2e = compare(replayed)
    assert (ttft.metric, ttft.requests, e2e.metric, e2e.requests) == ("ttft", 2, "e2e", 1)
    assert ttft.mean_error == pytest.approx(21 / 25 - 1)  # means 21 and 25 ms
    assert ttft.mape == pytest.approx((0.20 + 0.25) / 2)
    assert e2e.mape == pytest.approx(0.10)
    # medians 21 and 25 ms; p90 0.9 of the way from 12 to 30 and from 10 to 40
    assert ttft.quantile_errors[0] == pytest.approx(21 / 25 - 1)
    assert ttft.quantile_errors[1] == pytest.approx(28.2 / 37 - 1)
    assert "-16.0 %" in comparison_text([ttft])


# Files

HEADER = "input_toks,output_toks,arrival_s,ttft_ms,tpot_ms,e2e_ms\n"


def recorded_file(folder: Path, text: str) -> Path:
    path = folder / "recorded.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_recording_is_read_with_times_from_its_first_arrival(tmp_path: Path) -> None:
    text = "prompt_tokens,output_tokens,arrival_ms,ttft_s,tpot_ms\n10,2,5500,0.25,7\n20,1,5000,0.5,\n"
    recorded = read_recorded(recorded_file(tmp_path, text))
    assert recorded.arrival_ps == (0, 500 * MS)
    assert recorded.measured_ms["ttft"].tolist() == [500, 250]
    assert np.isnan(recorded.measured_ms["tpot"][0])
    assert recorded.measured_ms["tpot"][1] == 7


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ("0,5,0,1,1,1", "line 2: input_toks is '0', expected a whole number of tokens from 1 on"),
        ("5,x,0,1,1,1", "line 2: output_toks is 'x', expected a whole number"),
        ("5,5,-1,1,1,1", "line 2: arrival_s is -1, expected a time from 0 on"),
        ("5,5,0,soon,1,1", "line 2: ttft_ms is 'soon', expected a time"),
        ("5,5,0,1,1", "line 2: 5 fields, the header has 6"),
        ('5,5,0,1,1,"1', "line 2: not CSV"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, row: str, sentence: str) -> None:
    path = recorded_file(tmp_path, HEADER + row + "\n")
    with pytest.raises(MeasuredError) as told:
        read_recorded(path)
    assert str(told.value).startswith(f"{path} {sentence}")


def test_a_prompt_is_never_cached_to_its_last_token(tmp_path: Path) -> None:
    header = "input_toks,output_toks,arrival_s,ttft_ms,cached_toks\n"
    assert read_recorded(recorded_file(tmp_path, header + "50,5,0,1,49\n")).cached_tokens == (49,)
    with pytest.raises(MeasuredError, match="line 2: cached_toks is 50, expected less than the 50 tokens of"):
        read_recorded(recorded_file(tmp_path, header + "50,5,0,1,50\n"))


def test_a_bad_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MeasuredError, match="No such file"):
        read_recorded(tmp_path / "missing.csv")
    with pytest.raises(MeasuredError, match="holds no requests"):
        read_recorded(recorded_file(tmp_path, HEADER))
    with pytest.raises(MeasuredError, match="line 1: no column for the arrival"):
        read_recorded(recorded_file(tmp_path, "input_toks,output_toks\n"))
    with pytest.raises(MeasuredError, match="nothing measured to compare with"):
        read_recorded(recorded_file(tmp_path, "input_toks,output_toks,arrival_s\n1,1,0\n"))


# The command


def test_the_command_prints_a_row_per_metric(tmp_path: Path) -> None:
    path = recorded_file(tmp_path, HEADER + "500,20,0,50,20,400\n300,30,0.1,60,20,700\n")
    options = [str(path), "--hardware", "rtx_pro_6000_vllm", "--host-ms", "0", "--max-num-seqs", "8"]
    text, data = e80sim("validate", options), e80sim("validate", [*options, "--json"])
    assert (text.exit_code, data.exit_code) == (0, 0), text.stderr
    assert [line.split()[0] for line in text.stdout.splitlines()] == ["metric", "TTFT", "TPOT", "E2E"]
    metrics = json.loads(data.stdout)["metrics"]
    assert [(row["metric"], row["requests"]) for row in metrics] == [("ttft", 2), ("tpot", 2), ("e2e", 2)]


def test_the_command_takes_a_scenario(tmp_path: Path) -> None:
    path = recorded_file(tmp_path, HEADER + "100,20,0,20,0.07,25\n")
    scenario = Path(__file__).parents[3] / "scenarios" / "rate-limits.yaml"
    result = e80sim("validate", [str(path), "--scenario", str(scenario)])
    assert result.exit_code == 0, result.stderr
    assert "TPOT" in result.stdout


@pytest.mark.parametrize(
    ("rows", "reasons"),
    [
        ("500,20,0,,,\n", ["TTFT above 0", "TPOT above 0", "E2E above 0"]),
        ("500,20,0,0,0,0\n", ["TTFT above 0", "TPOT above 0", "E2E above 0"]),
        ("500,1,0,,20,\n", ["TTFT above 0", "TPOT has an answer of two tokens or more", "E2E above 0"]),
    ],
    ids=["empty", "zero", "one token"],
)
def test_nothing_to_compare_is_a_mistake(tmp_path: Path, rows: str, reasons: list[str]) -> None:
    path = recorded_file(tmp_path, HEADER + rows)
    result = e80sim("validate", [str(path), "--hardware", "rtx_pro_6000_vllm"])
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert result.stderr.startswith(f"e80sim: {path}: nothing to compare: ")
    for reason in reasons:
        assert reason in result.stderr


def test_a_metric_that_no_request_has_is_told_beside_the_others(tmp_path: Path) -> None:
    path = recorded_file(tmp_path, HEADER + "500,20,0,50,,400\n")
    result = e80sim("validate", [str(path), "--hardware", "rtx_pro_6000_vllm"])
    assert [line.split()[0] for line in result.stdout.splitlines()] == ["metric", "TTFT", "E2E"]
    assert result.stderr == "not compared: no request has a measured TPOT above 0\n"


def test_settings_go_over_the_one_node(tmp_path: Path) -> None:
    path = recorded_file(tmp_path, HEADER + "500,20,0,50,20,400\n")
    options = [str(path), "--hardware", "rtx_pro_6000_vllm", "--json"]
    ttft_ms = []
    for settings in (
        [],
        ["--set", "hardware.t_fixed_ms=1000"],
        ["--set", "batching.max_num_batched_tokens=250"],
    ):
        result = e80sim("validate", [*options, *settings])
        assert result.exit_code == 0, result.stderr
        ttft_ms.append(json.loads(result.stdout)["metrics"][0]["simulated_mean_ms"])
    assert ttft_ms[1] > ttft_ms[0] + 900
    assert ttft_ms[2] > 1.2 * ttft_ms[0]  # two steps for its prompt
    wrong = e80sim("validate", [*options, "--set", "batching.max_num_sqs=3"])
    assert wrong.exit_code == 2
    assert "max_num_sqs" in wrong.stderr


def test_columns_that_nobody_reads_are_named(tmp_path: Path) -> None:
    text = "input_toks,output_toks,arrival_s,ttft_ms,queue_ms,note\n100,20,0,20,3,x\n"
    result = e80sim("validate", [str(recorded_file(tmp_path, text)), "--hardware", "rtx_pro_6000_vllm"])
    assert result.exit_code == 0
    assert result.stderr.splitlines()[0] == "Columns not used: queue_ms, note."


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ([], "the server is either --scenario FILE or --hardware ENTRY"),
        (["--hardware", "hc1", "--scenario", "x.yaml"], "the server is either"),
        (["--hardware", "hc2"], "models.model.hardware: no hardware preset 'hc2'; did you mean hc1"),
        (["--hardware", "hc1", "--max-num-seqs", "9"], "max_num_seqs 9 is more than the chip has: at most 1"),
        (
            ["--hardware", "hc1", "--kv-pool-tokens", "100"],
            "a context of 520 tokens does not fit the KV pool",
        ),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(tmp_path: Path, options: list[str], sentence: str) -> None:
    path = recorded_file(tmp_path, HEADER + "500,20,0,50,20,400\n")
    result = e80sim("validate", [str(path), *options])
    assert result.exit_code == 2
    assert result.stderr.startswith(f"e80sim: {sentence}")
    assert result.stderr.count("\n") == 1


# The bounds


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    folder = os.environ.get("E80SIM_DATA")
    if not folder:
        pytest.skip("E80SIM_DATA is not set: the raw measurements are not part of the repository")
    return gather(Path(folder))


@pytest.mark.parametrize("form", ["r6b", "table"])
def test_300_vllm_requests_replay_within_their_bounds_without_host_time(
    evidence: Evidence, form: str
) -> None:
    rows = {row.metric: row for row in evidence.replays[form, 0.0]}
    assert {row.requests for row in rows.values()} == {300}
    assert rows["tpot"].mape <= 0.04
    assert rows["e2e"].mape <= 0.04
    assert abs(rows["ttft"].mean_error) <= 0.10
    assert rows["ttft"].mape <= 0.09


@pytest.mark.parametrize("preset", ["hc1", "hc1_pipelined"])
def test_hc1_replies_of_19_tokens_and_more_come_within_3_and_15_percent(
    evidence: Evidence, preset: str
) -> None:
    errors = evidence.hc1[preset]
    assert errors.rows == 7
    assert abs(errors.worst_decode) <= 0.03
    assert abs(errors.worst_ttft) <= 0.15


def test_every_check_stands_on_the_page_which_none_fails(evidence: Evidence) -> None:
    assert len(evidence.checks) == 14
    assert [check.what for check in evidence.checks if not check.passed] == []
    page = (DOCS / "validation.md").read_text(encoding="utf-8")
    for check in evidence.checks:
        assert f"| {check.what} |" in page
    assert "FAIL" not in page


def test_the_page_is_what_the_evidence_gives(evidence: Evidence) -> None:
    """Words for word; figures may differ in their last digit, as fits do between machines."""
    committed = (DOCS / "validation.md").read_text(encoding="utf-8").splitlines()
    words = [_words(line) for line in committed]
    for part in docs_validate().unloaded(evidence):
        fresh = [_words(line) for line in part.splitlines()]
        first = words.index(fresh[0])
        assert words[first : first + len(fresh)] == fresh


def test_closed_loops_come_within_3_percent_and_no_row_is_further_off_than_8() -> None:
    folder = os.environ.get("E80SIM_DATA")
    if not folder:
        pytest.skip("E80SIM_DATA is not set: the raw measurements are not part of the repository")
    tpot = loop_errors(gather_loops(Path(folder, "calibration")).tensorrt)["tpot"]
    assert tpot.rows == 42
    assert tpot.mape <= 0.03
    assert abs(tpot.worst) <= 0.08


DOCS = Path(__file__).parents[3] / "docs"


@pytest.mark.parametrize(
    ("made", "same"),
    [
        ("12/s: p99 -4.0 % of 4 % | 20 ms", True),
        ("12/s: p99 -4.3 % of 4 % | 20 ms", False),
        ("12/s: p99 -2.7 % of 5 % | 20 ms", False),
        ("12/s: p99 -2.7 % of 4 % | 21 ms", False),
        ("12/s: p99 -2.7 % of 4 % | 20 ms, 1.0 %", False),
    ],
)
def test_a_page_stays_that_another_processor_would_write_a_little_differently(made: str, same: bool) -> None:
    assert docs_validate().says_the_same("12/s: p99 -2.7 % of 4 % | 20 ms", made) is same


def docs_validate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_validate", DOCS / "validate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _words(line: str) -> list[str]:
    return "".join(" " if character in "0123456789.,+-" else character for character in line).split()
