from collections.abc import Iterator
from itertools import islice, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwmodels.hardwired_asic import HardwiredAsic
from reports.run_directory import read
from reports.uncertainty import Study, uncertainty_json
from sim.__main__ import main
from sim.network import Network
from sim.run.replications import Outcome, Task, outcomes_of
from sim.run.report_context import facts
from sim.run.uncertainty import Uncertain, draw, latin_hypercube, ranges_of, study
from sim.scenario.load import Plan
from sim.scenario.schema import Scenario
from sim.workers.executor import Tell
from tests.support.study import plan_of, results_of

CHIP = """
kind: hardwired_asic
title: A chip whose speed is known to a fifth
values:
  prefill_ms_per_token: {value: 10, source: judgement, confidence: assumed, low: 8, high: 12}
  decode_step_ms: {value: 5, source: a clock, confidence: measured, low: 4, high: 6}
  decode_ms_per_kv_token: {value: 0, source: none seen, confidence: assumed}
  request_overhead_ms: {value: 0, source: none seen, confidence: assumed}
  prefill_fixed_ms: {value: 0, source: none seen, confidence: assumed}
  overhead_holds_slot: {value: true, source: judgement, confidence: assumed}
  max_concurrent_sequences: {value: 1, source: judgement, confidence: assumed}
  kv_pool_tokens: {value: 2000, source: judgement, confidence: assumed, low: 1500, high: 2500}
"""

QUEUE = """
name: uncertain-queue
models:
  m:
    id: m
    llm: llama3.1-8b
    hardware: {{kind: hardwired_asic, preset: {chip}}}
    context_tokens: 1000
network:
  places:
    here: {{kind: custom, rtt_ms: 0}}
traffic:
  callers:
    place: here
    model: m
    arrivals: {{kind: poisson, rate_per_s: 5}}
    lengths:
      prompt: {{kind: fixed, tokens: 10}}
      output: {{kind: fixed, tokens: 1}}
run: {{horizon_s: 200, warm_up_s: 20, replications: 3, seed: 1917}}
variants:
  busy: {{}}
  calm: {{set: {{traffic.callers.arrivals.rate_per_s: 2}}}}
"""


def queue(folder: Path, chip: str = CHIP, *setting: str) -> Plan:
    (folder / "chip.yaml").write_text(chip, encoding="utf-8")
    return plan_of(QUEUE.format(chip=folder / "chip.yaml"), folder, setting)


def studied(plan: Plan, draws: int, jobs: int = 1) -> Study:
    results = results_of(plan)
    return study(plan, results, draw(plan, draws), jobs=jobs, engine="fast", tell=lambda _share, _note: None)


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return uncertainty_json(studied(queue(tmp_path_factory.mktemp("queue")), 20))


def test_the_band_of_an_m_d_1_queue_follows_the_closed_form(known: Any) -> None:
    # S = 10 tokens x (8 to 12) ms, and 5 to 95 % of that range is 0.082 to 0.118 s. With l = 5/s the mean
    # stay S + l S^2 / (2 (1 - l S)) is 0.082 + 0.02849 = 0.1105 s, in the middle 0.1 + 0.05 = 0.15 s, and
    # 0.118 + 0.08490 = 0.2029 s. At l = 2/s: 0.0900 s, 0.1125 s, 0.1362 s.
    (busy,), (calm,) = known["bands"]["busy"], known["bands"]["calm"]
    felt = busy["metric"]["felt"]["mean"]
    assert felt["low"] == pytest.approx(0.1105, rel=0.05)
    assert felt["median"] == pytest.approx(0.15, rel=0.05)
    assert felt["high"] == pytest.approx(0.2029, rel=0.07)
    felt = calm["metric"]["felt"]["mean"]
    assert felt["low"] == pytest.approx(0.0900, rel=0.03)
    assert felt["high"] == pytest.approx(0.1362, rel=0.03)


def test_a_difference_is_narrower_than_what_it_is_made_of(known: Any) -> None:
    # Both share S: the difference of the two forms above is -0.0205 s, -0.0375 s, -0.0667 s.
    (found,) = known["differences"]["calm"]
    felt = found["metric"]["felt"]["mean"]
    assert felt["high"] == pytest.approx(-0.0205, rel=0.15)
    assert felt["low"] == pytest.approx(-0.0667, rel=0.15)


def test_the_service_time_matters_most_and_nearly_alone(known: Any) -> None:
    (found,) = known["tornado"]["busy"]
    assert (found["metric"], found["statistic"]) == ("felt", "p95")
    first, *others = found["rows"]
    assert (first["name"], first["model"]) == ("prefill_ms_per_token", "m")
    assert first["spearman"] > 0.99
    assert first["swing"] > 0.05
    assert all(abs(one["spearman"]) < 0.7 for one in others)


def test_only_derived_and_assumed_values_with_a_range_are_drawn(known: Any) -> None:
    chip = [(one["name"], one["low"], one["high"]) for one in known["values"] if one["model"] == "m"]
    assert sorted(chip) == [("kv_pool_tokens", 1500, 2500), ("prefill_ms_per_token", 8, 12)]
    assert "decode_ms_per_kv_token of m" in known["unbounded"]
    assert not any("decode_step_ms" in name for name in known["unbounded"])


def test_a_value_that_the_scenario_states_is_certain(tmp_path: Path) -> None:
    plan = queue(tmp_path, CHIP, "models.m.hardware.prefill_ms_per_token=10")
    names = {one.name for one in ranges_of(plan.variants).uncertain}
    assert "prefill_ms_per_token" not in names
    assert "kv_pool_tokens" in names


def chip_of(scenario: Scenario) -> HardwiredAsic:
    hardware = scenario.models["m"].hardware
    assert isinstance(hardware, HardwiredAsic)
    return hardware


def test_a_variant_that_states_a_value_keeps_it_in_every_draw(tmp_path: Path) -> None:
    setting = "variants.calm.set={models.m.hardware.prefill_ms_per_token: 9}"
    for variants in draw(queue(tmp_path, CHIP, setting), 5).scenarios:
        assert chip_of(variants["calm"]).prefill_ms_per_token == 9
        assert chip_of(variants["busy"]).prefill_ms_per_token != 9


def test_both_variants_have_the_same_draw_and_whole_numbers_stay_whole(tmp_path: Path) -> None:
    drawn = draw(queue(tmp_path), 6)
    for variants in drawn.scenarios:
        busy, calm = (chip_of(variants[name]) for name in ("busy", "calm"))
        assert busy == calm
        assert isinstance(busy.kv_pool_tokens, int)
        assert variants["busy"].network.values == variants["calm"].network.values
    assert len({chip_of(variants["busy"]).kv_pool_tokens for variants in drawn.scenarios}) == 6


def test_values_of_the_network_are_drawn_where_a_path_rests_on_them(tmp_path: Path) -> None:
    plan = queue(tmp_path, CHIP, "network.places.here={kind: edge}")
    drawn = draw(plan, 5)
    names = {one.name for one in drawn.ranges.uncertain if one.hardware is None}
    assert {"fabric.rtt_floor_ms", "dns_lookup.edge_ms", "transport.noise_share"} <= names
    assert not any(name.startswith("cable") for name in names)
    floors = [variants["busy"].network.values["fabric.rtt_floor_ms"] for variants in drawn.scenarios]
    assert all(0.01 <= floor <= 0.05 for floor in floors)


def test_draws_do_not_depend_on_the_number_of_processes(tmp_path: Path) -> None:
    plan = queue(tmp_path, CHIP, "run.horizon_s=30")
    one, two = studied(plan, 5, jobs=1), studied(plan, 5, jobs=2)
    assert one.results == two.results
    assert np.array_equal(one.values, two.values)


def test_a_range_that_reaches_where_nothing_can_run_is_refused(tmp_path: Path) -> None:
    chip = CHIP.replace("low: 1500", "low: 10")
    with pytest.raises(ValueError, match=r"does not fit the KV pool of `m`.*or state that value"):
        draw(queue(tmp_path, chip), 20)


def test_an_interrupt_keeps_the_complete_draws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A draw is 2 variants x 3 replications, so of 16 outcomes 2 draws are complete."""

    def cut_short(tasks: list[Task], jobs: int, tell: Tell) -> Iterator[Outcome]:
        return islice(outcomes_of(tasks, jobs, tell), 16)

    monkeypatch.setattr("sim.run.uncertainty.outcomes_of", cut_short)
    made = studied(queue(tmp_path, CHIP, "run.horizon_s=30"), 5)
    assert made.draws == len(made.values) == 2
    assert uncertainty_json(made)["notes"][0] == "The draws were interrupted: these are 2 of 5."


def test_the_command_writes_every_draw_and_what_came_of_it(tmp_path: Path) -> None:
    queue(tmp_path)
    options = ["--horizon", "30", "--uncertainty", "5", "--jobs", "1", "--no-report", "--quiet"]
    assert main(["run", str(tmp_path / "scenario.yaml"), "--out", str(tmp_path / "run"), *options]) == 0
    found = read(tmp_path / "run")
    assert found.summary is not None
    assert found.uncertainty is not None
    assert found.summary["uncertainty"]["draws"] == found.uncertainty.num_rows == 5
    felt = np.sort(found.uncertainty["result/busy/callers/felt/mean"].to_numpy())
    speed = np.sort(found.uncertainty["value/m/prefill_ms_per_token"].to_numpy())
    (entry,) = found.summary["uncertainty"]["bands"]["busy"]
    # 5 % of the way through 5 draws: a fifth of the gap between the first two.
    assert entry["metric"]["felt"]["mean"]["low"] == pytest.approx(felt[0] + 0.2 * (felt[1] - felt[0]))
    assert all(8 + 0.8 * i <= value <= 8.8 + 0.8 * i for i, value in enumerate(speed.tolist()))


def test_a_wide_range_is_drawn_by_orders_of_magnitude() -> None:
    wide, narrow = (Uncertain("x", 1.0, high, "assumed") for high in (100.0, 10.0))
    assert wide.at(0.5) == pytest.approx(10)
    assert narrow.at(0.5) == pytest.approx(5.5)
    assert Uncertain("x", 0.0, 100.0, "assumed").at(0.5) == 50


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(0, 6), st.integers(0, 1000))
def test_each_value_has_one_draw_in_each_part_of_its_range(draws: int, values: int, seed: int) -> None:
    shares = latin_hypercube(np.random.default_rng(seed), draws, values)
    assert shares.shape == (draws, values)
    for column in shares.T:
        assert sorted(int(share * draws) for share in column) == list(range(draws))


def test_the_columns_of_a_hypercube_are_shuffled_apart() -> None:
    shares = latin_hypercube(np.random.default_rng(5), 200, 4)
    for a, b in product(range(4), repeat=2):
        if a < b:
            assert abs(np.corrcoef(shares[:, a], shares[:, b])[0, 1]) < 0.25


FAR = QUEUE.replace(
    "here: {{kind: custom, rtt_ms: 0}}", "here: {{kind: region, region: aws:ap-southeast-6}}"
).replace("network:", "network:\n  site: aws:us-west-2")
PAIR = "aws:ap-southeast-6 to aws:us-west-2.rtt_floor_ms"


def far(folder: Path, *setting: str) -> Plan:
    (folder / "chip.yaml").write_text(CHIP, encoding="utf-8")
    return plan_of(FAR.format(chip=folder / "chip.yaml"), folder, setting)


def test_the_round_trip_of_a_predicted_pair_is_drawn_from_its_band(tmp_path: Path) -> None:
    # New Zealand to Oregon: 136.2 ms, and 9 of 10 such predictions are wrong by -26.7 to +31.6 ms; the lower
    # end would be faster than light in fibre, which takes 110.5 ms.
    plan = far(tmp_path)
    (found,) = [one for one in ranges_of(plan.variants).uncertain if one.name == PAIR]
    assert (found.low, found.high, found.confidence) == (110.5, 167.8, "derived")
    drawn = draw(plan, 8)
    column = drawn.ranges.uncertain.index(found)
    for row, variants in zip(drawn.values, drawn.scenarios, strict=True):
        for one in variants.values():
            assert Network(one.network).path("here").hops[0].rtt_floor_ms == pytest.approx(row[column])
    assert drawn.values[:, column].min() < 118
    assert drawn.values[:, column].max() > 160


def test_a_stated_pair_is_certain_and_a_measured_one_too(tmp_path: Path) -> None:
    for setting in (f"network.values={{{PAIR}: 130}}", "network.places.here.region=aws:us-east-1"):
        names = {one.name for one in ranges_of(far(tmp_path, setting).variants).uncertain}
        assert not any(" to " in name for name in names)


def test_the_report_and_check_name_a_predicted_pair_with_its_band(tmp_path: Path, capsys: Any) -> None:
    plan = far(tmp_path)
    rows = facts(plan, ("busy",))["assumed"]
    (row,) = [row for row in rows if row["confidence"] == "derived"]
    assert row["what"] == "aws:ap-southeast-6 to aws:us-west-2: rtt_floor_ms"
    assert "110.5 to 167.8 ms in 9 of 10 such cases" in row["source"]
    file = tmp_path / "far.yaml"
    file.write_text(FAR.format(chip=tmp_path / "chip.yaml"), encoding="utf-8")
    assert main(["check", str(file)]) == 0
    assert f"state `network.values: {{{PAIR}: ...}}`" in capsys.readouterr().out
