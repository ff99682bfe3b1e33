"""What lost segments took of an answer, in the records of a run."""

from pathlib import Path

import pytest

from tests.support.study import plan_of, results_of, rows_of

LOSSY = """
name: lossy
models:
  m:
    id: m
    llm: llama3.1-8b
    hardware: {kind: hardwired_asic, prefill_ms_per_token: 0, decode_step_ms: 10, kv_pool_tokens: 100000}
    context_tokens: 1000
network:
  tls: none
  places: {here: {kind: custom, rtt_ms: 20, loss_per_segment: 0.2}}
traffic:
  s:
    place: here
    model: m
    arrivals: {kind: poisson, rate_per_s: 5}
    lengths: {prompt: {kind: fixed, tokens: 8}, output: {kind: fixed, tokens: 5}}
run: {horizon_s: 100, replications: 1, seed: 7}
"""


@pytest.mark.parametrize("tokens", [1, 5])
def test_a_stream_tells_of_every_last_token_that_was_lost(tmp_path: Path, tokens: int) -> None:
    # A fifth of some 500 answers lose it: the only one of one, the fifth of five. The others lose nothing.
    settings = [f"traffic.s.lengths.output.tokens={tokens}"]
    rows = rows_of(results_of(plan_of(LOSSY, tmp_path, settings)).tables)
    lost = [row for row in rows if row["lost_back_ps"]]
    assert 0.15 * len(rows) < len(lost) < 0.25 * len(rows)
