"""Targets for the headline numbers of a run, in one small grammar, and whether a run meets them.

    [SOURCE:] QUANTITY (<= | >=) LIMIT

    felt_p95_ms<=400                 every source in every variant
    agent: attainment>=99%           of one source
    e2e_p50_s<=baseline+5%           against another run of the same requests

QUANTITY is a latency of requests (`felt`, `ttft`, `tpot`, `e2e`), a statistic (`mean`, `p50`, `p90`, `p95`,
`p99`, `p99_9`) and a unit (`ms`, `s`); or `attainment`, the share of asks that met the scenario's `slo`; or a
rate of a whole variant (`RATES`).
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, NamedTuple

from e80sim.mistakes import UserError
from reports.metrics import PROBABILITIES
from reports.words import PERCENT, Scale, as_chosen, rounded, scaled, with_interval

LATENCIES = ("felt", "ttft", "tpot", "e2e")
STATISTICS = ("mean", *PROBABILITIES)
UNITS = {"ms": 1e3, "s": 1.0}
RATES = ("offered_per_s", "carried_per_s", "rejected_per_s", "goodput_per_s", "output_tokens_per_s")
QUANTITIES = (
    *(f"{latency}_{statistic}_{unit}" for latency in LATENCIES for statistic in STATISTICS for unit in UNITS),
    "attainment",
    *RATES,
)
GRAMMAR = re.compile(
    r"\s*(?:(?P<source>[^:<>=]+?)\s*:)?\s*(?P<quantity>[\w.]+)\s*(?P<sense><=|>=|≤|≥)\s*(?P<limit>.+?)\s*"
)
LIMIT = re.compile(
    r"(?P<baseline>baseline)?\s*(?P<number>[+-]?\s*\d[\d_]*(?:\.\d+)?(?:[eE][+-]?\d+)?)?\s*(?P<percent>%)?"
)

PASS, FAIL, INCONCLUSIVE = "pass", "fail", "inconclusive"


@dataclass(frozen=True, slots=True)
class Target:
    text: str
    source: str | None
    """None means each."""
    quantity: str
    at_most: bool
    limit: float
    """In the quantity's own unit; against a baseline, what is added to its value."""
    against_baseline: bool = False
    relative: bool = False
    """`limit` is a share of the baseline's value."""

    @property
    def of_variant(self) -> bool:
        return self.quantity in RATES

    @property
    def metric(self) -> str:
        """`ttft` of `ttft_p95_ms`; the whole name where it is no latency."""
        return self.quantity.partition("_")[0] if self.is_latency else self.quantity

    @property
    def statistic(self) -> str:
        return self.quantity.partition("_")[2].rpartition("_")[0] if self.is_latency else ""

    @property
    def is_latency(self) -> bool:
        return self.quantity.partition("_")[0] in LATENCIES

    @property
    def unit(self) -> str:
        return self.quantity.rpartition("_")[2] if self.is_latency else ""

    @property
    def per_unit(self) -> float:
        """So many of the quantity's units make one of summary.json's."""
        return UNITS.get(self.unit, 1.0)

    def bound(self, base: float | None = None) -> float:
        """`base` is the baseline's value, for a target against one."""
        if not self.against_baseline or base is None:
            return self.limit
        return base * (1 + self.limit) if self.relative else base + self.limit

    def __str__(self) -> str:
        return self.text


class Answered(NamedTuple):
    """What a run says on a target: one variant, and one source of it unless the quantity is a variant's."""

    variant: str
    source: str | None
    answer: Mapping[str, Any]
    """As in summary.json: a value with an interval, or why it was refused."""


class Judgement(NamedTuple):
    target: Target
    variant: str
    source: str | None
    verdict: str
    sentence: str


def parse(text: str) -> Target:
    """Raises UserError that says what is wrong, and what would be right."""
    found = GRAMMAR.fullmatch(text)
    if found is None:
        raise UserError(
            f"objective {text!r}: it is QUANTITY<=LIMIT or QUANTITY>=LIMIT, as in ttft_p95_ms<=50"
        )
    quantity = found["quantity"]
    if quantity not in QUANTITIES:
        raise UserError(f"objective {text!r}: there is no quantity {quantity!r}{_nearest(quantity)}")
    limit = LIMIT.fullmatch(found["limit"])
    if limit is None or not (limit["number"] or limit["baseline"]):
        raise UserError(f"objective {text!r}: {found['limit']!r} is no limit; 50, 99% and baseline+5% are")
    number = float((limit["number"] or "0").replace(" ", "").replace("_", ""))
    percent, baseline = limit["percent"] is not None, limit["baseline"] is not None
    if percent and not baseline and quantity != "attainment":
        raise UserError(f"objective {text!r}: only attainment, or a change from baseline, is in percent")
    if baseline and limit["number"] and limit["number"][0] not in "+-":
        raise UserError(f"objective {text!r}: write baseline+5% or baseline-2")
    if quantity == "attainment" and not baseline and not 0 <= number / (100 if percent else 1) <= 1:
        raise UserError(f"objective {text!r}: attainment is a share of 0 to 1, or of 0% to 100%")
    if quantity in RATES and baseline:
        raise UserError(f"objective {text!r}: only latencies and attainment can be held against a baseline")
    if quantity in RATES and found["source"]:
        raise UserError(f"objective {text!r}: {quantity} is of a whole variant, not of one source")
    return Target(
        text=text.strip(),
        source=found["source"],
        quantity=quantity,
        at_most=found["sense"] in {"<=", "≤"},
        limit=number / 100 if percent else number,
        against_baseline=baseline,
        relative=baseline and percent,
    )


def _nearest(quantity: str) -> str:
    close = get_close_matches(quantity, QUANTITIES, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {close[0]}?"
    return (
        f"; there are {', '.join(f'{name}_p95_ms' for name in LATENCIES)}, attainment and {', '.join(RATES)}"
    )


def answers(target: Target, summary: Mapping[str, Any]) -> list[Answered]:
    """One for each variant and source that `target` speaks of. Raises UserError where there is none."""
    found = [
        one for name, variant in summary["variants"].items() for one in _of_variant(target, name, variant)
    ]
    if not found:
        names = sorted({group["source"] for one in summary["variants"].values() for group in one["groups"]})
        raise UserError(
            f"objective {target.text!r}: there is no source {target.source!r}; there are {', '.join(names)}"
        )
    return found


def _of_variant(target: Target, name: str, variant: Mapping[str, Any]) -> Iterator[Answered]:
    if target.of_variant:
        yield Answered(name, None, variant["rates"][target.quantity])
        return
    for group in variant["groups"]:
        if target.source in {None, group["source"]}:
            at = (
                group["metrics"][target.metric][target.statistic]
                if target.is_latency
                else group["attainment"]
            )
            yield Answered(name, group["source"], at)


def judge(target: Target, found: Answered, base: float | None = None) -> Judgement:
    """By the whole interval: a value within the limit decides nothing where its interval is partly without.

    Against a baseline `found.answer` is the difference from it, and `base` its value (s, or a share).
    """
    limit = target.bound(None if base is None else base * target.per_unit)
    verdict, told = _decided(target, found.answer, limit, base)
    where = " of ".join(filter(None, [found.source, found.variant]))
    return Judgement(target, found.variant, found.source, verdict, f"{where}: {target.quantity} is {told}")


def _decided(target: Target, answer: Mapping[str, Any], limit: float, base: float | None) -> tuple[str, str]:
    """(verdict, what it is and why that decides or not)."""
    scale = _scale(target)
    bound = as_chosen(rounded(limit * scale.factor, 4)) + scale.suffix()
    asked = f"{'at most' if target.at_most else 'at least'} {bound}"
    if "refused" in answer:
        return INCONCLUSIVE, f"not known, and has to be {asked}: {answer['refused']}"
    shift = base or 0.0
    value = (answer["value"] + shift) * target.per_unit
    if answer["low"] is None:
        why = answer.get("note") or "it has no interval"
        return INCONCLUSIVE, f"{scaled(value, scale)} and has to be {asked}; undecided, since {_clause(why)}"
    low, high = ((answer[end] + shift) * target.per_unit for end in ("low", "high"))
    shown = with_interval(value, low, high, scale)
    span = f"{shown.with_unit()} ({shown.interval_with_unit()})"
    met, missed = (high <= limit, low > limit) if target.at_most else (low >= limit, high < limit)
    if met:
        return PASS, f"{span}, {asked}"
    if missed:
        return FAIL, f"{span} and has to be {asked}"
    return (
        INCONCLUSIVE,
        f"{span} and has to be {asked}; undecided, since the interval holds both: run more replications",
    )


def _clause(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:].rstrip(".")


def _scale(target: Target) -> Scale:
    """Of values in the unit of the target."""
    return PERCENT if target.quantity == "attainment" else Scale(target.unit or "/s", 1.0)
