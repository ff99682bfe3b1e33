"""Profiles: figures as the script builds them, and requests that look like those they come from."""

import importlib.util
import os
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from traffic.modulated import ProfileArrivals
from traffic.profiles import FOLDER, load_profile, profile_names
from traffic.workload import Workload

ROOT = Path(__file__).resolve().parents[2]
PS = 10**12


def build_script() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "build_profiles", ROOT / "docs/data/build_traffic_profiles.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_committed_profiles_are_what_the_script_makes_of_the_raw_files() -> None:
    data = os.environ.get("E80SIM_DATA")
    if data is None:
        pytest.skip("E80SIM_DATA, the folder of raw data, is not set")
    built = build_script().build(Path(data))
    assert sorted(built) == sorted(path.name for path in FOLDER.iterdir())
    for name, text in built.items():
        assert (FOLDER / name).read_text(encoding="utf-8") == text


@pytest.mark.parametrize("name", profile_names())
def test_every_profile_says_where_it_comes_from_and_what_it_leaves_out(name: str) -> None:
    profile = load_profile(name)
    for words in (profile.title, profile.source, profile.licence, profile.covers, profile.lacks):
        assert words
    windows = profile.arrivals.windows
    assert np.mean(windows.factors) == pytest.approx(1, abs=0.005)


def test_partial_profiles_say_so() -> None:
    assert "2 of 43 clients" in load_profile("servegen-m-small").covers
    assert "first 11,523 of 12,031 requests" in load_profile("mooncake-conversation").covers
    assert load_profile("mooncake-conversation").arrivals.cv.confidence == "assumed"


@pytest.mark.parametrize(
    ("name", "prompt", "output"),
    [
        ("azure-2023-conv", 1154.7, 211.1),
        ("mooncake-conversation", 12_066.3, 342.6),
        ("servegen-m-small", 122.7, 50.6),
    ],
)
def test_drawn_lengths_have_the_mean_of_the_recorded_ones(name: str, prompt: float, output: float) -> None:
    """200,000 draws give each mean to 0.6 % (two standard deviations, the heaviest tail); tables to 1.1 %."""
    profile, rng = load_profile(name), np.random.default_rng(6)
    assert profile.prompt_tokens.sample(rng, 200_000).mean() == pytest.approx(prompt, rel=0.015)
    assert profile.output_tokens.sample(rng, 200_000).mean() == pytest.approx(output, rel=0.025)


def test_drawn_lengths_have_the_quantiles_of_the_recorded_ones() -> None:
    """Azure's prompts: median 1,020, 90 % up to 2,734. Shares of 40,000 draws, four standard deviations."""
    tokens = load_profile("azure-2023-conv").prompt_tokens.sample(np.random.default_rng(2), 40_000)
    assert abs((tokens <= 1020).mean() - 0.5) <= 0.010
    assert abs((tokens <= 2734).mean() - 0.9) <= 0.006
    assert (tokens.min() >= 2, tokens.max() <= 14_050) == (True, True)


@pytest.mark.theory
def test_arrivals_of_a_profile_disperse_like_the_trace() -> None:
    """The trace of 58 minutes has 1.39, 3.86 and 16.1 at 1, 10 and 60 s; the model, over 40 hours, too.

    It lacks what happens between a second and a minute, hence less at 10 s. The last figure carries the
    trace's own uncertainty: 58 windows tell a variance to 19 %.
    """
    blocks = ProfileArrivals(name="azure-2023-conv").blocks(np.random.default_rng(3), 40 * 3600 * PS)
    at_s = np.concatenate(list(blocks)) / PS
    assert len(at_s) / (40 * 3600) == pytest.approx(5.53, rel=0.01)
    found = []
    for window_s in (1, 10, 60):
        counts = np.bincount((at_s // window_s).astype(int))
        found.append(counts.var() / counts.mean())
    assert found == pytest.approx([1.39, 3.86, 16.1], rel=0.12)


def test_replications_of_a_profile_meet_different_minutes() -> None:
    process = ProfileArrivals(name="azure-2023-conv", rate_per_s=1000)
    counts = [
        sum(map(len, process.blocks(np.random.default_rng(seed), 30 * PS))) / 30_000 for seed in range(30)
    ]
    assert min(counts) < 0.8
    assert max(counts) > 1.2
    assert process.mean_rate_per_s == 1000


def sizes(lengths: dict[str, Any], seeds: tuple[int, int] = (1, 2)) -> list[tuple[int, int]]:
    workload = Workload.model_validate(
        {"arrivals": {"kind": "profile", "name": "azure-2023-conv"}, "lengths": lengths}
    )
    prompt_rng, output_rng = (np.random.default_rng(seed) for seed in seeds)
    drawn = workload.call_sizes(prompt_rng, output_rng)
    return [pairs[0] for pairs in islice(drawn, 200)]


def test_prompts_and_answers_of_a_profile_draw_from_their_own_generators() -> None:
    both = {"kind": "profile", "name": "mooncake-conversation"}
    one, other = sizes(both), sizes(both, (1, 3))
    assert [prompt for prompt, _ in one] == [prompt for prompt, _ in other]
    assert [output for _, output in one] != [output for _, output in other]


def test_one_length_of_a_profile_goes_with_any_other() -> None:
    both = sizes({"kind": "profile", "name": "mooncake-conversation"})
    mixed = sizes(
        {
            "prompt": {"kind": "profile", "name": "mooncake-conversation", "of": "prompt"},
            "output": {"kind": "fixed", "tokens": 7},
        }
    )
    assert mixed == [(prompt, 7) for prompt, _ in both]


def test_variants_with_another_profile_stay_paired() -> None:
    """The same uniform variate: the longest prompt of one is the longest of the other."""
    azure, mooncake = (sizes({"kind": "profile", "name": name}) for name in profile_names()[:2])
    assert np.argsort([p for p, _ in azure], kind="stable")[-1] == np.argmax([p for p, _ in mooncake])


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("azure-2023", "there is no traffic profile 'azure-2023'; did you mean 'azure-2023-conv'\\?"),
        ("bing", "'bing'; there are azure-2023-conv, mooncake-conversation, servegen-m-small"),
    ],
)
def test_an_unknown_profile_is_refused_with_the_nearest_name(name: str, sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        ProfileArrivals(name=name)
    with pytest.raises(ValueError, match=sentence):
        load_profile(name)
