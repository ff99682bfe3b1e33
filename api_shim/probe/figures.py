"""What a probe saw, as two charts: first tokens by prompt length, the time of a token by its neighbours."""

from collections.abc import Sequence

from api_shim.probe.design import CONTEXT, NEW, OUTPUT, PROMPT, REPEAT, TRAFFIC
from api_shim.probe.record import ProbedRequest
from hwmodels.calibrate.endpoint.fit import EndpointFit
from reports.html.figure import SYMBOLS, Figure, LegendEntry, Plot, axis, layout
from reports.html.tables import body, number_cell, row, table
from reports.words import number, rounded

GROUPS = {
    "new prompts": frozenset({PROMPT, OUTPUT, CONTEXT}),
    "repeated prompt": frozenset({REPEAT}),
    "new connection": frozenset({NEW}),
    "requests of the run": frozenset({TRAFFIC}),
}
"""By purpose; those of a run are not always alone."""
LEAST_GAPS = 7
"""Shorter answers tell more of the network than of their tokens."""


def first_tokens(chats: Sequence[ProbedRequest], found: EndpointFit | None) -> Figure | None:
    """None where nothing was answered."""
    groups = {
        name: [one for one in chats if one.purpose in purposes and one.ttft_ms is not None]
        for name, purposes in GROUPS.items()
    }
    shown = {name: some for name, some in groups.items() if some}
    if not shown:
        return None
    data = [_points(name, place, some) for place, (name, some) in enumerate(shown.items())]
    longest = max(one.input_tokens for some in shown.values() for one in some)
    line = _line(found, longest)
    if line is not None:
        data.append(line)
    keys = [LegendEntry(name, f"series_{place}", symbol=place) for place, name in enumerate(shown)]
    lines = [
        row(
            name,
            number_cell(f"{len(some):,}"),
            number_cell(f"{number(min(one.ttft_ms or 0.0 for one in some))} ms"),
            number_cell(f"{number(max(one.ttft_ms or 0.0 for one in some))} ms"),
        )
        for name, some in shown.items()
    ]
    return Figure(
        "first-tokens",
        "First tokens by prompt length",
        "A mark is a request. The line is the fit to those that were alone: the round trip, what each "
        "request pays, and a time for each prompt token.",
        f"Time to the first token of {sum(map(len, shown.values()))} requests over their prompt tokens.",
        {
            "data": data,
            "layout": layout(
                380,
                xaxis=axis("prompt tokens", rangemode="tozero"),
                yaxis=axis("time to first token (ms)", rangemode="tozero"),
                hovermode="closest",
            ),
        },
        table("Time to the first token", ["", "Requests", "Least", "Most"], [body(lines)]),
        tuple(keys),
    )


def tokens(found: EndpointFit | None) -> Figure | None:
    """None where no answer is long enough to tell."""
    if found is None:
        return None
    seen = found.seen
    rows = (seen.gaps >= LEAST_GAPS) & (seen.decoding > 0)
    if not rows.any():
        return None
    beside = 1 + seen.shared_ms.sum(axis=1)[rows] / seen.decoding[rows]
    each = seen.decoding[rows] / seen.gaps[rows]
    data = _marks("answers", 0, beside.tolist(), each.tolist())
    steps = sorted({round(one) for one in beside})
    lines = [
        row(
            f"about {step}",
            number_cell(f"{len(times):,}"),
            number_cell(f"{number(float(times.mean()))} ms"),
        )
        for step in steps
        for times in [each[beside.round() == step]]
    ]
    return Figure(
        "tokens",
        "Time per token by answers beside each other",
        f"A mark is an answer of more than {LEAST_GAPS} tokens: the time from its first to its last one, by "
        "the tokens in between, over how many decoded on the mean of that time, itself included.",
        f"Time per output token of {int(rows.sum())} answers over the number that decoded at once.",
        {
            "data": [data],
            "layout": layout(
                340,
                xaxis=axis("answers that decode", rangemode="tozero", dtick=max(1, steps[-1] // 8)),
                yaxis=axis("time per token (ms)", rangemode="tozero"),
                hovermode="closest",
            ),
        },
        table("Time per output token", ["Decoding at once", "Answers", "Mean"], [body(lines)]),
    )


def _points(name: str, place: int, some: Sequence[ProbedRequest]) -> Plot:
    return _marks(name, place, [one.input_tokens for one in some], [one.ttft_ms or 0.0 for one in some])


def _marks(name: str, place: int, x: Sequence[float], y: Sequence[float]) -> Plot:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": [rounded(one) for one in x],
        "y": [rounded(one) for one in y],
        "marker": {"color": f"@series_{place}", "size": 8, "symbol": SYMBOLS[place], "opacity": 0.75},
        "hovertemplate": f"%{{y:.4~g}} ms at %{{x:,.4~g}}<br>{name}<extra></extra>",
        "meta": {"series": name},
    }


def _line(found: EndpointFit | None, longest: int) -> Plot | None:
    if found is None or "prefill_ms_per_token" not in found.values:
        return None
    law = found.law
    begin = law["fixed_ms"] + (law["rtt_ms"] if found.rtt_known else 0.0)
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "fit",
        "x": [0, longest],
        "y": [rounded(begin), rounded(begin + law["prefill_ms_per_token"] * longest)],
        "line": {"color": "@text", "width": 1.5, "dash": "dot"},
        "hoverinfo": "skip",
    }
