"""`e80sim path`: the arithmetic of a path as a person would check it."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.cli import e80sim

SCENARIO = Path(__file__).resolve().parents[3] / "scenarios" / "edge-vs-cloud.yaml"


def path(*arguments: str) -> dict[str, Any]:
    result = e80sim("path", [*arguments, "--json"])
    assert result.exit_code == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def round_trips(found: dict[str, Any]) -> dict[str, float]:
    return {line["step"].split(":")[0]: line["rtts"] for line in found["lines"] if line["rtts"]}


def test_a_long_prompt_on_a_cold_path_pays_handshakes_and_slow_start() -> None:
    """25,000 tokens are 105,600 bytes, 73 segments: 10 + 20 + 40 + 3 in four flights. Six round trips."""
    found = path("aws:eu-west-1", "gateway", "--prompt-tokens", "25000")
    assert round_trips(found) == {
        "TCP handshake": 1,
        "TLS 1.3 handshake": 1,
        "slow start": 3,
        "request out": 0.5,
        "first byte back": 0.5,
    }
    assert found["rtt_ms"] == pytest.approx(72.1)
    assert found["total_ms"] == pytest.approx(sum(line["ms"] for line in found["lines"]))
    assert [hop["method"] for hop in found["hops"]] == ["measured", None]


def test_a_warm_connection_pays_no_handshake() -> None:
    assert round_trips(path("aws:eu-west-1", "--warm")) == {"request out": 0.5, "first byte back": 0.5}


def test_tls_1_2_pays_one_round_trip_more() -> None:
    assert round_trips(path("edge", "--tls", "1.2"))["TLS 1.2 handshake"] == 2
    assert not any("TLS" in step for step in round_trips(path("edge", "--tls", "none")))


def test_the_bytes_of_a_prompt_go_at_the_rate_of_the_access_line() -> None:
    """4,800 bytes at 20 Mbit/s take 1.92 ms."""
    found = path("internet:cable:aws:us-east-1", "edge")
    line = next(line for line in found["lines"] if line["step"] == "4,800 bytes at 20 Mbit/s")
    assert line["ms"] == pytest.approx(1.92)


def test_a_predicted_pair_says_how_and_how_wrong() -> None:
    """A class of error of -26.7 to +31.6 ms; until the first byte is back there are three round trips."""
    found = path("gcp:europe-north1", "aws:ap-southeast-5")
    hop = found["hops"][0]
    assert (hop["method"], hop["error_ms"]) == ("nearby_pairs", 13.1)
    assert hop["low_ms"] == pytest.approx(hop["rtt_ms"] - 26.7)
    assert hop["high_ms"] == pytest.approx(hop["rtt_ms"] + 31.6)
    text = " ".join(e80sim("path", ["gcp:europe-north1", "aws:ap-southeast-5"]).stdout.split())
    assert "nearby_pairs: measured pairs nearby, first gcp:europe-north1 to aws:ap-southeast-1" in text
    assert (
        f"is predicted: {hop['low_ms']:g} to {hop['high_ms']:g} ms in 9 of 10 such cases, wrong by 13.1"
        in text
    )
    low_ms, high_ms = found["total_ms"] - 3 * 26.7, found["total_ms"] + 3 * 31.6
    assert f"back after {low_ms:,.0f} to {high_ms:,.0f} ms" in text


def test_coordinates_may_stand_where_a_region_may() -> None:
    (hop, metro) = path("internet:fibre:@48.14,11.58", "edge")["hops"][1:]
    assert hop["name"] == "@48.14,11.58 to aws:us-east-1"
    assert metro["name"] == "metro Northern Virginia, public path"
    assert "did you mean azure:eastus" in e80sim("path", ["eastus"]).stderr


def test_the_text_adds_up_to_its_last_line() -> None:
    lines = e80sim("path", ["aws:eu-west-1", "--prompt-tokens", "25000"]).stdout.splitlines()
    table = lines[next(i for i, line in enumerate(lines) if line.startswith("step")) + 1 :]
    rows = [line.split()[-2:] for line in table[: table.index("")]]
    assert rows[-1] == ["6", "441.908"]
    assert sum(float(ms) for _, ms in rows[:-1]) == pytest.approx(441.908, abs=0.005)


def test_places_of_a_scenario_go_by_their_names() -> None:
    found = path("home", "edge", "--scenario", str(SCENARIO))
    assert [hop["name"] for hop in found["hops"]] == ["cable line", "metro Northern Virginia, public path"]
    assert path("edge", "edge", "--scenario", str(SCENARIO))["hops"] == []


STATED = """
name: stated
models:
  llama: {id: m, llm: llama3.1-8b, hardware: {preset: hc1, kv_pool_tokens: 25000}, context_tokens: 25000}
network:
  dns_lookup_ms: 4
  values: {fabric.rtt_floor_ms: 5, fabric.up_mbit_per_s: 1, transport.bytes_per_prompt_token: 10}
  places: {beside: {kind: edge}, far: {kind: custom, rtt_ms: 10}}
traffic:
  chat:
    place: beside
    model: llama
    arrivals: {kind: poisson, rate_per_s: 1}
    lengths: {prompt: {kind: fixed, tokens: 9}, output: {kind: fixed, tokens: 9}}
run: {horizon_s: 10}
"""


def test_values_that_a_scenario_states_hold(tmp_path: Path) -> None:
    """TCP, TLS and half a round trip are 2.5 x 5 ms; 600 + 100 x 10 bytes are two segments, 12.8 ms."""
    file = tmp_path / "stated.yaml"
    file.write_text(STATED, encoding="utf-8")
    found = path("beside", "--scenario", str(file), "--prompt-tokens", "100")
    assert found["rtt_ms"] == 5
    lines = {line["step"]: line["ms"] for line in found["lines"]}
    assert lines["DNS lookup"] == 4
    assert lines["1,600 bytes at 1 Mbit/s"] == pytest.approx(12.8)
    assert lines["slow start: 2 segments in 1 flight"] == 0
    steps = [line["step"] for line in path("far", "--scenario", str(file))["lines"]]
    assert any(step.endswith("bytes, no limit of rate") for step in steps)


def test_the_way_back_of_an_answer_is_shown_on_request() -> None:
    """999 more events of 186 bytes at 50 Mbit/s; in one piece 800 + 4,200 bytes, 186 of them in the first."""
    ends = ["internet:dsl:aws:us-east-1", "edge"]
    assert path(*ends)["answer"] is None
    streamed = path(*ends, "--output-tokens", "1000")["answer"]
    assert streamed["lines"][1]["step"] == "999 more events at 50 Mbit/s"
    assert streamed["lines"][1]["ms"] == pytest.approx(29.73024)
    whole = path(*ends, "--output-tokens", "1000", "--no-stream")
    assert whole["answer"]["lines"][1]["step"] == "the rest of 5,000 bytes at 50 Mbit/s"
    assert whole["answer"]["total_ms"] - whole["total_ms"] == pytest.approx((5000 - 186) * 8 / 50_000)
    text = e80sim("path", [*ends, "--output-tokens", "1000"]).stdout
    assert "until the first byte is back" in text
    assert "until the last byte is back" in text


def test_two_ends_written_alike_are_two_hosts() -> None:
    assert [hop["kind"] for hop in path("edge", "edge")["hops"]] == ["fabric"]
    assert [hop["kind"] for hop in path("aws:us-east-1", "aws:us-east-1")["hops"]] == ["cross_az"]


def test_the_platform_can_stand_elsewhere() -> None:
    assert path("aws:eu-west-1", "--site", "aws:eu-west-1")["rtt_ms"] < 5


def test_the_way_back_is_the_same_with_up_and_down_exchanged() -> None:
    there, back = path("internet:5g:aws:us-east-1", "edge"), path("edge", "internet:5g:aws:us-east-1")
    assert there["rtt_ms"] == back["rtt_ms"]
    assert any("at 30 Mbit/s" in line["step"] for line in there["lines"])
    assert any("4,800 bytes at 200 Mbit/s" in line["step"] for line in back["lines"])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["aws:us-east1"], "there is no region 'aws:us-east1'; did you mean 'aws:us-east-1'"),
        (["egde"], "there is no place 'egde'; did you mean edge?"),
        (["moon"], "there is no place 'moon'; places are edge, gateway, a region such as aws:us-east-1,"),
        (["hom", "--scenario", str(SCENARIO)], "there is no place 'hom'; did you mean home?"),
        (
            ["internet:cabel:aws:us-east-1"],
            "the access is 'cabel'; it can be fibre, cable, dsl, wifi, 4g, 5g",
        ),
        (["internet:cable"], "'internet:cable' names no region; write it as internet:cable:aws:us-east-1"),
        (["edge", "--tls", "1.1"], "--tls 1.1: it can be none, 1.2, 1.3"),
        (["edge", "--site", "aws:moon"], "there is no region 'aws:moon'"),
        (["edge", "--scenario", "none.yaml"], "none.yaml: there is no such file"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(arguments: list[str], sentence: str) -> None:
    result = e80sim("path", arguments)
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert sentence in result.stderr
