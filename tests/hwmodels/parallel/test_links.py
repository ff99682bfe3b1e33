"""What connects GPUs: times of collectives worked by hand, measured ones, and a user's own link."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwmodels.entry import LINK, CollectiveTimes, load_entry, names
from hwmodels.parallel.collectives import COLLECTIVES, formula_us
from hwmodels.parallel.link import Link, load_link

MIB = 2**20
MINE = """
kind: link
title: A cable of mine
values:
  link_latency_us: {value: 5, source: a ping, confidence: measured}
  link_bandwidth_gb_per_s: {value: 10, source: a copy, confidence: measured}
"""


def us(link: Link, collective: str, gpus: int, size: float) -> float:
    return float(1e3 * link.ms(collective, gpus, np.array([size]))[0])


def test_a_ring_of_four_worked_by_hand() -> None:
    # 6 messages of 3 us, and 6 times a quarter of 8 MB at 20 GB/s: 18 + 6 * 100 us; in one shot, 1,206 us
    assert formula_us("all_reduce", 4, 8e6, 3, 20) == pytest.approx(618)


def test_a_small_sum_is_read_in_one_shot() -> None:
    # two barriers of 3 us and 3 times 20 kB at 20 GB/s, where a ring has 6 messages: 21 us
    assert formula_us("all_reduce", 4, 20e3, 3, 20) == pytest.approx(6 + 3)
    # which no more than 8 do: 30 messages of 3 us, and 30 times a sixteenth of 1 us
    assert formula_us("all_reduce", 16, 20e3, 3, 20) == pytest.approx(90 + 30 / 16)


def test_gathers_and_exchanges_worked_by_hand() -> None:
    # 3 messages of 3 us, and three quarters of 8 MB at 20 GB/s
    assert formula_us("all_gather", 4, 8e6, 3, 20) == pytest.approx(309)
    assert formula_us("all_to_all", 4, 8e6, 3, 20) == pytest.approx(309)


def test_measured_times_are_read_between_their_points_and_beyond_them() -> None:
    times = CollectiveTimes(
        collective="all_reduce",
        gpus=2,
        source="a stopwatch",
        confidence="measured",
        us_by_bytes={1000: 10, 3000: 20, 5000: 40},
    )
    link = Link(1, 1, (times,))
    assert [us(link, "all_reduce", 2, size) for size in (1, 1000, 2000, 5000, 6000)] == [10, 10, 15, 40, 50]
    assert us(link, "all_gather", 2, 2000) == 7.5, "half of a sum"
    assert us(link, "all_reduce", 4, 1000) == formula_us("all_reduce", 4, 1000, 1, 1)


@pytest.mark.parametrize("name", names(LINK))
def test_links_of_the_catalogue_say_who_measured(name: str) -> None:
    entry = load_entry(name)
    assert {times.collective for times in entry.collectives} <= set(COLLECTIVES)
    assert all("aiconfigurator-core 0.12.0" in times.source for times in entry.collectives)
    link, _, _ = load_link(name)
    # half a gigabyte, each way 2 * (1/2) of it: within a tenth of what the entry calls its bandwidth
    assert 2**29 / us(link, "all_reduce", 2, 2**29) / 1e3 == pytest.approx(link.gb_per_s, rel=0.1)


def test_nvlink_is_the_faster_the_newer_and_faster_than_pcie() -> None:
    order = ["pcie5_host", "pcie4", "pcie5", "nvlink3", "nvlink4", "nvlink5"]
    times = [us(load_link(name)[0], "all_reduce", 2, 64 * MIB) for name in order]
    assert times == sorted(times, reverse=True)


@given(
    st.sampled_from(list(COLLECTIVES)),
    st.integers(2, 64),
    st.sampled_from(names(LINK)),
)
@settings(max_examples=30, deadline=None)
def test_more_bytes_never_take_less_time(collective: str, gpus: int, name: str) -> None:
    link, _, _ = load_link(name)
    times = link.ms(collective, gpus, np.geomspace(1, 1e9, 60)).tolist()
    assert all(earlier <= later for earlier, later in pairwise(times))
    assert formula_us(collective, 1, 1e9, 5, 1) == 0, "a lone GPU tells nobody"


def test_a_link_of_the_user_counts_by_its_two_figures(tmp_path: Path) -> None:
    path = tmp_path / "cable.yaml"
    path.write_text(MINE)
    link, values, _ = load_link(str(path))
    assert us(link, "all_reduce", 2, 1e6) == pytest.approx(110)
    assert values["link_latency_us"].unit == "us"


@pytest.mark.parametrize(
    ("wrong", "right", "sentence"),
    [
        ("link_latency_us", "latency_us", r"cable\.yaml has no link_latency_us"),
        ("kind: link", "kind: roofline", r"of kind roofline, not link: choose from nvlink3"),
    ],
)
def test_a_mistake_in_a_link_is_named(tmp_path: Path, wrong: str, right: str, sentence: str) -> None:
    path = tmp_path / "cable.yaml"
    path.write_text(MINE.replace(wrong, right, 1))
    with pytest.raises(ValueError, match=sentence):
        load_link(str(path))


def test_an_unknown_link_names_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"no link 'nvlink6'; did you mean nvlink"):
        load_link("nvlink6")
