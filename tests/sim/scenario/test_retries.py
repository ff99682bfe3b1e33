"""What `retry` and `hedge` of a source may say, and what is nonsense."""

from pathlib import Path

import pytest

from reports.stored import whole
from reports.tables import RunTables
from sim.run.replications import run_all
from sim.scenario.load import Plan, load
from sim.scenario.retries import Retry
from sim.scenario.source_map import ScenarioError
from traffic.retry_profiles import RETRY_PROFILES, Backoff, RetryAfter

TEXT = """
name: small
models:
  m:
    id: m
    llm: llama3.1-8b
    hardware: {kind: hardwired_asic, decode_step_ms: 10, prefill_ms_per_token: 1, kv_pool_tokens: 2000}
    context_tokens: 2000
    batching: {max_num_queued_reqs: 1}
network:
  places: {here: {kind: internet, access: cable, near: "aws:us-east-1"}}
traffic:
  s:
    place: here
    model: m
    arrivals: {kind: poisson, rate_per_s: 30}
    lengths: {prompt: {kind: fixed, tokens: 5}, output: {kind: fixed, tokens: 3}}
run: {horizon_s: 4, replications: 3}
"""


def loaded(folder: Path, *settings: str) -> Plan:
    file = folder / "small.yaml"
    file.write_text(TEXT, encoding="utf-8")
    return load(file, settings)


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("retry={}", "`retry` says neither whose client it is like nor how often"),
        ("retry={like: openai}", "did you mean `openai-node`?"),
        ("retry={like: none, max_retries: 2}", "a client like `none`, which retries nothing"),
        ("retry={like: e80-sdk, backoff: {first_ms: 5}}", "`backoff` says how to retry"),
        ("retry={max_retries: 0, statuses: [429]}", "`statuses` says how to retry"),
        ("retry={max_retries: 101}", "100"),
        ("retry={max_retries: 1, statuses: [200]}", "400"),
        ("hedge={}", "either `after_ms` or `after_quantile`"),
        ("hedge={after_ms: 5, after_quantile: 0.9}", "either `after_ms` or `after_quantile`"),
        ("hedge={after_ms: 0}", "0.001"),
    ],
)
def test_nonsense_is_told_in_a_sentence(tmp_path: Path, setting: str, told: str) -> None:
    with pytest.raises(ScenarioError) as refusal:
        loaded(tmp_path, f"traffic.s.{setting}")
    assert told in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_what_is_stated_goes_before_what_the_library_does() -> None:
    like = RETRY_PROFILES["openai-python"]
    stated = Retry.model_validate(
        {
            "like": "openai-python",
            "max_retries": 5,
            "timeout_s": 20.0,
            "retry_after": {"up_to_s": 30.0, "above": "back_off", "zero": "at_once"},
        }
    ).profile()
    assert (stated.max_retries, stated.timeout_s) == (5, 20.0)
    assert stated.retry_after == RetryAfter(30.0, "back_off", "at_once")
    assert (stated.backoff, stated.statuses, stated.should_retry) == (like.backoff, like.statuses, True)


def test_a_client_by_hand_does_what_is_stated_and_no_more() -> None:
    stated = Retry.model_validate({"max_retries": 2, "backoff": {"first_ms": 100, "factor": 3}}).profile()
    assert [stated.backoff.wait_s(n, 0.9) for n in range(3)] == pytest.approx([0.1, 0.3, 0.9])
    assert (stated.retry_after, stated.timeout_s, stated.then_at_once) == (None, None, 0)
    assert stated.statuses == {429}
    assert Retry.model_validate({"max_retries": 1}).profile().backoff == Backoff()


def tables(folder: Path, jobs: int) -> RunTables:
    settings = ("traffic.s.retry={like: litellm}", "traffic.s.hedge={after_ms: 40}")
    return run_all(loaded(folder, *settings), jobs=jobs, engine="fast", tell=lambda *_: None).tables


def test_retries_and_hedges_are_the_same_with_any_number_of_jobs(tmp_path: Path) -> None:
    alone, together = tables(tmp_path, 1), tables(tmp_path, 2)
    assert alone.requests.equals(whole(together.requests))
    assert alone.asks is not None
    assert together.asks is not None
    assert alone.asks.equals(whole(together.asks))
    attempts = [row["attempts"] for row in alone.asks.to_pylist()]
    assert max(attempts) > 3
    assert sum(attempts) == alone.requests.num_rows
