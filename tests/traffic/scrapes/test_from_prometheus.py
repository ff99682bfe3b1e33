"""Scrapes of vLLM's metrics as a source of a scenario: what grew, over which time, and how long it was."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from pydantic import TypeAdapter

from e80sim.mistakes import UserError
from tests.support.cli import e80sim
from traffic.arrivals import Arrivals
from traffic.lengths import Length
from traffic.scrapes.counted import count
from traffic.scrapes.exposition import Sample, read_samples

INF = float("inf")


def exposition(ended: dict[str, int], prompt: list[int], output: list[int], sums: tuple[int, int]) -> str:
    """Cumulated counts at 10, 100 and +Inf."""
    lines = ["# HELP vllm:request_success_total Count", "# TYPE vllm:request_success_total counter"]
    for reason, value in ended.items():
        lines.append(
            f'vllm:request_success_total{{engine="0",finished_reason="{reason}",model_name="m"}} {value}.0'
        )
    for name, counts, total in (
        ("request_prompt_tokens", prompt, sums[0]),
        ("request_generation_tokens", output, sums[1]),
    ):
        for edge, value in zip(("10.0", "100.0", "+Inf"), counts, strict=True):
            lines.append(f'vllm:{name}_bucket{{engine="0",le="{edge}",model_name="m"}} {value}.0')
        lines.append(f'vllm:{name}_sum{{engine="0",model_name="m"}} {total}.0')
    return "\n".join([*lines, ""])


FIRST = exposition({"stop": 10, "length": 0}, [5, 10, 10], [10, 10, 10], (300, 50))
SECOND = exposition({"stop": 40, "length": 10}, [5, 50, 50], [30, 50, 50], (2300, 850))
THIRD = exposition({"stop": 15, "length": 5}, [0, 20, 20], [0, 20, 20], (1000, 1000))
"""The server was started anew: 20 requests have ended since."""


def written(folder: Path, *texts: str) -> list[Path]:
    paths = [folder / f"scrape-{place}.txt" for place in range(len(texts))]
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text, encoding="utf-8")
    return paths


def test_counters_grow_from_scrape_to_scrape_and_start_anew(tmp_path: Path) -> None:
    counted = count(written(tmp_path, FIRST, SECOND, THIRD), 60.0, None, None)
    assert counted.model == "m"
    assert counted.windows == ((60.0, 40.0), (60.0, 20.0))
    assert counted.prompt.edges == (10, 100, INF)
    assert counted.prompt.counts == (0, 40 + 20, 0)
    assert counted.prompt.tokens == 2000 + 1000
    assert counted.output.counts == (20, 20 + 20, 0)


def test_the_source_has_the_rates_and_the_very_mean_of_the_lengths(tmp_path: Path) -> None:
    paths = [str(path) for path in written(tmp_path, FIRST, SECOND, THIRD)]
    done = e80sim("trace", ["from-prometheus", *paths, "--every-s", "60"])
    assert done.exit_code == 0, done.stderr
    assert done.stdout.startswith("# m: 60 requests ended in 120 s, as vLLM counted them.\n")
    source = yaml.safe_load(done.stdout)
    assert source["arrivals"]["rate"]["segments"] == [
        {"until_s": 60.0, "rate_per_s": 0.666667},
        {"until_s": 120.0, "rate_per_s": 0.333333},
    ]
    arrivals = TypeAdapter(Arrivals).validate_python(source["arrivals"])
    assert arrivals.mean_rate_per_s == pytest.approx(0.5, rel=1e-5)
    assert [bucket["up_to"] for bucket in source["lengths"]["prompt"]["buckets"]] == [10, 100]
    drawn = (
        TypeAdapter(Length)
        .validate_python(source["lengths"]["prompt"])
        .sample(np.random.default_rng(1), 200_000)
    )
    assert (drawn.min(), drawn.max()) == (11, 100)
    assert drawn.mean() == pytest.approx(50, rel=0.005)  # 3,000 tokens of 60 prompts
    output = (
        TypeAdapter(Length)
        .validate_python(source["lengths"]["output"])
        .sample(np.random.default_rng(1), 200_000)
    )
    assert output.mean() == pytest.approx(1800 / 60, rel=0.01)
    assert (output <= 10).mean() == pytest.approx(20 / 60, abs=0.005)


def test_one_scrape_counts_from_the_servers_start(tmp_path: Path) -> None:
    (path,) = written(tmp_path, SECOND)
    done = e80sim(
        "trace", ["from-prometheus", str(path), "--over-s", "100", "--out", str(tmp_path / "s.yaml")]
    )
    assert (done.exit_code, done.stdout) == (0, f"{tmp_path / 's.yaml'}\n")
    source = yaml.safe_load((tmp_path / "s.yaml").read_text())
    assert source["arrivals"] == {"kind": "poisson", "rate_per_s": 0.5}


def test_the_answer_of_a_range_query_has_its_own_times(tmp_path: Path) -> None:
    series: dict[tuple[str, str], list[list[object]]] = {}
    for at_s, text in ((1000, FIRST), (1015.5, SECOND)):
        (path,) = written(tmp_path, text)
        for sample in read_samples(path):
            key = sample.name, json.dumps(sample.labels)
            series.setdefault(key, []).append([at_s, str(sample.value)])
    result = [
        {"metric": {"__name__": name, **json.loads(labels)}, "values": v}
        for (name, labels), v in series.items()
    ]
    path = tmp_path / "range.json"
    path.write_text(json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}}))
    counted = count([path], None, None, None)
    assert counted.windows == ((15.5, 40.0),)
    assert counted.prompt.counts == (0, 40, 0)


def test_a_line_of_the_text_format_may_have_escapes_a_time_and_an_exemplar(tmp_path: Path) -> None:
    text = 'vllm_a_total{model_name="a\\"b\\\\c,d}",le="+Inf"} 1e3 17 # {trace_id="x"} 0.5\nplain 2\n# EOF\n'
    (path,) = written(tmp_path, text)
    assert read_samples(path) == [
        Sample("vllm:a_total", {"model_name": 'a"b\\c,d}', "le": "+Inf"}, 1000.0),
        Sample("plain", {}, 2.0),
    ]


@pytest.mark.parametrize(
    ("texts", "options", "sentence"),
    [
        ((FIRST,), {}, "is one scrape: state --over-s, how long its counters had run"),
        ((FIRST, SECOND), {}, "2 scrapes do not say when they were made: state --every-s"),
        (("up 1\n",), {"over_s": 1.0}, "has no vllm:request_prompt_tokens_bucket: it is no scrape of vLLM's"),
        (("oops\n",), {}, "line 1: 'oops' is no sample of Prometheus' text format"),
        (("a b\n",), {}, "line 1: 'b' is not a number"),
        (("",), {}, "holds no samples"),
        (('{"a": 1}',), {}, "is JSON, and not what /api/v1/query_range answers"),
        ((FIRST, FIRST), {"every_s": 5.0}, "vllm:request_prompt_tokens counted no request"),
        ((FIRST + FIRST.replace('"m"', '"n"'),), {"over_s": 1.0}, "has 2 models: choose with --model m, n"),
        ((FIRST,), {"over_s": 1.0, "model": "x"}, "--model x: "),
        (
            (FIRST.replace('le="+Inf"', 'le="200"'),),
            {"over_s": 1.0},
            "has no histogram vllm:request_prompt_tokens with",
        ),
        ((FIRST.replace("} 5.0", "} 15.0"),), {"over_s": 1.0}, "do not add up: a longer one counts fewer"),
    ],
)
def test_what_cannot_be_used_is_told(
    tmp_path: Path, texts: tuple[str, ...], options: dict[str, float | str], sentence: str
) -> None:
    given = {"every_s": None, "over_s": None, "model": None, **options}
    with pytest.raises(UserError) as told:
        count(written(tmp_path, *texts), **given)  # type: ignore[arg-type]
    assert sentence in str(told.value)


def test_lengths_beyond_the_last_bucket_want_an_end(tmp_path: Path) -> None:
    (path,) = written(tmp_path, exposition({"stop": 10}, [5, 8, 10], [10, 10, 10], (2000, 50)))
    options = [str(path), "--over-s", "10"]
    done = e80sim("trace", ["from-prometheus", *options])
    assert done.exit_code == 2
    assert (
        "2 of 10 prompts are longer than the last bucket, 100 tokens: state --longest-tokens" in done.stderr
    )
    done = e80sim("trace", ["from-prometheus", *options, "--longest-tokens", "100"])
    assert done.stderr == "e80sim: --longest-tokens 100: prompts lie above 100 tokens\n"
    done = e80sim("trace", ["from-prometheus", *options, "--longest-tokens", "2000"])
    assert yaml.safe_load(done.stdout)["lengths"]["prompt"]["buckets"][-1] == {"up_to": 2000, "share": 2.0}
