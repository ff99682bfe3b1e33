"""The objectives of a variant, and what meets them."""

from collections.abc import Mapping

from reports.words import limit

Slo = Mapping[str, float | None]
"""Seconds by name of the objective; None where it is not asked for."""

TITLES = {"ttft_s": "TTFT", "tpot_s": "TPOT", "e2e_s": "E2E", "felt_s": "user-felt latency"}


def stated(slo: Slo) -> str:
    """TTFT ≤ 250 ms, TPOT ≤ 2 ms; empty without any."""
    limits = ((title, slo.get(name)) for name, title in TITLES.items())
    return ", ".join(f"{title} ≤ {limit(bound)}" for title, bound in limits if bound is not None)
