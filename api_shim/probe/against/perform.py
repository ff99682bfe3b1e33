"""`e80sim probe --against RUN`: say what can be decided, send the run's requests, and decide it."""

from pathlib import Path

import typer

from api_shim.probe.against.prediction import (
    Prediction,
    as_json,
    decide,
    prediction,
    worst,
)
from api_shim.probe.against.traffic import Planned
from api_shim.probe.design import TRAFFIC, Cell, warm_ups
from api_shim.probe.engine import Due
from api_shim.probe.ledger import Tokens
from api_shim.probe.pace import burst_of
from api_shim.probe.plan import Plan
from api_shim.probe.sitting import Sitting
from api_shim.probe.verdicts import EXIT_STATUS
from e80sim.mistakes import INTERRUPTED, UserError, say
from reports.run_directory import read

ROOM = 1.05
"""Of the rate over that of the run, so that a burst is over before the next one."""
STOPS = (
    "it stops at the first 429, after 3 failures one behind the other, and at Ctrl-C; what it has is judged"
)


def foreseen(path: Path, variant: str | None, model: str, tolerance: float) -> Prediction:
    """UserError."""
    return prediction(read(path), path, variant, model, tolerance)


def plan_of(
    found: Prediction,
    traffic: tuple[Planned, ...],
    url: str,
    model: str,
    rate: float | None,
    burst: int | None,
) -> Plan:
    """UserError where the rate or the burst is below what the run's load takes: it would be another load."""
    own = found.rate_per_s * ROOM
    rate = own if rate is None else rate
    if rate < found.rate_per_s:
        raise UserError(
            f"--rate {rate:g} is below the run's {found.rate_per_s:.3g} a second, the load of its hypotheses"
        )
    needs = burst_of([one.at_s for one in traffic], rate)
    if burst is not None and burst < needs:
        raise UserError(
            f"--burst {burst} is below the {needs} that the run's arrivals take at {rate:.3g} a second"
        )
    warming = warm_up_cells(traffic)
    asked = [
        *(cell.expects for cell in warming),
        *(Tokens(o.prompt_tokens, o.output_tokens) for o in traffic),
    ]
    most = [*(cell.at_most for cell in warming), *(one.at_most for one in traffic)]
    return Plan(
        url,
        model,
        len(traffic) + len(warming),
        f"{len(warming)} warm-ups, then {len(traffic):,} of the run {found.run}, variant {found.variant}",
        rate,
        needs if burst is None else burst,
        sum(asked, Tokens(0, 0)),
        sum(most, Tokens(0, 0)),
        STOPS,
        traffic[-1].at_s + len(warming) / rate,
    )


def warm_up_cells(traffic: tuple[Planned, ...]) -> list[Cell]:
    sizes = [one.prompt_tokens for one in traffic]
    return warm_ups(min(sizes), max(sizes))


def dues(traffic: tuple[Planned, ...]) -> list[Due]:
    return [
        Due(one.at_s, Cell(TRAFFIC, one.prompt_tokens, one.output_tokens, label=one.source))
        for one in traffic
    ]


def told_before(found: Prediction, traffic: tuple[Planned, ...]) -> list[str]:
    """The hypotheses, and what cannot be decided: before anything is sent."""
    return [
        *(one.hypothesis.sentence for one in found.asked),
        *found.notes,
        *found.left_out,
        *found.undecidable(traffic),
    ]


def perform(found: Prediction, traffic: tuple[Planned, ...], sitting: Sitting, *, yes: bool) -> int:
    """Exit status: 0 all supported, 1 one refuted, 3 one undecided, 130 interrupted."""
    for line in told_before(found, traffic):
        say(line)
    sitting.confirm(yes=yes)
    probe = sitting.probe
    status = sitting.perform(probe.replay(dues(traffic), warm_up_cells(traffic)))
    chats = [row for row in probe.chats if row.purpose == TRAFFIC]
    decided = decide(found, chats, found.rate_per_s)
    sitting.finish({"requests": len(traffic)}, against=as_json(found, decided))
    for one in decided:
        typer.echo(f"{one.verdict.upper():<10}  {one.sentence}")
    typer.echo(worst(decided).upper())
    return status if status == INTERRUPTED else EXIT_STATUS[worst(decided)]
