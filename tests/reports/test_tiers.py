"""Objectives of tiers: each source is judged by those of its own, in one run."""

from pathlib import Path
from typing import Any

import pytest

from reports.html import render
from reports.text import summary_table
from sim.callers.origin import ttft_objective_ps
from sim.scenario.source_map import ScenarioError
from sim.time.units import PS_PER_MS
from tests.support.study import plan_of, summary_of

TIERS = """
name: tiers
models:
  m:
    id: m
    llm: llama3.1-8b
    hardware: {kind: hardwired_asic, decode_step_ms: 10, pipeline_depth: 64, max_concurrent_sequences: 8,
      kv_pool_tokens: 4000, request_overhead_ms: 0, prefill_fixed_ms: 0}
    context_tokens: 2000
network:
  tls: none
  places: {here: {kind: custom, rtt_ms: 0}}
traffic:
  fast: {place: here, model: m, tier: gold, arrivals: &calm {kind: constant, rate_per_s: 1},
    lengths: &sizes {prompt: {kind: fixed, tokens: 8}, output: {kind: fixed, tokens: 11}}}
  slow: {place: here, model: m, tier: free, arrivals: *calm, lengths: *sizes}
  plain: {place: here, model: m, arrivals: *calm, lengths: *sizes}
slo:
  ttft_ms: 9
  tiers:
    gold: {ttft_ms: 50, tokens_per_s: 99}
    free: {tokens_per_s: 101}
run: {horizon_s: 20, replications: 2}
"""
"""Nobody meets a full node: a first token after 10 ms, and 100 tokens a second from then on."""


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return summary_of(TIERS, tmp_path_factory.mktemp("tiers"))


def test_each_tier_is_judged_by_objectives_of_its_own(summary: Any) -> None:
    # 10 ms a token: within 1000 / 99 = 10.1, not within 1000 / 101 = 9.9, and the first not within 9.
    found = {one["tier"]: one for one in summary["variants"]["base"]["tiers"]}
    assert {name: one["attainment"]["value"] for name, one in found.items()} == {"gold": 1, "free": 0, "": 0}
    assert found["gold"]["objectives"] == "TTFT ≤ 50 ms, TPOT ≤ 10.101 ms"
    assert found["free"]["objectives"] == "TPOT ≤ 9.90099 ms"
    assert found[""]["objectives"] == "TTFT ≤ 9 ms"
    assert [found[name]["sources"] for name in ("gold", "free", "")] == [["fast"], ["slow"], ["plain"]]


def test_goodput_counts_what_met_the_objectives_of_its_tier(summary: Any) -> None:
    groups = {group["source"]: group for group in summary["variants"]["base"]["groups"]}
    assert {name: group["attainment"]["value"] for name, group in groups.items()} == {
        "fast": 1,
        "slow": 0,
        "plain": 0,
    }
    assert summary["variants"]["base"]["rates"]["attainment"]["value"] == pytest.approx(1 / 3)


def test_text_and_report_tell_each_tier(summary: Any) -> None:
    text = " ".join(summary_table(summary).split())
    assert "tier gold (TTFT ≤ 50 ms, TPOT ≤ 10.101 ms): 100 ±99 %" in text
    assert "no tier (TTFT ≤ 9 ms): 0 ±99 %" in text
    report = render(summary).replace("\N{NO-BREAK SPACE}", " ")
    assert "Attainment of each tier" in report
    assert "Objectives: TTFT ≤ 9 ms; of tier gold TTFT ≤ 50 ms, TPOT ≤ 10.101 ms" in report


def test_without_tiers_nothing_is_said_of_them(tmp_path: Path) -> None:
    plain = TIERS[: TIERS.index("  tiers:")] + "run: {horizon_s: 5, replications: 1}\n"
    found = summary_of(plain, tmp_path)
    assert "tiers" not in found["variants"]["base"]
    assert "slo_tiers_by_variant" not in found["facts"]
    assert "tier gold" not in summary_table(found)


def test_the_deadline_of_a_tier_is_that_of_its_first_token(tmp_path: Path) -> None:
    scenario = plan_of(TIERS, tmp_path).base
    objectives_ps = {name: ttft_objective_ps(scenario, one) for name, one in scenario.traffic.items()}
    assert objectives_ps == {"fast": 50 * PS_PER_MS, "slow": None, "plain": 9 * PS_PER_MS}


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("slo.tiers={gld: {ttft_ms: 5}}", "there is no source of tier `gld`; did you mean `gold`"),
        ("slo.tiers={gold: {tpot_ms: 5, tokens_per_s: 9}}", "say the same in two ways"),
        ("slo.tiers={gold: {tokens_per_s: 0}}", "`slo.tiers.gold.tokens_per_s` is 0: it must be"),
    ],
)
def test_tiers_that_cannot_be_are_refused(tmp_path: Path, setting: str, sentence: str) -> None:
    with pytest.raises(ScenarioError, match=sentence):
        plan_of(TIERS, tmp_path, (setting,))
