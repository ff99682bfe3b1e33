"""A share holds over a second, however late the machine is in looking, stopping and going on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_shim.processes.cpu_share import CpuShare


def share_of(share: float, lateness_s: list[float], seconds: float = 1.0) -> float:
    """Of a program that always wants a processor, looked at every 20 ms times its share, or later."""
    now_s, used_s, late = 0.0, 0.0, 0
    law = CpuShare(share, 0.0)
    while now_s < seconds:
        ran_s = max(0.002, 0.02 * share) + lateness_s[late % len(lateness_s)]
        now_s, used_s, late = now_s + ran_s, used_s + ran_s, late + 1
        pause_s = law.pause_s(ran_s, now_s)
        if pause_s:
            now_s += pause_s + lateness_s[late % len(lateness_s)]
            late += 1
            assert law.pause_s(0.0, now_s) == 0
    assert law.used_s == pytest.approx(used_s)
    return used_s / now_s


@pytest.mark.parametrize("share", [0.05, 0.1, 0.25, 0.5, 0.75, 0.9])
def test_a_program_that_wants_all_gets_its_share_within_3_percent_of_it(share: float) -> None:
    assert share_of(share, [0.0002]) == pytest.approx(share, rel=0.03)


@given(st.floats(0.1, 0.9), st.lists(st.floats(0, 0.004), min_size=1, max_size=20))
def test_lateness_is_made_good(share: float, lateness_s: list[float]) -> None:
    assert share_of(share, lateness_s, 3.0) == pytest.approx(share, rel=0.05)


def test_what_nobody_wanted_is_lost() -> None:
    """After ten idle seconds at a quarter, 5 ms of a quarter are left, and the tolerance of 2 ms of it."""
    law = CpuShare(0.25, 0.0)
    assert law.pause_s(0.0, 10.0) == 0
    assert law.pause_s(0.1, 10.1) == pytest.approx((0.1 - 0.025 - 0.00125) / 0.25)


def test_a_whole_core_is_never_held_back() -> None:
    law = CpuShare(1.0, 0.0)
    assert not any(law.pause_s(0.02, 0.02 * number) for number in range(1, 1000))
