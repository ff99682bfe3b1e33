"""Templates of the scenario, as the platform's documentation names them in a request."""

from typing import Any

import pytest
from pydantic import ValidationError

from api_shim.content.own_words import Echo
from sim.scenario.check import problems
from tests.support.live import GPT_OSS, LLAMA, MakeWire, Wire, scenario
from tests.support.responding import JSON, text_of

TEMPLATES = {
    "my-template": {"input": "Hello {{name}}, {{ name }}!", "model": "llama", "instructions": "For {{who}}."},
    "plain": {"input": "hello"},
}


@pytest.fixture
def wire(make: MakeWire) -> Wire:
    return make(scenario(serve={"templates": TEMPLATES}), content=Echo())


def ask(wire: Wire, **body: Any) -> Any:
    return wire.ask("/v1/responses", body, headers=JSON)


def test_a_template_is_the_input_with_what_is_put_in_its_places(wire: Wire) -> None:
    inputs = {"name": "World", "who": 3, "more": True}
    reply = ask(wire, template="my-template", inputs=inputs, log=True).json
    assert text_of(reply) == "Hello World, World!"
    assert (reply["model"], reply["instructions"]) == (LLAMA, "For 3.")
    (item,) = wire.ask(f"/v1/responses/{reply['id']}/input_items").json["data"]
    assert item["content"][0]["text"] == "Hello World, World!"
    own = ask(wire, template="my-template", inputs=inputs, instructions="Mine", model=GPT_OSS).json
    assert (own["model"], own["instructions"]) == (GPT_OSS, "Mine")


def test_what_is_put_in_is_not_read_again(wire: Wire) -> None:
    reply = ask(wire, template="my-template", inputs={"name": "{{who}}", "who": "x"}).json
    assert text_of(reply) == "Hello {{who}}, {{who}}!"


@pytest.mark.parametrize(
    ("body", "param", "words"),
    [
        ({"template": "my-tamplate", "inputs": {}}, "template", "Did you mean 'my-template'?"),
        ({"template": "'; DROP"}, "template", "There is no template ''; DROP'."),
        ({"template": "my-template", "inputs": {"name": "x"}}, "inputs.who", "Missing required parameter"),
        ({"template": "my-template", "input": "x"}, "template", "give one of them"),
        ({"template": "plain"}, "model", "Missing required parameter: 'model'"),
        ({"template": "my-template", "inputs": {"name": []}}, None, ""),
    ],
)
def test_what_is_wrong_with_it_is_told(wire: Wire, body: Any, param: str | None, words: str) -> None:
    reply = ask(wire, **body)
    assert reply.status == 400
    assert words in reply.error["message"]
    assert param is None or reply.error["param"] == param


def test_a_scenario_names_only_models_that_it_has() -> None:
    found = list(problems(scenario(serve={"templates": {"t": {"input": "x", "model": "lama"}}})))
    assert found[0].location == ("serve", "templates", "t", "model")
    assert "did you mean `llama`?" in found[0].sentence
    with pytest.raises(ValidationError):
        scenario(serve={"templates": {"a b": {"input": "x"}}})
