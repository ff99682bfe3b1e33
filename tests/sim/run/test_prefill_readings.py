from pathlib import Path

from hwmodels.hardwired_asic import HardwiredAsic
from hwmodels.llm import load_llm
from sim.run.prefill_readings import lone_ttft_ps
from sim.run.report_context import facts
from tests.support.study import plan_of

SCENARIO = """
name: chip
models: {llama: {id: m, llm: llama3.1-8b, hardware: hc1, context_tokens: 6144}}
network: {places: {here: {kind: region, region: "aws:us-east-1"}}}
traffic:
  chat:
    place: here
    model: llama
    arrivals: {kind: poisson, rate_per_s: 1}
    lengths: {prompt: {kind: fixed, tokens: 100}, output: {kind: fixed, tokens: 10}}
run: {horizon_s: 10, replications: 1}
"""
BOTH = """
variants:
  careful: {}
  hopeful: {set: {models.llama.hardware: hc1_pipelined}}
"""


def test_a_lone_prompt_takes_the_catalogues_time_to_its_first_token() -> None:
    """3 ms and 0.0565 ms a token, or 3 + 1.05 ms and 0.0706 ms for each 32 tokens."""
    alone = [
        HardwiredAsic(preset=preset).build(load_llm("llama3.1-8b")) for preset in ("hc1", "hc1_pipelined")
    ]
    assert [lone_ttft_ps(hardware, 100) for hardware in alone] == [8_650_000_000, 4_332_400_000]
    assert [lone_ttft_ps(hardware, 10_000) for hardware in alone] == [568_000_000_000, 26_147_800_000]


def test_the_reading_that_was_not_run_is_stated(tmp_path: Path) -> None:
    plan = plan_of(SCENARIO, tmp_path)
    (entry,) = facts(plan, tuple(plan.variants))["readings"]
    assert (entry["model"], entry["used"], entry["other"]) == ("llama", "hc1", "hc1_pipelined")
    assert [time["prompt_tokens"] for time in entry["ttft"]] == [100, 1000, 10_000]
    assert entry["ttft"][0]["used_s"] == 0.00865


def test_variants_that_run_both_readings_say_it_themselves(tmp_path: Path) -> None:
    plan = plan_of(SCENARIO + BOTH, tmp_path)
    assert facts(plan, tuple(plan.variants))["readings"] == []


def test_power_and_price_come_with_their_confidence(tmp_path: Path) -> None:
    plan = plan_of(SCENARIO, tmp_path, ["models.llama.hardware={preset: hc1, usd_per_hour: 1.5}"])
    costs = facts(plan, tuple(plan.variants))["models"]["llama"]["costs"]
    assert costs["usd_per_hour"] == {"value": 1.5, "confidence": "assumed", "source": "scenario"}
    assert costs["busy_w"]["confidence"] == "published"
    assert "idle_w" not in costs
