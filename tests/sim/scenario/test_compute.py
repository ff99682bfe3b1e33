"""What an app runs on, as a scenario states it: what is made of it, and which slips are told."""

from fractions import Fraction
from typing import Any

import pytest
from pydantic import ValidationError

from sim.scenario.compute import ComputeSection

MEMORY: dict[str, Any] = {"memory_size_mb": 512.0, "memory_at_rest_mb": 130.0, "memory_per_request_mb": 30.0}


def test_memory_and_concurrency_bound_the_requests_at_once() -> None:
    """(512 - 130) / 30 = 12.7"""
    assert ComputeSection(cpu_mhz=250, **MEMORY).shape().at_once == 12
    assert ComputeSection(cpu_mhz=250, concurrency=4, **MEMORY).shape().at_once == 4
    shape = ComputeSection(cpu_mhz=250, concurrency=20, **MEMORY).shape()
    assert (shape.at_once, shape.cores, shape.warm) == (12, Fraction(1, 12), 1)


@pytest.mark.parametrize(
    ("stated", "told"),
    [
        ({"memory_size_mb": 512.0}, "state all three, or none"),
        (
            MEMORY | {"memory_at_rest_mb": 500.0},
            "does not hold one request: an instance takes 500 MB at rest",
        ),
        ({"warm_instances": 2}, r"warm_instances \(2\) is above instances \(1\)"),
        ({"instances": 3, "warm_instances": 1, "concurrency": 2}, "2 of the instances start when needed"),
        ({"instances": 3, "warm_instances": 1, "cold_start_ms": 5.0}, "no other would ever start"),
    ],
)
def test_nonsense_is_refused_with_what_would_be_right(stated: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        ComputeSection(cpu_mhz=250, **stated)
