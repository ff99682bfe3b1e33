"""The example applications: each runs in three places, and what its README says moved, moved."""

import re
import shutil
from pathlib import Path

import pytest

from api_shim.edge.manifest import read_app_folder
from api_shim.rehearsal.compared import comparison
from api_shim.rehearsal.measured import MeasuredPlace
from api_shim.rehearsal.part import Part
from api_shim.rehearsal.rehearsals import rehearse
from sim.scenario.shipped import DOCUMENTED_PLATFORM

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = ("chat", "agent", "rag")
PLACES = ("edge", "aws:us-east-1", "internet")
CALLS = {"chat": 1, "agent": 4, "rag": 6}


def part(name: str, place: str) -> Part:
    folder = EXAMPLES / name
    answers = folder / "answers.jsonl"
    return Part(
        folder=str(folder),
        requests=str(folder / "requests.jsonl"),
        scenario=str(DOCUMENTED_PLATFORM),
        variant=None,
        settings=[],
        place=place,
        users_at="internet",
        concurrency=1,
        repeat=2,
        pause_s=0,
        patience_s=120,
        rate_per_s=None,
        app_cpu_ms=1.0,
        sandbox_run_ms=30.0,
        content=f"replay:{answers}" if answers.exists() else "synthetic",
        seed=None,
    )


@pytest.fixture(scope="module")
def rehearsed() -> dict[tuple[str, str], MeasuredPlace]:
    cases = [(name, place) for name in NAMES for place in PLACES]
    return dict(zip(cases, rehearse([part(*case) for case in cases]), strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_every_request_is_answered_with_as_many_calls_as_the_readme_says(
    rehearsed: dict[tuple[str, str], MeasuredPlace], name: str
) -> None:
    for place in PLACES:
        for visit in rehearsed[name, place].visits:
            assert visit.good, visit.problem
            assert visit.model_calls == CALLS[name]
    assert f"{CALLS[name]} model call" in (EXAMPLES / name / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_the_farther_from_the_model_the_more_goes_to_its_calls(
    rehearsed: dict[tuple[str, str], MeasuredPlace], name: str
) -> None:
    edge, aws, internet = comparison([rehearsed[name, place] for place in PLACES])["places"]
    ways = [row["where_ms"]["model_path"] for row in (edge, aws, internet)]
    assert ways[0] < 1  # millisecond, of all calls together
    assert ways[0] < ways[1] / 10
    assert ways[1] < ways[2] / 4
    assert edge["felt_p50_ms"] < internet["felt_p50_ms"]
    assert edge["where_ms"]["user_path"] > internet["where_ms"]["user_path"] == 0


def test_more_calls_in_turn_make_the_edge_worth_more(rehearsed: dict[tuple[str, str], MeasuredPlace]) -> None:
    """The agent waits for four calls of the model and three of its sandbox, the notes for three rounds."""
    gained = {
        name: comparison([rehearsed[name, "edge"], rehearsed[name, "internet"]])["places"][1]["where_ms"][
            "model_path"
        ]
        for name in NAMES
    }
    assert gained["chat"] < gained["rag"] < gained["agent"]


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="needs bubblewrap, for sandboxes")
def test_the_agents_code_really_ran(rehearsed: dict[tuple[str, str], MeasuredPlace]) -> None:
    for visit in rehearsed["agent", "edge"].visits:
        asked = [call.what.partition("?")[0] for call in visit.calls]
        assert sum(what == "POST /v1/sandboxes" for what in asked) == 1
        (ran,) = [call for call in visit.calls if call.what.endswith("/python/run")]
        assert ran.status == 200


@pytest.mark.parametrize("name", NAMES)
def test_the_numbers_in_the_readme_are_about_those_that_come_out(
    rehearsed: dict[tuple[str, str], MeasuredPlace], name: str
) -> None:
    """Of fewer requests here, so about."""
    text = (EXAMPLES / name / "README.md").read_text(encoding="utf-8")
    rows = comparison([rehearsed[name, place] for place in PLACES])["places"]
    for row in rows:
        written = re.search(rf"^  {row['place']} +([\d.,]+) +", text, re.MULTILINE)
        assert written, row["place"]
        assert float(written[1]) == pytest.approx(row["felt_p50_ms"], rel=0.3)


@pytest.mark.parametrize("name", NAMES)
def test_the_manifest_holds_and_the_readme_has_the_commands(name: str) -> None:
    assert read_app_folder(EXAMPLES / name).warnings == ()
    text = (EXAMPLES / name / "README.md").read_text(encoding="utf-8")
    for command in (
        f"e80sim edge compare examples/{name}",
        f"e80sim edge compare examples/{name} --places edge",
    ):
        assert command in text
