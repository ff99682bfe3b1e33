"""`sim/data/sandboxes.yaml`: how long it takes to make a sandbox and to start a program, measured."""

from functools import cache
from math import log
from pathlib import Path

import yaml

from hwmodels.value import Value
from traffic.durations import LognormalDuration
from traffic.walks import SandboxTimes

DATA = Path(__file__).resolve().parents[1] / "data" / "sandboxes.yaml"

Z_95 = 1.6448536269514722
"""Standard normal quantile of 95 %."""


@cache
def sandbox_facts() -> dict[str, Value]:
    raw = yaml.load(DATA.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    return {name: Value(name=name, **value) for name, value in raw.items()}


@cache
def sandbox_times() -> SandboxTimes:
    """Lognormal through the median and the 95th percentile of what was measured."""
    return SandboxTimes(create=_through("create"), fresh=_through("fresh"), fork=_through("fork"))


def _through(what: str) -> LognormalDuration:
    facts = sandbox_facts()
    median, p95 = (float(facts[f"{what}_ms_{quantile}"].value) for quantile in ("p50", "p95"))
    return LognormalDuration(median=median / 1000, sigma=log(p95 / median) / Z_95)
