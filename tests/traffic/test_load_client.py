"""What the load client sends and when, without locust."""

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from traffic.agenda import Share, agenda
from traffic.arrivals import ConstantArrivals, PoissonArrivals
from traffic.lengths import FixedLength
from traffic.mix import WORDS, Mix, RequestKind, prompt_of, read_mix
from traffic.sizes import PromptAndOutput
from traffic.tokens import vocabulary_of

LENGTHS = PromptAndOutput(prompt=FixedLength(tokens=7), output=FixedLength(tokens=3))
CHAT = RequestKind(name="chat", weight=3.0, lengths=LENGTHS)
BATCH = RequestKind(name="batch", weight=1.0, stream=False, lengths=LENGTHS)
MIX = Mix(kinds=(CHAT, BATCH))
S = 10**12


@given(processes=st.integers(1, 5), seed=st.integers(0, 9))
def test_the_processes_together_send_the_one_schedule_and_nothing_twice(processes: int, seed: int) -> None:
    arrivals = PoissonArrivals(rate_per_s=50.0)
    alone = list(islice(agenda(MIX, arrivals, seed, Share(0, 1, 0)), 60))
    parts = [
        islice(agenda(MIX, arrivals, seed, Share(i, processes, 0)), 60 // processes) for i in range(processes)
    ]
    together = sorted((due for part in parts for due in part), key=lambda due: due.offset_ps)
    assert together == alone[: len(together)]
    assert len(together) == 60 // processes * processes


def test_a_metronome_of_ten_a_second_dealt_to_two_leaves_each_a_fifth_of_a_second_apart() -> None:
    second = agenda(MIX, ConstantArrivals(rate_per_s=10.0), 1, Share(1, 2, 0))
    assert [due.offset_ps for due in islice(second, 3)] == [2 * S // 10, 4 * S // 10, 6 * S // 10]


def test_kinds_come_by_their_weight() -> None:
    dues = islice(agenda(MIX, PoissonArrivals(rate_per_s=50.0), 1, Share(0, 1, 0)), 4000)
    share = sum(due.kind.name == "chat" for due in dues) / 4000
    assert share == pytest.approx(0.75, abs=0.03)


def test_kinds_with_their_own_arrivals_are_merged_in_time() -> None:
    slow = CHAT.model_copy(update={"arrivals": ConstantArrivals(rate_per_s=1.0)})
    fast = BATCH.model_copy(update={"arrivals": ConstantArrivals(rate_per_s=2.0)})
    mix = Mix(kinds=(slow, fast))
    assert mix.scheduled
    assert not MIX.scheduled
    dues = list(islice(agenda(mix, None, 1, Share(0, 1, 0)), 5))
    assert [(due.offset_ps / S, due.kind.name) for due in dues] == [
        (0.5, "batch"),
        (1.0, "chat"),
        (1.0, "batch"),
        (1.5, "batch"),
        (2.0, "chat"),
    ]


@pytest.mark.parametrize("llm", ["llama3.1-8b", "gpt-oss-20b"])
def test_a_prompt_counts_as_many_tokens_as_it_has_words(llm: str) -> None:
    rng = np.random.default_rng(1)
    vocabulary = vocabulary_of(llm)
    assert [vocabulary.count(prompt_of(n, rng)) for n in (1, 2, 500)] == [1, 2, 500]
    assert all(vocabulary.count(word) == vocabulary.count(f" {word}") == 1 for word in WORDS)


def test_sizes_come_from_the_lengths_of_a_kind() -> None:
    assert list(islice(CHAT.sizes(np.random.default_rng(1)), 300)) == [(7, 3)] * 300


def test_a_mix_reads_from_yaml_and_says_what_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "mix.yaml"
    file.write_text("kinds:\n- {name: a, lengths: {kind: profile, name: azure-2023-conv}, place: edge}\n")
    (kind,) = read_mix(file).kinds
    assert (kind.name, kind.place, kind.stream) == ("a", "edge", True)
    file.write_text("kinds:\n- {name: a, lengths: {kind: trace}}\n")
    with pytest.raises(ValueError, match="the lengths of kind 'a' are a trace's, and need its path"):
        read_mix(file)
    with pytest.raises(ValueError, match=r"cannot read .*none.yaml: No such file"):
        read_mix(tmp_path / "none.yaml")
