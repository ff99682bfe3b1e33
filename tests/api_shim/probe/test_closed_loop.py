"""Probing our own server gives the parameters that it was started with, and says which it cannot give."""

import json
from pathlib import Path

import pytest

from hwmodels.calibrate.endpoint.fit import fit_endpoint
from hwmodels.calibrate.endpoint.scenario import scenario_of
from hwmodels.calibrate.endpoint.seen import read_seen
from sim.scenario.schema import Scenario
from tests.support.live import scenario
from tests.support.probing import probed

GPU = {
    "kind": "gpu_iteration",
    "t_host_ms": 0,
    "t_weights_ms": 5.0,
    "p_norm": 1,
    "ms_per_token": 0.05,
    "ms_per_attn_pair": 0,
    "ms_per_kv_token": 0.002,
    "ms_per_sequence": 0.45,
    "mixed_kv_multiplier": 1,
    "prefill_tile_tokens": 0,
    "front_end_ms": 3.0,
    "kv_pool_tokens": 20_000,
}
BATCHING = {"hardware": GPU, "nodes": 1, "batching": {"max_num_seqs": 64}}


def near(law: dict[str, float], rel: float = 0.006) -> object:
    return pytest.approx(law, rel=rel, abs=1e-6)


def test_a_probe_recovers_an_exclusive_chip_and_the_way_to_it(tmp_path: Path) -> None:
    """1 ms a prompt token, 10 ms a token, 20 ms there and back, nothing besides; two nodes of one place."""
    found = probed(tmp_path / "p", scenario())
    assert found.law == near(
        {
            "rtt_ms": 20.0,
            "fixed_ms": 0.0,
            "prefill_ms_per_token": 1.0,
            "decode_step_ms": 10.0,
            "batch_step_ms": 0.0,
        }
    )
    assert (found.batching, found.places, found.prefix_cache) == ("alone", 2, False)
    assert any("nodes and places" in warning for warning in found.warnings)


def test_a_probe_recovers_a_batching_gpu_and_what_its_cache_costs(tmp_path: Path) -> None:
    """A lone step is 5 + 0.05 + 0.45 = 5.5 ms and 0.002 for each cached token; another answer adds 0.5 ms.

    A request has 3 ms of front end, 5 of weights and 0.45 of a sequence before its prompt counts.
    """
    found = probed(tmp_path / "p", scenario(llama=BATCHING))
    assert found.law == near(
        {
            "rtt_ms": 20.0,
            "fixed_ms": 8.45,
            "prefill_ms_per_token": 0.05,
            "decode_step_ms": 5.5,
            "decode_ms_per_kv_token": 0.002,
            "batch_step_ms": 0.5,
        }
    )
    assert (found.batching, found.places) == ("batch", None)


def test_the_scenario_that_is_written_answers_a_probe_as_the_endpoint_did(tmp_path: Path) -> None:
    """TLS 1.3 takes two round trips to set up, and a prefix cache answers what was asked before."""
    llama = BATCHING | {"batching": {"max_num_seqs": 64, "enable_prefix_caching": True}}
    network = {"tls": "1.3", "places": {"away": {"kind": "custom", "rtt_ms": 20.0}}}
    url = "https://e80sim.invalid/v1"
    first = probed(tmp_path / "first", scenario(llama=llama, network=network), url=url)
    written = Scenario.model_validate(scenario_of(first, "llama3.1-8b", "again"))
    again = probed(tmp_path / "again", written, place="here", url=url)
    assert again.law == near(first.law, 0.02)
    assert first.prefix_cache
    assert again.prefix_cache


def test_what_a_gentle_rate_cannot_tell_is_said_and_not_guessed(tmp_path: Path) -> None:
    """An answer of 64 tokens takes 0.7 s, and a request every 5 s meets none."""
    found = probed(tmp_path / "p", scenario(), rate=0.2)
    assert "batch_step_ms" not in found.values
    assert found.batching == "unknown"
    assert any("what a batch costs is not known: 1 request was under way" in one for one in found.warnings)


def test_answers_that_are_faster_beside_others_make_no_negative_step(tmp_path: Path) -> None:
    """11 tokens in 100 ms alone, and in 90 ms beside another one: no law explains that, and it is said."""
    alone = [(i, 50 + 50 * (i % 2), 20.0, 120.0) for i in range(6)]
    beside = [(10 + i // 2, 50, 20.0, 110.0) for i in range(8)]
    lines = [f"{at},{prompt},11,{ttft},{e2e}" for at, prompt, ttft, e2e in alone + beside]
    file = tmp_path / "tool.csv"
    file.write_text("\n".join(["arrival_s,input_tokens,output_tokens,ttft_ms,e2e_ms", *lines]))
    found = fit_endpoint(read_seen(file))
    assert found.law["batch_step_ms"] == pytest.approx(-1.0)
    assert found.batching == "alone"
    assert any("lone answers were slower" in warning for warning in found.warnings)
    Scenario.model_validate(scenario_of(found, "llama3.1-8b", "again"))


def test_a_load_tools_requests_are_fitted_too_and_the_network_stays_in_the_sum(tmp_path: Path) -> None:
    """The probe's own rows as a CSV: sizes, arrivals, TTFT and E2E, and nobody who saw a connection."""
    probed(tmp_path / "p", scenario())
    rows = [json.loads(line) for line in (tmp_path / "p" / "requests.jsonl").read_text().splitlines()]
    kept = [row for row in rows if row["purpose"] not in {"new_connection", "warm_up"}]
    names = ("arrival_s", "input_tokens", "output_tokens", "ttft_ms", "e2e_ms")
    lines = [",".join(names), *(",".join(str(row[name]) for name in names) for row in kept)]
    (tmp_path / "tool.csv").write_text("\n".join(lines))
    found = fit_endpoint(read_seen(tmp_path / "tool.csv"))
    assert found.law == near(
        {
            "fixed_ms": 20.0,
            "prefill_ms_per_token": 1.0,
            "decode_step_ms": 10.0,
            "batch_step_ms": 0.0,
        }
    )
    assert any("the network cannot be told" in warning for warning in found.warnings)
