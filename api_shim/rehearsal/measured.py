"""What one rehearsal measured, as plain data in milliseconds: what the process hands back."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from api_shim.rehearsal.breakdown import PARTS, Stretch, of_call, of_visit
from api_shim.rehearsal.part import Performed
from api_shim.rehearsal.users import Visit
from api_shim.rehearsal.wire_exchange import WireExchange
from sim.time.units import PS_PER_MS

MOST_CALLS_SHOWN = 200
MOST_FAILURES_SHOWN = 5
FIRST_REFUSAL = 400
Bar = tuple[str, float, float]
"""(part, its beginning, its end), in ms since the user's wish."""


@dataclass(frozen=True, slots=True)
class MeasuredCall:
    what: str
    status: int
    cold: bool
    bars: list[Bar]
    """On the critical path or not."""
    model: str = ""
    """On the wire, where it asked one."""
    prompt_tokens: int = 0
    output_tokens: int = 0
    streamed: bool = False

    @property
    def answered(self) -> bool:
        """By a model."""
        return bool(self.model) and bool(self.bars) and 0 < self.status < FIRST_REFUSAL


@dataclass(frozen=True, slots=True)
class MeasuredVisit:
    number: int
    row: int
    status: int
    problem: str
    felt_ms: float
    """Until the last byte was there; of those that failed, until they did or gave up."""
    first_byte_ms: float
    parts_ms: dict[str, float]
    """They add up to `felt_ms`; empty where there was no whole answer."""
    calls: list[MeasuredCall]
    model_calls: int
    bars: list[Bar]

    @property
    def good(self) -> bool:
        return not self.problem and 0 < self.status < FIRST_REFUSAL


@dataclass(frozen=True, slots=True)
class MeasuredPlace:
    place: str
    label: str
    scenario: str
    visits: list[MeasuredVisit]
    connections: int
    """That the application opened to the platform."""
    app_cpu_ms: float
    """Its work altogether."""
    lasted_s: float
    refused_calls: dict[str, int]
    """By status, those of 400 and above."""
    warnings: list[str]


def measured(performed: Performed) -> MeasuredPlace:
    own: dict[int, WireExchange] = {}
    calls: dict[int, list[WireExchange]] = defaultdict(list)
    refused: Counter[str] = Counter()
    connections = 0
    for seen in performed.exchanges:
        if seen.server == performed.app_host:
            if seen.visit is not None:
                own[seen.visit] = seen  # of one that was sent again the last counts
            continue
        connections += seen.cold
        if seen.visit is not None:
            calls[seen.visit].append(seen)
        if seen.status >= FIRST_REFUSAL:
            refused[str(seen.status)] += 1
    return MeasuredPlace(
        performed.place,
        performed.label,
        performed.title,
        [_visit(visit, own.get(visit.number), calls[visit.number]) for visit in performed.visits],
        connections,
        _ms(performed.app_worked_ps),
        performed.ended_ps / PS_PER_MS / 1000,
        dict(refused),
        performed.warnings,
    )


def _visit(visit: Visit, own: WireExchange | None, calls: Sequence[WireExchange]) -> MeasuredVisit:
    whole = own is not None and own.ended_ps >= 0 and not visit.problem
    stretches = of_visit(visit.intended_ps, own, calls) if own is not None and whole else []
    parts_ps: dict[str, int] = dict.fromkeys(PARTS, 0)
    for stretch in stretches:
        parts_ps[stretch.part] += stretch.ended_ps - stretch.began_ps
    return MeasuredVisit(
        visit.number,
        visit.row,
        visit.status,
        visit.problem or _told(visit),
        _ms(visit.ended_ps - visit.intended_ps),
        _ms(own.first_back_ps - visit.intended_ps) if own is not None and whole else 0.0,
        {part: _ms(ps) for part, ps in parts_ps.items()} if whole else {},
        [_call(call, visit.intended_ps) for call in calls[:MOST_CALLS_SHOWN]],
        sum(bool(call.spans) for call in calls),
        _bars(stretches, visit.intended_ps),
    )


def _told(visit: Visit) -> str:
    """By an answer that is none."""
    if visit.status < FIRST_REFUSAL:
        return ""
    return f"{visit.status}: {bytes(visit.answer[:200]).decode(errors='replace')}"


def _call(call: WireExchange, origin_ps: int) -> MeasuredCall:
    bars = _bars(of_call(call), origin_ps) if call.ended_ps >= 0 else []
    asked = call.asked
    if asked is None:
        return MeasuredCall(call.what, call.status, call.cold, bars)
    sizes = asked.prompt_tokens, asked.output_tokens
    return MeasuredCall(call.what, call.status, call.cold, bars, asked.model, *sizes, asked.streamed)


def _bars(stretches: Sequence[Stretch], origin_ps: int) -> list[Bar]:
    return [(part, _ms(began - origin_ps), _ms(ended - origin_ps)) for part, began, ended in stretches]


def _ms(ps: int) -> float:
    return ps / PS_PER_MS


def place_of(data: dict[str, Any]) -> MeasuredPlace:
    """From `asdict`, after JSON."""
    visits = [
        MeasuredVisit(
            **{
                **visit,
                "bars": [_bar(bar) for bar in visit["bars"]],
                "calls": [
                    MeasuredCall(**{**call, "bars": [_bar(bar) for bar in call["bars"]]})
                    for call in visit["calls"]
                ],
            }
        )
        for visit in data["visits"]
    ]
    return MeasuredPlace(**{**data, "visits": visits})


def _bar(row: list[Any]) -> Bar:
    part, began, ended = row
    return part, began, ended
