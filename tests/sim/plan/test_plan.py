"""Plans from the command line: by hand, against all values, with other executors, interrupted, refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import pytest

from reports.targets import PASS
from sim.__main__ import main
from sim.plan.judging import held, verdict_of
from sim.plan.question import Question
from sim.study import sweep as sweeping
from sim.study import sweep_cli
from sim.study.cell import simulated
from sim.workers import interrupt
from sim.workers.executor import Ended, Tell, Work
from sim.workers.here import Here

ONE_SLOT = """\
name: one-slot
models:
  m:
    id: m
    llm: llama3.1-8b
    hardware: {kind: hardwired_asic, preset: hc1, decode_step_ms: 10, max_concurrent_sequences: 1,
      kv_pool_tokens: 4000, request_overhead_ms: 0, prefill_ms_per_token: 0, busy_w: 100,
      usd_per_1m_tokens: 1}
    context_tokens: 2000
    routing: random
network:
  tls: none
  places: {here: {kind: custom, rtt_ms: 0}}
traffic:
  s:
    place: here
    model: m
    arrivals: {kind: poisson, rate_per_s: 20}
    lengths: {prompt: {kind: fixed, tokens: 1}, output: {kind: fixed, tokens: 11}}
run: {horizon_s: 10, warm_up_s: 1, replications: 2}
"""
"""Each node is an M/D/1 queue: a request takes it for 100 ms, and chance deals 20 a second out evenly."""
LONG = ("--set", "run.horizon_s=40", "--set", "run.replications=3")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "one-slot.yaml").write_text(ONE_SLOT, encoding="utf-8")
    return tmp_path / "one-slot.yaml"


def planned(file: Path, *options: str, out: str = "out", jobs: str = "1") -> int:
    quiet = ("--quiet", "--jobs", jobs, "--no-report")
    return main(["plan", str(file), "--out", str(file.parent / out), *quiet, *options])


def result(file: Path, out: str = "out") -> Any:
    return json.loads((file.parent / out / "plan.json").read_text(encoding="utf-8"))


def seen(plan: Any, line: int = 0) -> dict[Any, str]:
    """By value that was simulated, its verdict."""
    values = plan["lines"][line]["values"]
    return {one["value"]: one["simulated"]["verdict"] for one in values if one["simulated"]}


@pytest.fixture
def simulations(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What is simulated."""
    done: list[object] = []

    def counted(task: Any, tell: Tell) -> object:
        done.append(task)
        return simulated(task, tell)

    monkeypatch.setattr(sweeping, "simulated", counted)
    return done


def test_the_fewest_m_d_1_queues_by_hand(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # n queues are used to 2/n. The mean wait of M/D/1 is u / (2 (1 - u)) x 100 ms: 100 ms with 3 queues, 50
    # with 4, 33 with 5. So the mean end-to-end time is 200, 150 and 133 ms, and 175 take 4.
    options = ("--objective", "e2e_mean_ms<=175", "--vary", "models.m.nodes=3:5", "--no-headroom")
    assert planned(file, *LONG, *options) == 0
    plan = result(file)
    line = plan["lines"][0]
    assert (plan["direction"], line["answer"], line["disorders"]) == ("smallest", 1, [])
    assert {value: seen(plan)[value] for value in (3, 4, 5)} == {3: "fail", 4: "pass", 5: "pass"}
    means = {one["value"]: one["simulated"]["held"][0]["value"] for one in line["values"] if one["simulated"]}
    assert means[3] == pytest.approx(200, rel=0.12)
    assert means[4] == pytest.approx(150, rel=0.06)
    assert means[5] == pytest.approx(133.3, rel=0.05)
    # As one M/D/3 queue the closed form takes the wait for a quarter of that, and finds 3 enough.
    assert line["values"][line["by_closed_form"]]["value"] == 3
    text = " ".join(capsys.readouterr().out.split())
    assert text.startswith("nodes 4 is the smallest value of models.m.nodes that meets e2e_mean_ms<=175")
    assert "By the closed form nodes 3 would do (slots (max_num_seqs) binds first, at 1.5" in text
    assert "by the closed form, in which all nodes share a queue" in text


def test_the_answer_is_that_of_looking_at_every_value(file: Path) -> None:
    options = ("--objective", "e2e_mean_ms<=300", "--vary", "models.m.nodes=2:6", "--no-headroom")
    assert planned(file, *options, "--max-replications", "2") == 0
    line = result(file)["lines"][0]
    question = Question.read(file, ["models.m.nodes=2:6"], ["e2e_mean_ms<=300"], [])
    met = []
    for value in question.values:
        cell = question.cell(question.choices[0], value, 2)
        found = simulated(cell.task("fast"), lambda _share, _note: None)
        assert found is not None
        met.append(verdict_of(held(question.targets, found, "base")) == PASS)
    assert line["answer"] == met.index(True)


def test_more_is_worse_for_an_arrival_rate(file: Path) -> None:
    # One queue: 100 ms (1 + u / (2 (1 - u))) is at most 150 ms for u up to a half, 5 a second.
    options = ("--objective", "e2e_mean_ms<=150", "--vary", "traffic.s.arrivals.rate_per_s=1,3,9")
    assert planned(file, *options) == 0
    plan = result(file)
    line = plan["lines"][0]
    assert (plan["direction"], line["values"][line["answer"]]["value"]) == ("largest", 3)
    assert seen(plan) == {1: "pass", 3: "pass", 9: "fail"}


class LastFirst:
    """Takes four tasks, and ends the last of them first, as another number of processes might."""

    places = 4

    def __init__(self) -> None:
        self._given: list[tuple[int, Work, object]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None: ...

    def submit(self, number: int, work: Work, task: object) -> None:
        self._given.append((number, work, task))

    def ended(self, tell: Callable[[int, float], None]) -> Ended:
        here = Here()
        here.submit(*self._given.pop())
        return here.ended(tell)


def test_who_does_the_work_changes_no_byte(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hardware = "models.m.hardware.decode_step_ms=10,8"
    options = ("--objective", "e2e_mean_ms<=300", "--vary", "models.m.nodes=3:5", "--vary", hardware)
    assert planned(file, *options, "--no-headroom") == 0
    monkeypatch.setattr(sweep_cli, "executor_of", lambda *_: LastFirst())
    assert planned(file, *options, "--no-headroom", out="other") == 0
    one, other = (file.parent / name / "plan.json" for name in ("out", "other"))
    assert one.read_bytes() == other.read_bytes()


def test_choices_are_compared_by_what_they_cost(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    choices = "models.m.hardware.usd_per_1m_tokens=3,2"
    # The first field of numbers is searched: nodes. Both prices take as many, and 2 is less than 3.
    varied = ("--vary", "models.m.nodes=4:5", "--vary", choices, "--max-replications", "2")
    assert planned(file, "--objective", "e2e_mean_ms<=300", *varied) == 0
    plan = result(file)
    assert [line["name"] for line in plan["lines"]] == ["usd_per_1m_tokens 2", "usd_per_1m_tokens 3"]
    assert plan["best"] == 0
    assert plan["lines"][0]["answer"] == plan["lines"][1]["answer"]
    text = " ".join(capsys.readouterr().out.split())
    assert "is the cheapest of all choices that meets e2e_mean_ms<=300" in text
    # 12 tokens are billed for 11 of output; a node draws 100 W while it works, 0.9 J a token.
    assert "It costs 2.18 USD per million output tokens" in text
    assert "usd_per_1m_tokens 3, nodes" in text
    # 300 ms are a mean wait of 200, which a queue has that is used to 0.8: 1.6 times as much as by 20.
    line = plan["carries"]["line"]
    assert plan["carries"]["arrivals_per_s"] == 20
    assert 1.2 < line["values"][line["answer"]]["value"] < 1.8
    assert [value["value"] for value in line["values"]] == sorted(
        (value["value"] for value in line["values"]), reverse=True
    )


@pytest.mark.parametrize("twice", [True, False])
def test_what_was_simulated_is_not_simulated_again_after_an_interrupt(
    file: Path,
    simulations: list[object],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    twice: bool,
) -> None:
    options = ("--objective", "e2e_mean_ms<=300", "--vary", "models.m.nodes=3:5", "--no-headroom")
    assert planned(file, *options, out="whole") == 0
    count = len(simulations)

    def interrupted(task: Any, tell: Tell) -> object:
        if len(simulations) == count + 1:
            if twice:  # who presses ctrl-C again does not wait for the cell
                raise KeyboardInterrupt
            patched.setattr(interrupt, "_asked", True)
            return simulated(task, tell)
        simulations.append(task)
        return simulated(task, tell)

    with monkeypatch.context() as patched:
        patched.setattr(sweeping, "simulated", interrupted)
        assert planned(file, *options) == 130
    assert "keeps what was simulated, and the same command goes on" in capsys.readouterr().err
    assert planned(file, *options) == 0
    assert len(simulations) == 2 * count
    assert planned(file, *options) == 0
    assert result(file) == result(file, "whole")
    assert len(simulations) == 2 * count


@pytest.mark.parametrize(
    ("vary", "names"),
    [
        ("models.m.hardware.preset=hc1,hc1_pipelined", ["hc1", "hc1_pipelined"]),
        ("models.m.hardware=hc1,{preset: h100_vllm, usd_per_hour: 3}", ["hc1", "h100_vllm"]),
        ("models.m.routing=random,round_robin", ["routing random", "routing round_robin"]),
    ],
)
def test_choices_have_short_names(file: Path, vary: str, names: list[str]) -> None:
    question = Question.read(file, ["models.m.nodes=1:4", vary], ["e2e_mean_ms<=175"], [])
    assert [question.name_of(choice) for choice in question.choices] == names


def test_a_variant_that_sets_what_is_varied_is_refused(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(f"{ONE_SLOT}variants: {{few: {{set: {{models.m.nodes: 2}}}}}}\n", encoding="utf-8")
    assert planned(file, "--objective", "e2e_mean_ms<=175", "--vary", "models.m.nodes=1:4") == 2
    assert "variant `few` sets `models.m.nodes` itself" in capsys.readouterr().err


def test_a_value_of_too_few_requests_gets_more_before_the_search_goes_on(file: Path) -> None:
    # 20 a second for 9 s, twice, are 360 requests, and the interval of a p95 wants 400: 720 have one.
    options = ("--objective", "e2e_p95_ms<=900", "--vary", "models.m.nodes=4:6", "--no-headroom")
    assert planned(file, *options) == 0
    line = result(file)["lines"][0]
    assert line["answer"] == 0
    assert [one["simulated"]["replications"] > 2 for one in line["values"][:2]] == [True, True]


def test_an_objective_that_no_value_meets_says_how_close_it_came(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # With 8 queues a request takes 117 ms, and never less than 100.
    assert planned(file, "--objective", "e2e_mean_ms<=50", "--vary", "models.m.nodes=7:8") == 1
    text = " ".join(capsys.readouterr().out.split())
    assert text.startswith(
        "No value of models.m.nodes from 7 to 8 meets e2e_mean_ms<=50. The nearest is nodes 8:"
    )
    assert "times its limit" in text
    assert result(file)["best"] is None


def test_what_replications_do_not_decide_is_said(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # With 4 queues the mean is 150 ms, just the limit.
    options = ("--objective", "e2e_mean_ms<=150", "--vary", "models.m.nodes=3:4", "--max-replications", "6")
    assert planned(file, *options) == 3
    text = " ".join(capsys.readouterr().out.split())
    assert "No value of models.m.nodes from 3 to 4 surely meets e2e_mean_ms<=150" in text
    assert "More than 6 replications may decide it" in text


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ((), "nothing is varied: say which field may change"),
        (("--vary", "models.m.nodes"), "--vary models.m.nodes: write it as field=values"),
        (("--vary", "models.m.nodes="), "--vary models.m.nodes=: it has no value"),
        (("--vary", "models.m.nodes=4:1"), "4:1 is empty: it goes up"),
        (("--vary", "models.m.node=1:4"), "`models.m.node` is not a known setting; did you mean `nodes`?"),
        (("--vary", "models.x.nodes=1:4"), "there is no model `x`; there are `m`"),
        (("--vary", "models.m.nodes=a,b"), "`models.m.nodes` is 'a': it must be a whole number"),
        (("--vary", "models.m.nodes=1:5000"), "that is 5,000 points with the other fields"),
        (("--vary", "network.places.here.rtt_ms=0,10"), "say --smallest, or --largest"),
        (("--vary", "models.m.nodes=1:4", "--objective", "x: e2e_p95_ms<=1"), "there is no source 'x'"),
        (("--vary", "models.m.nodes=1:4", "--objective", "e2e_p95_ms<=baseline"), "a plan has no baseline"),
        (("--vary", "models.m.nodes=1:4", "--smallest", "--largest"), "say one of them"),
        (
            ("--vary", "models.m.nodes=1:4", "--replications", "3", "--max-replications", "2"),
            "below the 3 that a value has",
        ),
    ],
)
def test_nonsense_is_refused_in_a_sentence(
    file: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], sentence: str
) -> None:
    assert planned(file, "--objective", "e2e_mean_ms<=175", *options) == 2
    told = capsys.readouterr().err
    assert sentence in told
    assert len(told.splitlines()) == 1
