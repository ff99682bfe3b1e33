"""A client of ServeGen as the `arrivals` and `lengths` of a source."""

from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise
from typing import Any

from e80sim.mistakes import UserError
from traffic.servegen.chunk import Chunk, Pdf, Window
from traffic.source_text import rounded, source_text

MOST_BUCKETS = 1000
LEAST_CV, MOST_CV = 0.01, 100.0


def servegen_source(chunk: Chunk, name: str, from_s: float, until_s: float | None) -> str:
    """Of the windows from `from_s` to `until_s`; UserError where no request falls into them."""
    spans = [
        span
        for span in _spans(chunk.windows)
        if from_s <= span[0].start_s and (until_s is None or span[0].start_s < until_s)
    ]
    requests = sum(window.rate_per_s * seconds for window, seconds in spans)
    if not requests:
        raise UserError(
            f"{name}: no request falls into its windows from {from_s:g} s on"
            + ("" if until_s is None else f" to {until_s:g} s")
        )
    cv = sum(window.cv * window.rate_per_s * seconds for window, seconds in spans) / requests
    rate = {"kind": "piecewise", "repeat": True, "segments": list(_segments(spans))}
    arrivals = {"kind": "modulated", "cv": rounded(min(max(cv, LEAST_CV), MOST_CV)), "rate": rate}
    prompt, output = _mixed(chunk, spans)
    lengths = {"prompt": _length(prompt), "output": _length(output)}
    whole_s = sum(seconds for _, seconds in spans)
    head = [
        f"{name}: {requests:,.0f} requests in {whole_s:,} s, a client of ServeGen.",
        "cv is the mean of its windows', by requests; lengths are mixed over them in the same way.",
    ]
    return source_text(head, arrivals, lengths)


def _spans(windows: Sequence[Window]) -> list[tuple[Window, int]]:
    """Each with its length in s."""
    lengths = [after.start_s - before.start_s for before, after in pairwise(windows)]
    return list(zip(windows, [*lengths, lengths[-1]], strict=True))


def _segments(spans: Sequence[tuple[Window, int]]) -> Iterator[dict[str, float]]:
    """Neighbours of one rate are one, such as the silent ones."""
    until_s = 0
    for rate, part in groupby(spans, lambda span: span[0].rate_per_s):
        until_s += sum(seconds for _, seconds in part)
        yield {"until_s": float(until_s), "rate_per_s": rounded(rate)}


def _mixed(chunk: Chunk, spans: Sequence[tuple[Window, int]]) -> tuple[Pdf, Pdf]:
    mixed: tuple[Pdf, Pdf] = ({}, {})
    for window, seconds in spans:
        pdfs = chunk.lengths_at(window.start_s)
        if not window.rate_per_s:
            continue
        if pdfs is None:
            raise UserError(f"requests of window {window.start_s} have no lengths: the dataset begins later")
        for into, pdf in zip(mixed, pdfs, strict=True):
            for length, share in pdf.items():
                into[length] = into.get(length, 0.0) + share * window.rate_per_s * seconds
    return mixed


def _length(pdf: Pdf) -> dict[str, Any]:
    """A bucket for each length, with empty ones between; of too many, neighbours share one."""
    lengths = sorted(pdf)
    whole = sum(pdf.values())
    each = -(-len(lengths) // MOST_BUCKETS)
    buckets: list[dict[str, float]] = []
    edge = 0
    for begin in range(0, len(lengths), each):
        part = lengths[begin : begin + each]
        if part[0] - 1 > edge:
            buckets.append({"up_to": part[0] - 1, "share": 0})
        buckets.append({"up_to": part[-1], "share": rounded(sum(pdf[one] for one in part) / whole)})
        edge = part[-1]
    return {"kind": "histogram", "buckets": buckets}
