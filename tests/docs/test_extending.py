"""Every example of docs/extending.md is added to its table, used as it says, and taken out again."""

import json
import re
import shlex
from collections.abc import Callable, Iterator, MutableMapping, MutableSequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from api_shim.app import GROUPS
from api_shim.content.contents import CONTENTS, make_content
from api_shim.testing import virtual_client
from e80sim.mistakes import UserError
from hwmodels.hardware import HARDWARE
from hwmodels.parallel.collectives import COLLECTIVES
from reports.html.figures import FIGURES, figures_of
from reports.html.page import SECTIONS, render
from reports.metrics import REQUEST_METRICS
from reports.summary import summarise
from sim.faults.kinds import FAULTS
from sim.faults.scaling import SCALING
from sim.node.queue_orders import QUEUE_ORDERS
from sim.platform.flow_control import ORDERS
from sim.platform.rate_limit import ALGORITHMS
from sim.platform.routing import ROUTING
from sim.run.manifest import manifest
from sim.scenario.load import load
from tests.support.study import results_of, rows_of
from traffic.arrivals import ARRIVALS
from traffic.lengths import LENGTHS
from traffic.retry_profiles import RETRY_PROFILES
from traffic.traces import FORMATS

PAGE = (Path(__file__).parents[2] / "docs" / "extending.md").read_text(encoding="utf-8")
MAPPINGS: list[MutableMapping[str, Any]] = [
    *(ARRIVALS, LENGTHS, ROUTING, QUEUE_ORDERS, ORDERS, ALGORITHMS, HARDWARE, FORMATS, CONTENTS, SECTIONS),
    *(REQUEST_METRICS, FAULTS, SCALING, RETRY_PROFILES),
    COLLECTIVES,
    *COLLECTIVES.values(),
]
LISTS: list[MutableSequence[Any]] = [FIGURES, GROUPS]
STEP_MS = 10
LONGEST = 30
"""Lines of an example, without blank ones."""


class Example(NamedTuple):
    python: str
    settings: list[str]
    """What follows `--set`."""
    files: dict[str, str]
    content: str | None


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def example(text: str) -> Example:
    (python,) = blocks(text, "python")
    shell = "".join(blocks(text, "sh")).replace("\\\n", "")  # a line may be continued
    words = [shlex.split(line) for line in shell.splitlines()]
    options = [pair for line in words for pair in pairwise(line)]
    files = {block.split("\n")[0].removeprefix("# "): block for block in blocks(text, "yaml")}
    return Example(
        python,
        [value for option, value in options if option == "--set"],
        files | dict(zip(["log.jsonl"], blocks(text, "json"), strict=False)),
        next((value for option, value in options if option == "--content"), None),
    )


HEAD, *PARTS = re.split(r"^## ", PAGE, flags=re.MULTILINE)
(TINY,) = blocks(HEAD, "yaml")
SECTIONS_OF_PAGE = {part.partition("\n")[0]: part for part in PARTS}
EXAMPLES = {title: example(part) for title, part in SECTIONS_OF_PAGE.items() if "```python" in part}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """With the scenario in it; afterwards the tables hold what they held before."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(TINY, encoding="utf-8")
    kept, listed = [dict(table) for table in MAPPINGS], [list(table) for table in LISTS]
    yield tmp_path
    for table, before in zip(MAPPINGS, kept, strict=True):
        table.clear()
        table.update(before)
    for some, was in zip(LISTS, listed, strict=True):
        some[:] = was


@pytest.mark.parametrize("title", EXAMPLES)
def test_the_table_of_an_example_is_put_back(title: str) -> None:
    imports: dict[str, Any] = {}
    exec("\n".join(re.findall(r"^from .* import .*$", EXAMPLES[title].python, re.MULTILINE)), imports)
    tables = [value for name, value in imports.items() if name.isupper() and isinstance(value, dict | list)]
    assert all(any(table is kept for kept in (*MAPPINGS, *LISTS)) for table in tables)


def added(title: str, folder: Path) -> tuple[Example, dict[str, Any]]:
    """The example, whose code has run, and the names that it made."""
    found = EXAMPLES[title]
    for name, text in found.files.items():
        (folder / name).write_text(text, encoding="utf-8")
    names: dict[str, Any] = {"__name__": "extension"}
    exec(found.python, names)  # our own page
    return found, names


def run(title: str, folder: Path) -> list[dict[str, Any]]:
    """The requests of the scenario with the extension in it."""
    found, _ = added(title, folder)
    return rows_of(results_of(load(folder / "tiny.yaml", found.settings)).tables)


def summary(folder: Path) -> Any:
    plan = load(folder / "tiny.yaml")
    results = results_of(plan)
    return summarise(results.tables, manifest(plan, results, datetime(2026, 1, 1, tzinfo=UTC), 0.0))


def arrivals(folder: Path) -> None:
    """Three each at 2, 4, 6 and 8 s: 10 s is the horizon."""
    assert [row["intended_ps"] // 10**12 for row in run("Arrivals", folder)] == [
        second for second in (2, 4, 6, 8) for _ in range(3)
    ]


def lengths(folder: Path) -> None:
    assert {row["output_tokens"] for row in run("Lengths", folder)} == {2, 3, 4}


def routing(folder: Path) -> None:
    """Round robin would use all four."""
    assert len({row["node"] for row in run("Routing", folder)}) == 1


def queue_orders(folder: Path) -> None:
    """Whoever starts is the longest, and the first of equals, of those who had come by then."""
    rows = sorted(run("Queue orders", folder), key=lambda row: row["started_ps"])
    assert len(rows) > 100
    for index, row in enumerate(rows):
        waiting = [other for other in rows[index:] if other["admitted_ps"] <= row["started_ps"]]
        assert row == min(waiting, key=lambda one: (-one["prompt_tokens"], one["number"]))


def orders_at_the_gateway(folder: Path) -> None:
    """One at a time: whoever passes has the shortest prompt of those that are there."""
    rows = sorted(run("Orders at the gateway", folder), key=lambda row: row["admitted_ps"] or 1 << 62)
    assert len(rows) > 100
    passed = [row for row in rows if row["admitted_ps"] is not None]
    assert any(row["admitted_ps"] > row["arrived_ps"] for row in passed)
    for index, row in enumerate(passed):
        there = [other for other in rows[index:] if other["arrived_ps"] <= row["admitted_ps"]]
        assert row == min(there, key=lambda one: (one["prompt_tokens"], one["number"]))


def limits(folder: Path) -> None:
    outcomes = [row["outcome"] for row in run("Limits", folder)]
    assert outcomes == ["completed"] * 5 + ["rejected_requests_limit"] * 4


def faults(folder: Path) -> None:
    """Whoever comes at 3 and 4 s waits for the node."""
    started = [row["started_ps"] / 10**12 for row in run("Faults", folder)]
    assert started == [1, 2, 4.5, 4.5, 5, 6, 7, 8, 9]


def scaling_policies(folder: Path) -> None:
    """A second node is ordered at 3 s, a third at 6."""
    found, _ = added("Scaling policies", folder)
    lives = results_of(load(folder / "tiny.yaml", found.settings)).tables.lifetimes
    assert lives is not None
    assert lives["began_ps"].to_pylist() == [0, 3_500 * 10**9, 6_500 * 10**9]


def hardware(folder: Path) -> None:
    """200 tokens a second: three steps of 5 ms."""
    assert {row["ended_ps"] - row["intended_ps"] for row in run("Hardware", folder)} == {15 * 10**9}


def collectives(folder: Path) -> None:
    """A sum of 8,192 B over 16: a ring takes 30 messages of 5.01 us, the tree 8 of 5.16, 65 times a step."""
    settings = EXAMPLES["Collectives"].settings
    ring = load(folder / "tiny.yaml", settings).base.models["m"].build_hardware().step_time.dense(1)
    added("Collectives", folder)
    tree = load(folder / "tiny.yaml", settings).base.models["m"].build_hardware().step_time.dense(1)
    assert (ring - tree) / 1e6 == pytest.approx(65 * (30 * 5.01024 - 8 * 5.16384))


def trace_formats(folder: Path) -> None:
    rows = run("Trace formats", folder)
    assert [(row["intended_ps"], row["prompt_tokens"], row["output_tokens"]) for row in rows] == [
        (0, 8, 3),
        (1_500_000_000_000, 16, 5),
    ]


def contents(folder: Path) -> None:
    found, _ = added("Contents", folder)
    assert found.content is not None
    client = virtual_client(folder / "tiny.yaml", content=make_content(found.content))
    try:
        question = client.chat.completions.create(
            model="tiny", messages=[{"role": "user", "content": "What does one say?"}]
        )
        answer = client.platform.run(question)
    finally:
        client.platform.run(client.close())
        client.platform.close()
    assert answer.choices[0].message.content == "More haste, less speed."
    with pytest.raises(UserError, match="upstream:URL or proverb:WORDS"):
        make_content("prose")


def endpoints(folder: Path) -> None:
    added("Endpoints", folder)
    client = virtual_client(folder / "tiny.yaml")
    try:
        said = client.platform.run(client.post("/notes", body={"text": "tea at four"}, cast_to=object))
    finally:
        client.platform.run(client.close())
        client.platform.close()
    assert said == {"text": "tea at four", "models": 1}


def sections(folder: Path) -> None:
    added("Sections of the report", folder)
    page = render(summary(folder))
    assert "What it runs on</h2><ul><li>m: 1 of generic_asic</li></ul>" in page
    assert '<a href="#hardware">Hardware</a>' in page


def figures(folder: Path) -> None:
    added("Figures", folder)
    drawn = {figure.identity: figure for figure in figures_of(summary(folder))}
    assert drawn["asked"].plot["data"] == [{"type": "bar", "x": ["s"], "y": [9]}]
    assert drawn["asked"].description == "9 requests were offered."


def metrics(folder: Path) -> None:
    """A prompt of 8 takes one step."""
    added("Metrics", folder)
    (group,) = summary(folder)["variants"]["base"]["groups"]
    assert group["metrics"]["prefill"]["mean"]["value"] == STEP_MS / 1000


def callers(folder: Path) -> None:
    """Each answer takes three steps, and each pause 2 s."""
    _, names = added("Callers", folder)
    rows = names["requests"].to_pylist()
    assert [row["intended_ps"] // 10**9 for row in rows] == [0, 2030, 4060]
    assert [row["prompt_tokens"] for row in rows] == [8, 16, 24]


def client_libraries(folder: Path) -> None:
    """Attempts after 0.1 to 0.2 s, then 0.2 to 0.4, 0.4 to 0.8 and 0.8 to 1.6 s."""
    rows = run("Client libraries", folder)
    by_ask: dict[int, list[int]] = {}
    for row in rows:
        by_ask.setdefault(row["ask"], []).append(row["intended_ps"])
    assert max(map(len, by_ask.values())) == 5
    for sent in by_ask.values():
        for number, (before, after) in enumerate(pairwise(sorted(sent))):
            assert 0.1 * 2**number <= (after - before) / 10**12 <= 0.2 * 2**number + 0.001


def executors(folder: Path) -> None:
    _, names = added("Executors", folder)
    assert (names["outcome"].asked, names["outcome"].simulated) == (3, 3)
    results = [names["store"].read(cell.key) for cell in names["sweep"].cells]
    assert [result["work"][0]["paid_nodes"] for result in results] == [1, 2, 3]


CHECKS: dict[str, Callable[[Path], None]] = {
    "Arrivals": arrivals,
    "Lengths": lengths,
    "Routing": routing,
    "Queue orders": queue_orders,
    "Orders at the gateway": orders_at_the_gateway,
    "Limits": limits,
    "Faults": faults,
    "Scaling policies": scaling_policies,
    "Hardware": hardware,
    "Collectives": collectives,
    "Trace formats": trace_formats,
    "Contents": contents,
    "Sections of the report": sections,
    "Figures": figures,
    "Metrics": metrics,
    "Callers": callers,
    "Client libraries": client_libraries,
    "Endpoints": endpoints,
    "Executors": executors,
}


@pytest.mark.parametrize("title", EXAMPLES)
def test_an_example_does_what_it_says(title: str, folder: Path) -> None:
    CHECKS[title](folder)


@pytest.mark.parametrize("title", EXAMPLES)
def test_an_example_is_short(title: str) -> None:
    lines = [line for line in EXAMPLES[title].python.splitlines() if line.strip()]
    assert len(lines) <= LONGEST, len(lines)


def test_a_kind_is_unknown_without_its_line_and_the_error_lists_it_with_it(folder: Path) -> None:
    with pytest.raises(UserError, match=r"`traffic\.s\.arrivals\.kind` is 'burst'"):
        load(folder / "tiny.yaml", EXAMPLES["Arrivals"].settings)
    added("Arrivals", folder)
    with pytest.raises(UserError, match="did you mean `burst`"):
        load(folder / "tiny.yaml", ["traffic.s.arrivals={kind: bursts, size: 3}"])
    with pytest.raises(UserError, match="is not a known setting; did you mean `size`"):
        load(folder / "tiny.yaml", ["traffic.s.arrivals={kind: burst, sise: 3, every_s: 1}"])


def test_a_kind_is_in_the_json_schema_and_runs_from_what_a_run_leaves(folder: Path) -> None:
    from sim.scenario.schema import Scenario

    found, _ = added("Arrivals", folder)
    assert "BurstArrivals" in json.dumps(Scenario.model_json_schema())
    plan = load(folder / "tiny.yaml", found.settings)
    (folder / "again.yaml").write_text(plan.resolved(), encoding="utf-8")
    assert load(folder / "again.yaml").base == plan.base
