"""The traffic of a scenario as a load client sends it."""

from pathlib import Path
from typing import Any

import pytest

from api_shim.accounts.callers import Callers
from api_shim.load.mix import mix_of, without_arrivals
from sim.scenario.load import load
from sim.scenario.schema import Scenario
from tests.support.live import LLAMA, scenario
from traffic.mix import Mix, read_mix

SCENARIOS = Path(__file__).resolve().parents[3] / "scenarios"


def with_app() -> Scenario:
    chat: dict[str, Any] = {
        "app": "agent",
        "place": "away",
        "tenant": "acme",
        "stream": False,
        "max_output_tokens": 9,
        "arrivals": {"kind": "poisson", "rate_per_s": 2.0},
        "lengths": {"prompt": {"kind": "fixed", "tokens": 11}, "output": {"kind": "fixed", "tokens": 5}},
    }
    return scenario(traffic={"chat": chat}, apps={"agent": {"place": "here", "model": "llama", "calls": 5}})


def test_a_source_is_a_kind_with_its_place_model_key_and_arrivals() -> None:
    (kind,) = mix_of(scenario()).kinds
    assert (kind.name, kind.key, kind.model, kind.place) == ("chat", "sk-chat", LLAMA, "away")
    assert (kind.stream, kind.max_tokens, kind.weight) == (True, None, 1.0)
    assert kind.arrivals == scenario().traffic["chat"].arrivals
    assert without_arrivals(mix_of(scenario())).scheduled is False


def test_an_app_with_five_calls_sends_five_times_as_often_from_where_it_runs() -> None:
    (kind,) = mix_of(with_app()).kinds
    assert (kind.place, kind.stream, kind.max_tokens, kind.weight) == ("here", False, 9, 10.0)
    assert kind.arrivals is not None
    assert kind.arrivals.mean_rate_per_s == 10.0


def test_where_the_scenario_has_keys_the_one_that_stands_for_the_source_is_sent() -> None:
    keys = {"sk-other": {}, "sk-mine": {"source": "chat"}}
    spec = scenario(serve={"keys": keys})
    (kind,) = mix_of(spec).kinds
    assert kind.key == "sk-mine"
    assert Callers(spec, {}).caller(f"Bearer {kind.key}").source == "chat"


@pytest.mark.parametrize(
    "name", ["live.yaml", "edge-vs-cloud.yaml", "rate-limits.yaml", "agents.yaml", "chat-sessions.yaml"]
)
def test_the_mix_of_an_example_survives_its_way_to_locust(name: str, tmp_path: Path) -> None:
    mix: Mix = mix_of(next(iter(load(SCENARIOS / name).variants.values())))
    (tmp_path / "mix.json").write_text(mix.model_dump_json(exclude_none=True))
    assert read_mix(tmp_path / "mix.json") == mix
