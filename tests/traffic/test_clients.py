"""Clients of one source: shares that add up, the busiest making half, a draw for each request."""

from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from traffic.clients import Clients, zipf_shares


def test_shares_of_zipf_are_worked_out_by_hand() -> None:
    """1, 1/2 and 1/3 of 11/6."""
    assert zipf_shares(3, 1).tolist() == pytest.approx([6 / 11, 3 / 11, 2 / 11])


def test_without_a_busiest_half_all_send_alike() -> None:
    assert Clients(count=4).shares().tolist() == [0.25] * 4


@pytest.mark.parametrize(("count", "busiest"), [(162, 7), (109, 1), (43, 2), (73, 5), (2, 1), (1_000_000, 1)])
def test_the_busiest_make_half_of_the_requests(count: int, busiest: int) -> None:
    shares = Clients(count=count, busiest_half=busiest).shares()
    assert shares[:busiest].sum() == pytest.approx(0.5, abs=1e-9)


@given(st.integers(2, 300).flatmap(lambda n: st.tuples(st.just(n), st.integers(1, n // 2))))
def test_shares_add_to_one_and_never_grow(sizes: tuple[int, int]) -> None:
    shares = Clients(count=sizes[0], busiest_half=sizes[1]).shares()
    assert shares.sum() == pytest.approx(1)
    assert (np.diff(shares) <= 1e-15).all()
    assert shares[: sizes[1]].sum() == pytest.approx(0.5, abs=1e-9)


def test_requests_go_to_clients_by_their_shares() -> None:
    """Half of 40,000 to the first two of 43: standard deviation 0.0025, four of them to each side."""
    drawn = list(islice(Clients(count=43, busiest_half=2).draw(np.random.default_rng(9)), 40_000))
    assert (min(drawn), max(drawn)) == (0, 42)
    assert abs(sum(client < 2 for client in drawn) / 40_000 - 0.5) <= 0.01


def test_one_client_has_all_requests() -> None:
    assert set(islice(Clients(count=1).draw(np.random.default_rng(1)), 100)) == {0}


def test_variants_with_other_shares_stay_paired() -> None:
    """A variate far down the list is a minor client under any skew."""
    flat, skewed = (
        list(islice(Clients(count=40, busiest_half=half).draw(np.random.default_rng(1)), 500))
        for half in (None, 2)
    )

    assert all((a >= b) for a, b in zip(flat, skewed, strict=True))


def test_more_than_half_of_the_clients_cannot_make_half() -> None:
    with pytest.raises(
        ValidationError, match="busiest_half is 3 of 5 clients, but the busiest 2 already make"
    ):
        Clients(count=5, busiest_half=3)
