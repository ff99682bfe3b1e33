"""Every slip of a user becomes one sentence: the file, the line, the value and what would be right."""

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.scenario.check import limit_notes
from sim.scenario.load import Plan, load
from sim.scenario.source_map import ScenarioError, parse_yaml

GOOD = """\
name: tiny
models:
  llama:
    id: llama
    llm: llama3.1-8b
    hardware: {preset: hc1, kv_pool_tokens: 25000}
    nodes: 2
    context_tokens: 25000
    batching: {max_num_seqs: 1}
    limits: {requests_per_minute: 250, tokens_per_minute: 100000}
network:
  site: aws:us-east-1
  places:
    home: {kind: internet, access: cable, near: "aws:us-east-1"}
    edge: {kind: edge}
apps:
  agent: {place: edge, model: llama, calls: 5}
traffic:
  chat:
    place: home
    app: agent
    arrivals: {kind: poisson, rate_per_s: 4}
    lengths:
      prompt: {kind: lognormal, median: 250, sigma: 0.6, high: 4000}
      output: {kind: fixed, tokens: 80}
run:
  horizon_s: 100
  warm_up_s: 10
variants:
  two: {title: two nodes}
  one: {title: one node, set: {models.llama.nodes: 1}}
"""
LENGTHS = GOOD[GOOD.index("    lengths:") : GOOD.index("run:")]
JARGON = re.compile(
    r"[Ii]nput should|function-|discriminator|pydantic|Traceback|Node\(|valid dictionary|\bNone\b"
)
TRACE_HEADER = "TIMESTAMP,ContextTokens,GeneratedTokens\n"


def complaint(folder: Path, text: str, settings: Sequence[str] = ()) -> str:
    """What `load` says, with the file's bare name."""
    file = folder / "study.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ScenarioError) as raised:
        load(file, settings)
    sentence = str(raised.value)
    assert "\n" not in sentence
    assert not JARGON.search(sentence), sentence
    return sentence.replace(f"{folder}/", "")


def accepted(folder: Path, text: str = GOOD, settings: Sequence[str] = ()) -> Plan:
    file = folder / "study.yaml"
    file.write_text(text, encoding="utf-8")
    return load(file, settings)


SLIPS = [
    # Unknown keys: at the top, nested, in a union's member, in what a variant sets
    ("\ntraffic:", "\ntrafic:", 18, "`trafic` is not a known setting; did you mean `traffic`?"),
    ("    nodes:", "    nodez:", 7, "`models.llama.nodez` is not a known setting; did you mean `nodes`?"),
    ("max_num_seqs", "max_seqs", 9, "`models.llama.batching.max_seqs` is not a known setting; did you mean"),
    ("kv_pool_tokens", "kv_pool", 6, "`models.llama.hardware.kv_pool` is not a known setting; did you mean"),
    ("near:", "nearby:", 14, "`network.places.home.nearby` is not a known setting; did you mean `near`?"),
    (
        "rate_per_s",
        "rate",
        22,
        "`traffic.chat.arrivals.rate` is not a known setting; did you mean `rate_per_s`?",
    ),
    (
        "tokens: 80",
        "token: 80",
        25,
        "`traffic.chat.lengths.output.token` is not a known setting; did you mean",
    ),
    ("llama.nodes: 1", "llama.nodez: 1", 31, "in variant `one`, `models.llama.nodez` is not a known setting"),
    ("llama.nodes: 1", "lama.nodes: 1", 31, "there is no model `lama`; did you mean `llama`?"),
    ("models.llama.nodes: 1", "modells.llama.nodes: 1", 31, "cannot set `modells.llama.nodes`; did you mean"),
    ("models.llama.nodes: 1", "name: x", 31, "variant `one` cannot set `name`"),
    (
        "models.llama.nodes: 1",
        "run.horizon_s: 9",
        31,
        "cannot set `run.horizon_s`: all variants share one `run`",
    ),
    ("models.llama.nodes: 1", "run: {seed: 2}", 31, "cannot set `run`: all variants share one `run`"),
    ("models.llama.nodes: 1", "serve.place: edge", 31, "cannot set `serve.place`: the live server has one"),
    ("models.llama.nodes: 1", "title: x", 31, "cannot set `title`: a variant has a `title` of its own"),
    ("models.llama.nodes: 1", "question: x", 31, "cannot set `question`: all variants answer one question"),
    # Kinds and choices
    (
        "kind: poisson",
        "kind: poison",
        22,
        "`traffic.chat.arrivals.kind` is 'poison'; did you mean `poisson`?",
    ),
    (
        "kind: internet",
        "kind: intranet",
        14,
        "`network.places.home.kind` is 'intranet'; did you mean `internet`?",
    ),
    ("kind: internet, ", "", 14, "`network.places.home.kind` is missing; it can be `edge`, `region`"),
    (
        "{preset: hc1, kv_pool_tokens: 25000}",
        "{kind: asic}",
        6,
        "`models.llama.hardware.kind` is 'asic'; it can",
    ),
    ("access: cable", "access: fiber", 14, "`network.places.home.access` is 'fiber'; did you mean `fibre`?"),
    ("calls: 5", "calls: 5, mode: parallel", 17, "`apps.agent.mode` is 'parallel'; it can be `sequential`"),
    ("kind: lognormal", "kind: normal", 24, "`traffic.chat.lengths.prompt.kind` is 'normal'; did you mean"),
    # Types
    ("nodes: 2", "nodes: four", 7, "`models.llama.nodes` is 'four': it must be a whole number"),
    ("nodes: 2", "nodes: 2.5", 7, "`models.llama.nodes` is 2.5: it must be a whole number"),
    ("nodes: 2", "nodes: true", 7, "`models.llama.nodes` is true: it must be a whole number"),
    ("nodes: 2", "nodes:", 7, "`models.llama.nodes` is empty: it must be a whole number"),
    ("horizon_s: 100", "horizon_s: 100s", 27, "`run.horizon_s` is '100s': it must be a number"),
    ("warm_up_s: 10", "warm_up_s: soon", 28, "`run.warm_up_s` is 'soon': it must be a number"),
    ("name: tiny", f"name: {'t' * 240}", 1, "...: it must have 100 characters or fewer"),
    ("    id: llama\n", f"    id: {'l' * 240}\n", 4, "...: it must have 200 characters or fewer"),
    ("    id: llama\n", "    id: ''\n", 4, "`models.llama.id` is '': it must not be empty"),
    (
        "  llama:",
        f"  {'l' * 65}:",
        3,
        f"`models.{'l' * 57}...` is '{'l' * 56}...: it must have 64 characters",
    ),
    (
        "  two:",
        "  con/../x:",
        30,
        "`variants.con/../x` is 'con/../x': names are lower-case letters and digits",
    ),
    ("name: tiny", "name: 5", 1, "`name` is 5: it must be text, in quotes"),
    ("nodes: 2", "nodes: 1:30", 7, "`models.llama.nodes` is '1:30': it must be a whole number"),
    ("nodes: 2", "nodes: yes", 7, "`models.llama.nodes` is 'yes': it must be a whole number"),
    (
        "edge: {kind: edge}",
        "edge: edge",
        15,
        "`network.places.edge` is 'edge': it must be a mapping with a `kind`",
    ),
    (
        "{kind: fixed, tokens: 80}",
        "80",
        25,
        "`traffic.chat.lengths.output` is 80: it must be a mapping with a `k",
    ),
    ("{models.llama.nodes: 1}", "[models]", 31, "`variants.one.set` is [models]: it must be a mapping"),
    ("models.llama.nodes: 1", "models.llama.nodes.x: 1", 31, "`models.llama.nodes` is 2 and has no `x`"),
    (
        "models.llama.nodes: 1",
        "models.llama: 5",
        31,
        "in variant `one`, `models.llama` is 5: it must be a mapping",
    ),
    # Bounds
    ("nodes: 2", "nodes: 0", 7, "`models.llama.nodes` is 0: it must be 1 or more"),
    (
        "rate_per_s: 4",
        "rate_per_s: -4",
        22,
        "`traffic.chat.arrivals.rate_per_s` is -4: it must be more than 0",
    ),
    (
        "rate_per_s: 4",
        "rate_per_s: .nan",
        22,
        "`traffic.chat.arrivals.rate_per_s` is nan: it must be a finite",
    ),
    ("horizon_s: 100", "horizon_s: .inf", 27, "`run.horizon_s` is inf: it must be a finite number"),
    ("horizon_s: 100", "horizon_s: 1e9", 27, "`run.horizon_s` is 1000000000: it must be 4,000,000 or less"),
    ("calls: 5", "cpu_ms: -3", 17, "`apps.agent.cpu_ms` is -3: it must be 0 or more"),
    ("tokens: 80", "tokens: 0", 25, "`traffic.chat.lengths.output.tokens` is 0: it must be 1 or more"),
    (
        "preset: hc1,",
        "preset: hc1, decode_step_ms: 0,",
        6,
        "`models.llama.hardware.decode_step_ms` is 0: it must be",
    ),
    # Missing
    ("    context_tokens: 25000\n", "", 3, "`models.llama.context_tokens` is missing"),
    ("run:\n  horizon_s: 100\n  warm_up_s: 10\n", "", 1, "`run` is missing"),
    (
        "{requests_per_minute: 250, tokens_per_minute: 100000}",
        "{scope: key}",
        10,
        "`models.llama.limits`: a limit needs at least one of `requests_per_minute`, `tokens_per_minute`, ",
    ),
    (
        "requests_per_minute: 250, ",
        "requests_per_minute: 250, window_s: 10, ",
        10,
        "`models.llama.limits`: `requests_per_minute: 250` are 41.6667 in a window of 10 s: choose them so ",
    ),
    (
        "requests_per_minute: 250, ",
        "algorithm: quantised, ",
        10,
        "`models.llama.limits`: `quantised` needs `quantum_s`: how often a portion of the limit comes back",
    ),
    (
        "requests_per_minute: 250, ",
        "quantum_s: 1, ",
        10,
        "`models.llama.limits`: `quantum_s` means nothing to `token_bucket`: state `algorithm: quantised`",
    ),
    (
        "requests_per_minute: 250, ",
        "algorithm: quantised, quantum_s: 7, ",
        10,
        "`models.llama.limits`: a window of 60 s does not hold a whole number of quanta of 7 s",
    ),
    ("    app: agent\n", "", 19, "`traffic.chat`: a source names either `model` or `app`"),
    (
        "app: agent",
        "app: agent\n    model: llama",
        19,
        "`traffic.chat`: a source names either `model` or `app`",
    ),
    (LENGTHS, "", 19, "`traffic.chat.lengths` is missing"),
    (LENGTHS, "    lengths: {kind: trace}\n", 19, "lengths of kind 'trace' need a path"),
    # Names that nothing has
    ("place: edge", "place: egde", 17, "there is no place `egde`; did you mean `edge`?"),
    ("place: home", "place: moon", 20, "there is no place `moon`; there are `home`, `edge`"),
    ("model: llama", "model: lama", 17, "there is no model `lama`; did you mean `llama`?"),
    ("app: agent", "app: agnet", 21, "there is no app `agnet`; did you mean `agent`?"),
    ("models.llama.nodes: 1", "apps.agent.place: moon", 31, "in variant `one`, there is no place `moon`"),
    ("preset: hc1", "preset: hc2", 6, "no hardware preset 'hc2'; did you mean hc1"),
    (
        "site: aws:us-east-1",
        "site: us-east-1",
        12,
        "there is no region 'us-east-1'; did you mean 'aws:us-east-1'?",
    ),
    ("llm: llama3.1-8b", "llm: llama-8b", 5, "no LLM 'llama-8b'; did you mean llama3.1-8b?"),
    ("llm: llama3.1-8b", "llm: gpt-oss-20b", 6, "hc1 is made for llama3.1-8b, not for gpt-oss-20b"),
    ("  chat:", "  Chat Room:", 19, "names are lower-case letters and digits, as in `chat_room`"),
    (
        "name: tiny",
        "name: Tiny Run",
        1,
        "`name` is 'Tiny Run': names are lower-case letters and digits, as in `tiny-",
    ),
    # Sizes that do not fit
    (
        "kv_pool_tokens: 25000",
        "kv_pool_tokens: 6144",
        8,
        "a context of 25,000 tokens does not fit the KV pool of",
    ),
    (
        "tokens: 80",
        "tokens: 80000",
        23,
        "every request of `chat` has at least 80,001 tokens, and its model takes",
    ),
    ("median: 250", "median: 9000", 24, "the median 9000 must lie between low 1 and high 4000"),
    ("max_num_seqs: 1", "max_num_seqs: 99", 9, "max_num_seqs 99 is more than the chip has: at most 1"),
    # Policies that contradict each other
    (
        "max_num_seqs: 1",
        "preempt: true",
        9,
        "`models.llama.batching`: `preempt` pushes out by priority, and queue `fcfs` does not go by it",
    ),
    (
        "max_num_seqs: 1",
        "admission: static, queue: priority, preempt: true",
        9,
        "`preempt` lets a request into a batch that runs, and with `static` admission nobody joins one",
    ),
    *(
        (
            "max_num_seqs: 1",
            f"async_scheduling: true, {other}",
            9,
            f"forms steps of `continuous` batches whose prompts are `chunked`, and `{other}` is stated",
        )
        for other in ("prefill: whole", "admission: static")
    ),
    (
        "max_num_seqs: 1",
        "prefill: whole, max_num_batched_tokens: 100",
        9,
        "whole prompts of up to 25,000 tokens, the context of `llama`, do not fit a step of 100: raise",
    ),
    (  # Nobody can state a larger step than the chip's pipeline is deep.
        "1, kv_pool_tokens: 25000}\n    nodes: 2\n    context_tokens: 25000\n    batching: {max_num_seqs: 1}",
        "1_pipelined, kv_pool_tokens: 25000}\n    context_tokens: 25000\n    batching: {prefill: whole}",
        8,
        "do not fit a step of 32: lower context_tokens, or prefill in chunks",
    ),
    ("max_num_seqs: 1", "admission: dynamic", 9, "`dynamic` admission needs `max_queue_delay_ms`"),
    (
        "max_num_seqs: 1",
        "max_queue_delay_ms: 5",
        9,
        "`max_queue_delay_ms` means nothing to `continuous` admission",
    ),
    ("max_num_seqs: 1", "queue: fiar", 9, "`models.llama.batching.queue` is 'fiar'; did you mean `fair`?"),
    ("horizon_s: 100", "horizon_s: 5", 26, "warm_up_s (10) leaves nothing of horizon_s (5) to measure"),
    # What is not YAML, or not ours
    ("nodes: 2", "nodes: 2\n    nodes: 3", 8, "`nodes` stands here a second time"),
    ("    nodes: 2", "\tnodes: 2", 7, "this is not YAML: a line starts with a tab; indent with spaces"),
    (
        "    nodes: 2",
        "      nodes: 2",
        7,
        "this is not YAML: did not find expected key; mostly that is a line ind",
    ),
    ("edge: {kind: edge}", "edge: {kind: edge", 16, "the bracket opens in line 15"),
    ("id: llama\n", "id: *other\n", 4, "this is not YAML: found undefined alias"),
    ("nodes: 2", "nodes: &n [*n]", 7, "an anchor (&) that holds its own alias (*)"),
    ("name: tiny", "? [a, b]\n: 3\nname: tiny", 1, "a list or a mapping cannot be a name"),
    ("name: tiny", "<<: {title: x}\nname: tiny", 1, "`<<` is not known here"),
    ("nodes: 2", f"nodes: {'9' * 5000}", 7, "cannot be read: Exceeds the limit"),
    ("run:", "---\nrun:", 26, "a file is one document, and a second one starts here"),
]


@pytest.mark.parametrize(("said", "slip", "line", "sentence"), SLIPS)
def test_a_slip_is_told_with_its_line_its_value_and_what_would_be_right(
    tmp_path: Path, said: str, slip: str, line: int, sentence: str
) -> None:
    assert said in GOOD
    told = complaint(tmp_path, GOOD.replace(said, slip, 1))
    assert told.startswith(f"study.yaml:{line}: "), told
    assert sentence in told


def test_the_scenario_that_all_of_them_spoil_is_right_itself(tmp_path: Path) -> None:
    plan = accepted(tmp_path)
    assert [scenario.models["llama"].nodes for scenario in plan.variants.values()] == [2, 1]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "study.yaml: a scenario is a mapping of sections such as `models` and `traffic`, and this is e"),
        ("# only a comment\n", "study.yaml: a scenario is a mapping of sections"),
        ("- models\n- traffic\n", "study.yaml: a scenario is a mapping of sections"),
        ("just a word", "study.yaml: a scenario is a mapping of sections"),
        ("name: \x00", "study.yaml: this is not YAML: control characters are not allowed"),
    ],
)
def test_what_is_no_scenario_at_all_is_told_so(tmp_path: Path, text: str, sentence: str) -> None:
    assert complaint(tmp_path, text).startswith(sentence)


def test_a_file_that_cannot_be_read_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"nowhere\.yaml: there is no such file$"):
        load(tmp_path / "nowhere.yaml")
    with pytest.raises(ScenarioError, match=r"cannot be read: Is a directory$"):
        load(tmp_path)
    (tmp_path / "latin.yaml").write_bytes(b"name: caf\xe9\n")
    with pytest.raises(ScenarioError, match=r"latin\.yaml: this is not a text file in UTF-8$"):
        load(tmp_path / "latin.yaml")


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ("2023-11-16 18:15:46,374,44\n2023-11-16 18:15:47,-3,4\n", "line 3: ContextTokens is '-3'"),
        ("2023-11-16 18:15:46,374\n", "line 2: '2023-11-16 18:15:46,374' has 2 columns, expected 3"),
        ("yesterday,374,44\n", "line 2: TIMESTAMP is 'yesterday'"),
        ("2023-11-16 18:15:46,1,1\n2023-11-16 18:15:45,1,1\n", "line 3: 2023-11-16 18:15:45 is before"),
        ("", "holds no rows"),
    ],
)
def test_a_malformed_trace_row_is_told_with_its_own_file_and_line(
    tmp_path: Path, rows: str, sentence: str
) -> None:
    (tmp_path / "calls.csv").write_text(TRACE_HEADER + rows, encoding="utf-8")
    told = complaint(tmp_path, GOOD.replace("kind: poisson, rate_per_s: 4", "kind: trace, path: calls.csv"))
    assert told.startswith("study.yaml:22: calls.csv ")
    assert sentence in told


def test_a_trace_that_is_not_there_is_told_with_its_path(tmp_path: Path) -> None:
    told = complaint(tmp_path, GOOD.replace("kind: poisson, rate_per_s: 4", "kind: trace, path: calls.csv"))
    assert told == "study.yaml:22: cannot read the trace calls.csv: No such file or directory"


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("models.llama.nodes=four", "`models.llama.nodes` is 'four': it must be a whole number"),
        ("models.llama.nodes=", "`models.llama.nodes` is empty: it must be a whole number"),
        ("models.llama.nodes=[1", "'[1' is not a YAML value"),
        ("models.llama.nodez=4", "`models.llama.nodez` is not a known setting; did you mean `nodes`?"),
        ("models.lama.nodes=4", "there is no model `lama`; did you mean `llama`?"),
        ("models.llama.nodes.x=4", "`models.llama.nodes` is 2 and has no `x`"),
        ("network.places.egde.kind=edge", "there is no place `egde`; did you mean `edge`?"),
        ("nodes=4", "`nodes` is not a known setting; did you mean `models`?"),
        ("models..nodes=4", "`models..nodes` is not a path such as models.llama.nodes"),
        ("models.llama.nodes", "write it as path=value, such as models.llama.nodes=4"),
        ("=4", "write it as path=value, such as models.llama.nodes=4"),
        ("run.seed=-1", "`run.seed` is -1: it must be 0 or more"),
        ("run={}", "`run.horizon_s` is missing"),
    ],
)
def test_a_bad_setting_is_told_with_what_was_typed(tmp_path: Path, setting: str, sentence: str) -> None:
    assert complaint(tmp_path, GOOD, [setting]) == f"--set {setting}: {sentence}"


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (
            ["run.seed=3", "run.horizon_s=5"],
            "--set run.horizon_s=5: `run`: warm_up_s (10) leaves nothing of horizon_s (5) to measure",
        ),
        (
            ["models.llama.hardware.kv_pool_tokens=9000", "run.seed=3"],
            "--set models.llama.hardware.kv_pool_tokens=9000: a context of 25,000 tokens does not fit",
        ),
        (  # good for the file, and bad for a variant
            [
                "models.llama.hardware.kv_pool_tokens=26000",
                "variants.one.set.models.llama.context_tokens=27000",
            ],
            "--set variants.one.set.models.llama.context_tokens=27000: in variant `one`, a context of 27,000",
        ),
    ],
)
def test_of_a_setting_and_the_line_that_it_collides_with_the_setting_is_named(
    tmp_path: Path, settings: Sequence[str], sentence: str
) -> None:
    assert complaint(tmp_path, GOOD, settings).startswith(sentence)


def test_a_mistake_of_the_file_is_not_put_on_a_setting(tmp_path: Path) -> None:
    bad = GOOD.replace("context_tokens: 25000", "context_tokens: 26000")
    told = complaint(tmp_path, bad, ["run.seed=3", "models.llama.nodes=3"])
    assert told.startswith("study.yaml:8: a context of 26,000 tokens does not fit the KV pool")


def test_what_a_variant_sets_is_named_and_not_the_line_that_it_collides_with(tmp_path: Path) -> None:
    small = "models.llama.nodes: 1, models.llama.hardware.kv_pool_tokens: 9000"
    told = complaint(tmp_path, GOOD.replace("models.llama.nodes: 1", small))
    assert told.startswith("study.yaml:31: in variant `one`, a context of 25,000 tokens does not fit")


SHIPPED = sorted((Path(__file__).parents[3] / "scenarios").glob("*.yaml"))
FLOW = """name: 'a "quoted" one'
models: {a: [1, "two\\n", {b: &x c}], d: *x}
text: |
  so
   far
  # no comment
more: !!str "and
  on" # a comment
? key
: [value,
]
"""


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_a_file_that_ends_anywhere_is_read_or_refused_with_its_line(newline: str) -> None:
    for end in range(len(FLOW) + 1):
        _read_or_refused(FLOW[:end].replace("\n", newline))


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
@settings(max_examples=20)  # of each file
@given(data=st.data())
def test_a_shipped_scenario_that_is_cut_or_garbled_is_read_or_refused_with_its_line(
    file: Path, data: st.DataObject
) -> None:
    text = file.read_text(encoding="utf-8")
    start = data.draw(st.integers(0, len(text)))
    inserted = data.draw(
        st.text(st.sampled_from("[]{}'\"|>&*!%@`#:,-? \t\n\r\x85\u2028\x00\ufeffa1"), max_size=4)
    )
    end = data.draw(st.sampled_from([start, len(text)]))
    _read_or_refused(text[:start] + inserted + text[end:])


def _read_or_refused(text: str) -> None:
    try:
        parse_yaml(text, "cut.yaml")
    except ScenarioError as refused:
        said = str(refused)
    else:
        return
    found = re.match(r"cut\.yaml(?::(\d+))?: ", said)
    assert found, said
    assert 1 <= int(found[1] or 1) <= len(text.splitlines()) + 1, said


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "name: [unclosed",
            "cut.yaml:2: this is not YAML: did not find expected ',' or ']'; the bracket opens in line 1",
        ),
        (
            "name: [unclosed\n",
            "cut.yaml:2: this is not YAML: did not find expected ',' or ']'; the bracket opens in line 1",
        ),
        (
            "name: 'unclosed\n",
            "cut.yaml:2: this is not YAML: found unexpected end of stream; the quote opens in line 1",
        ),
        (
            "a: " + "[" * 60 + "]" * 60,
            "cut.yaml:1: this is not YAML: more than 50 lists and mappings, each inside the other",
        ),
        ("a: " + "[" * 100_000, "cut.yaml:1: this is not YAML: more than 50 lists"),
    ],
)
def test_the_end_of_a_file_inside_a_bracket_or_a_quote_is_told(text: str, sentence: str) -> None:
    with pytest.raises(ScenarioError) as refused:
        parse_yaml(text, "cut.yaml")
    assert str(refused.value).startswith(sentence)


def test_aliases_of_aliases_do_not_grow_without_bound() -> None:
    laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)
    )
    with pytest.raises(ScenarioError, match=r"^cut.yaml:\d+: more than 100,000 values"):
        parse_yaml(laughs, "cut.yaml")


def test_settings_reach_sections_that_the_file_leaves_out_and_single_items_of_lists(tmp_path: Path) -> None:
    settings = [
        "gateway.overhead_ms=2.5",
        "run.percentiles=[50, 75]",
        "run.percentiles.1=80",
        "run.horizon_s=2e2",
    ]
    base = accepted(tmp_path, settings=[*settings, "variants.one.set.models.llama.nodes=3"]).base
    assert (base.gateway.overhead_ms, base.run.percentiles, base.run.horizon_s) == (2.5, [50, 80], 200)
    assert base.variants["one"].set == {"models.llama.nodes": 3}


def test_a_number_may_be_written_with_an_exponent_and_text_may_look_like_one(tmp_path: Path) -> None:
    plan = accepted(
        tmp_path, GOOD.replace("horizon_s: 100", "horizon_s: 1e3").replace("id: llama", "id: '1e3'")
    )
    assert plan.base.run.horizon_s == 1000
    assert plan.base.models["llama"].id == "1e3"


def test_the_resolved_scenario_says_the_same_again(tmp_path: Path) -> None:
    plan = accepted(tmp_path, settings=["models.llama.nodes=7"])
    again = accepted(tmp_path, plan.resolved())
    assert again == plan
    assert yaml.safe_load(plan.resolved())["models"]["llama"]["nodes"] == 7


# Percentiles that a run is too short for. 4 requests/s x (100 - 10) s x 10 replications are 3,600 requests.


def test_percentiles_that_a_scenario_states_must_be_reachable(tmp_path: Path) -> None:
    stated = GOOD.replace("  warm_up_s: 10\n", "  warm_up_s: 10\n  percentiles: [50, 99.9]\n")
    # 10 / 0.001 = 10,000 requests take 10,000 / (4 x 10) = 250 s after the warm-up.
    assert complaint(tmp_path, stated) == (
        "study.yaml:29: a p99.9 needs 10,000 requests, and `chat` sends about 3,600 after the warm-up "
        "in 10 replications: horizon_s must be 260 or more, or replications higher"
    )
    assert accepted(tmp_path, stated, ["run.horizon_s=260"]).base.run.percentiles == [50, 99.9]
    accepted(tmp_path, stated, ["run.replications=28"])


def test_percentiles_that_nobody_stated_refuse_nothing(tmp_path: Path) -> None:
    plan = accepted(tmp_path, GOOD, ["run.horizon_s=11", "run.replications=1"])
    assert plan.base.run.percentiles == [50, 90, 95, 99]


def test_a_low_percentile_needs_as_many_requests_as_its_mirror_image(tmp_path: Path) -> None:
    assert "a p0.1 needs 10,000 requests" in complaint(tmp_path, GOOD, ["run.percentiles=[0.1, 50]"])


def test_a_trace_that_ends_before_enough_requests_came_cannot_be_waited_for(tmp_path: Path) -> None:
    rows = "".join(f"2023-11-16 18:15:{second},100,10\n" for second in range(10, 41))
    (tmp_path / "calls.csv").write_text(TRACE_HEADER + rows, encoding="utf-8")
    traced = GOOD.replace("kind: poisson, rate_per_s: 4", "kind: trace, path: calls.csv")
    # One request a second from 0 to 30 s, of which (30 - 10) x 10 count.
    told = complaint(tmp_path, traced, ["run.percentiles=[99]"])
    assert "`chat` sends about 200 after the warm-up in 10 replications: its trace is too short" in told
    accepted(tmp_path, traced, ["run.percentiles=[95]"])


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("[0]", "`run.percentiles.0` is 0: it must be 0.001 or more"),
        ("[50, 100]", "`run.percentiles.1` is 100: it must be 99.999 or less"),
        ("[]", "`run.percentiles` is []: it must hold at least 1"),
        ("99", "`run.percentiles` is 99: it must be a list"),
    ],
)
def test_percentiles_lie_between_0_and_100(tmp_path: Path, value: str, sentence: str) -> None:
    setting = f"run.percentiles={value}"
    assert complaint(tmp_path, GOOD, [setting]) == f"--set {setting}: {sentence}"


def test_a_number_means_the_same_in_the_file_after_set_and_in_a_variant(tmp_path: Path) -> None:
    variants = """
variants:
  a: {set: {models.llama.context_tokens: 0250}}
  b: {set: {models.llama.nodes: 07}}
"""
    file = tmp_path / "study.yaml"
    text = GOOD[: GOOD.index("variants:")].replace("nodes: 2", "nodes: 012") + variants
    file.write_text(text, encoding="utf-8")
    plan = load(file, ["run.seed=010"])
    assert (plan.base.models["llama"].nodes, plan.base.run.seed) == (12, 10)
    assert plan.variants["a"].models["llama"].context_tokens == 250
    assert plan.variants["b"].models["llama"].nodes == 7


@pytest.mark.parametrize(
    ("limits", "note"),
    [
        ("tokens_per_minute: 100000", None),
        (
            "tokens_per_minute: 512",
            "no request of `chat` ever fits `tokens_per_minute` of `llama`, 512 in a window of 60 s: each c",
        ),
        (
            "tokens_per_minute: 600, window_s: 120",
            "requests of `chat` with more than 688 prompt tokens never fit `tokens_per_minute` of `llama`, 1",
        ),
        ("charge: actual, tokens_per_minute: 1", None),
        (
            "also: [{output_tokens_per_minute: 511, scope: key}]",
            "no request of `chat` ever fits `output_tokens_per_minute` of `llama`, 511 in a window of 60 s:",
        ),
    ],
)
def test_a_limit_that_requests_can_never_fit_is_told(tmp_path: Path, limits: str, note: str | None) -> None:
    file = tmp_path / "study.yaml"
    file.write_text(GOOD.replace("tokens_per_minute: 100000", limits, 1), encoding="utf-8")
    told = list(limit_notes(load(file).base))
    assert [one[: len(note or "")] for one in told] == ([] if note is None else [note])
