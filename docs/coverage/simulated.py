"""M/D/1 through the simulator: as the other cases, but that every request goes its way through a scenario."""

import tempfile
from pathlib import Path

from docs.coverage.queues import QUEUES
from docs.coverage.study import STATISTICS, Case, Tally, answers_of, truths_of
from reports.columns import by_variant
from reports.metrics import E2E, Window
from reports.statistics import Samples
from sim.run.replications import Results, run_all
from sim.scenario.load import load
from sim.time.units import PS_PER_S

CASE = Case("M/D/1, simulated", 0.8, 10, 1_600)
WARM_UP_S, HORIZON_S = 100, 1_700
SCENARIO = """
name: m-d-1
models:
  m:
    id: m
    llm: llama3.1-8b
    hardware:
      kind: hardwired_asic
      prefill_ms_per_token: 80
      decode_step_ms: 5
      request_overhead_ms: 0
      kv_pool_tokens: 2000
      max_concurrent_sequences: 1
    context_tokens: 2000
network:
  places:
    here: {kind: custom, rtt_ms: 0}
traffic:
  callers:
    place: here
    model: m
    arrivals: {kind: poisson, rate_per_s: 1}
    lengths:
      prompt: {kind: fixed, tokens: 10}
      output: {kind: fixed, tokens: 1}
run: {horizon_s: 1700, warm_up_s: 100, seed: 1, replications: 10}
"""


def simulated(studies: int) -> tuple[Case, int, dict[str, Tally]]:
    """Of their end-to-end times, which are a wait and 0.8 s."""
    truths = truths_of(QUEUES["M/D/1"], CASE.load)
    tallies = {name: Tally(truth + CASE.load) for name, truth in truths.items()}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "scenario.yaml"
        file.write_text(SCENARIO, encoding="utf-8")
        for study in range(studies):
            plan = load(file, [f"run.seed={study}"])
            results = run_all(plan, jobs=1, engine="fast", tell=lambda _share, _note: None)
            for name, answer in answers_of(_stays(results), list(STATISTICS)).items():
                tallies[name].add(answer)
    return CASE, studies, tallies


def _stays(results: Results) -> Samples:
    (requests,) = by_variant(results.tables.requests, results.variants).values()
    done = requests.take(requests.outcome("completed"))
    done = done.take(Window.of(WARM_UP_S, HORIZON_S).offered(done))
    return Samples.of(E2E.ps(done) / PS_PER_S, done["replication"], range(results.replications))
