"""`vllm bench forward` as a table of steps: what each case is in the law's terms, and what no step can be."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from hwmodels.calibrate.columns import TableError
from hwmodels.calibrate.sources import read_steps
from tests.support.cli import e80sim

Json = dict[str, object]


def request(query: int, kv: int, drafts: int = 0, *, chunked: bool = False) -> Json:
    return {"query_len": query, "kv_len": kv, "num_draft_tokens": drafts, "chunked": chunked}


def case(name: str, median_us: float, *requests: Json, spread: float = 0.1) -> Json:
    tokens = sum(int(str(one["query_len"])) for one in requests)
    rank = {"num_tokens": tokens, "latency_us": {"median": median_us, "sample_spread_pct": spread}}
    return {"case": name, "requests": list(requests), "median_us": median_us, "ranks": [rank]}


def written(folder: Path, cases: object) -> Path:
    path = folder / "forward.json"
    path.write_text(json.dumps(cases, indent=2), encoding="utf-8")
    return path


def test_cases_are_steps_of_prompts_and_decodes(tmp_path: Path) -> None:
    cases = [
        case("decode", 9000, *[request(1, 8193)] * 32),
        case("prefill", 45_000, request(2048, 2048), request(2048, 2048)),
        case("mix", 50_000.5, request(512, 4608, chunked=True), request(1, 101), request(1, 201)),
        case("first", 8000, request(1, 1)),
    ]
    table, remarks = read_steps(written(tmp_path, cases), {}, {})
    assert remarks == ()
    assert table.step_ms.tolist() == [9, 45, 50.0005, 8]
    assert table.decodes.tolist() == [32, 0, 2, 0]
    # Cached before the step: without the token that it computes.
    assert table.kv_tokens.tolist() == [32 * 8192, 0, 300, 0]
    assert table.new_tokens.tolist() == [0, 4096, 512, 1]
    assert table.chunks.tolist() == [0, 2, 1, 1]
    assert table.pairs(0).tolist() == [0, 2 * 2048 * 2049 / 2, 512 * 4096 + 512 * 513 / 2, 1]


def test_what_the_tool_calls_unstable_is_told(tmp_path: Path) -> None:
    path = written(tmp_path, [case("a", 10, request(1, 9)), case("b", 10, request(1, 9), spread=2.25)])
    assert read_steps(path, {}, {})[1] == (f"{path} case 'b': its samples spread by 2.2 %.",)


@pytest.mark.parametrize(
    ("cases", "sentence"),
    [
        ([], " holds no list of cases, as vllm bench forward"),
        ({"a": 1}, " holds no list of cases, as vllm bench forward"),
        ([{"a": 1, "b": 2}], " [0]: a, b is no case of vllm bench forward, which has requests and median_us"),
        ([case("v", 10, request(4, 100, 3))], " case 'v' requests[0]: it verifies draft tokens, and a step"),
        (
            [case("v", 10, request(9, 8))],
            " case 'v' requests[0]: kv_len is 8, and query_len, which it includes",
        ),
        ([case("v", 0, request(1, 8))], " case 'v': median_us is 0: a step takes more than no time"),
        ([case("v", 10)], " case 'v': it has no requests"),
        (
            [{**case("v", 10, request(0, 8))}],
            " case 'v' requests[0]: query_len is 0, expected a whole number",
        ),
    ],
)
def test_a_case_that_is_no_step_is_named(tmp_path: Path, cases: object, sentence: str) -> None:
    path = written(tmp_path, cases)
    with pytest.raises(TableError) as told:
        read_steps(path, {}, {})
    assert str(told.value).removeprefix(str(path)).startswith(sentence)


def test_a_step_that_computed_more_than_its_queries_is_refused(tmp_path: Path) -> None:
    replayed = {**case("hit", 10, request(100, 300)), "ranks": [{"num_tokens": 228}]}
    with pytest.raises(TableError, match="it computed 228 tokens, and the queries have 100"):
        read_steps(written(tmp_path, [replayed]), {}, {})


def test_columns_are_not_for_cases(tmp_path: Path) -> None:
    path = written(tmp_path, [case("a", 10, request(1, 9))])
    with pytest.raises(TableError, match="has no columns: leave --column and --where out"):
        read_steps(path, {"iteration_ms": "x"}, {})
    path.write_text("[{]")
    with pytest.raises(TableError, match="begins as JSON does, and is none"):
        read_steps(path, {}, {})


def test_calibrate_fits_what_the_tool_wrote(tmp_path: Path) -> None:
    """Times of 4 ms, 1 us for each token and 10 ns for each cached one: the fit finds them again."""
    cases: list[Mapping[str, object]] = []
    for decodes in (1, 4, 16, 64, 128):
        for kv in (257, 4097):
            time_us = 4000 + decodes + 0.01 * decodes * (kv - 1)
            cases.append(case(f"d{decodes}@{kv}", time_us, *[request(1, kv)] * decodes))
    cases += [case(f"p{n}", 4000 + n, request(n, n)) for n in (64, 96, 128, 256, 384, 512, 1024, 2048)]
    done = e80sim("calibrate", [str(written(tmp_path, cases)), "--json", "--holdout", "0"])
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["steps"] == 18
    assert json.loads(done.stdout)["errors"][0]["mape"] < 0.05
