"""`e80sim catalog`."""

import json

import pytest

from hwmodels.entry import names
from tests.support.cli import e80sim


def test_without_a_name_it_lists_every_entry() -> None:
    result = e80sim("catalog")
    assert result.exit_code == 0
    assert {line.split()[0] for line in result.stdout.splitlines()} == set(names())


@pytest.mark.parametrize("name", names())
def test_every_entry_has_a_page_as_text_and_as_json(name: str) -> None:
    text, page = e80sim("catalog", [name]), e80sim("catalog", [name, "--json"])
    assert (text.exit_code, page.exit_code) == (0, 0)
    for value in json.loads(page.stdout)["values"]:
        assert value["source"]
        assert value["name"] in text.stdout


def test_a_page_shows_value_unit_confidence_range_and_source() -> None:
    text = e80sim("catalog", ["hc1"]).stdout
    assert "decode_step_ms             0.0706 ms                       measured   0.0588 to 0.0727" in text
    assert "chatjimmy.ai timing block of a 333-token reply" in text
    assert "overhead_holds_slot        yes" in text


def test_a_page_derives_step_times_of_what_the_hardware_can_hold() -> None:
    times = json.loads(e80sim("catalog", ["hc1", "--json"]).stdout)["derived"][0]
    assert times["decode_ms"] == {"1x1024": 0.0706, "32x1024": None, "128x1024": None, "128x8192": None}
    assert times["prefill_ms"] == {"512": 28.928, "2048": 115.712, "8192": None}
    assert times["request_overhead_ms"] == 3


def test_a_prompt_longer_than_the_budget_is_shown_in_chunks() -> None:
    page = json.loads(e80sim("catalog", ["hc1_pipelined", "--json"]).stdout)
    assert page["derived"][0]["prefill_ms"]["512"] == pytest.approx(16 * 0.0706)


def test_a_page_says_what_an_entry_cannot_run() -> None:
    derived = json.loads(e80sim("catalog", ["a100", "--json"]).stdout)["derived"]
    refused = [row for row in derived if "refused" in row]
    assert [(row["llm"], row["weights"]) for row in refused] == [("llama3.1-8b", "fp8")]


def test_an_unknown_name_is_one_sentence_and_exit_code_2() -> None:
    result = e80sim("catalog", ["h1000"])
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("e80sim: no catalogue entry 'h1000'; did you mean h100")
    assert result.stderr.count("\n") == 1
