"""A fit to requests for people, and as plain data for scripts."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from hwmodels.calibrate.requests.first_tokens import Mean
from hwmodels.calibrate.requests.fit import RequestFit


def as_data(fit: RequestFit) -> dict[str, Any]:
    """Errors are shares, not per cent."""
    first = fit.first_tokens
    return {
        "files": list(fit.names),
        "answers": fit.decoding.answers,
        "error": fit.decoding.error,
        "error_of_the_law": fit.decoding.error_before,
        "gemm_tile_tokens": fit.decoding.step.tiles.tokens,
        "tiles_told": fit.tiles_told,
        "values": [asdict(told) for told in fit.decoding.told],
        "async_scheduling": first.async_scheduling,
        "decode_steps_waited": None if first.steps_waited is None else asdict(first.steps_waited),
        "front_end_ms": _both(first.front_end_ms),
        "launch_ms": _both(first.launch_ms),
        "warnings": list(fit.warnings),
    }


def as_text(fit: RequestFit) -> str:
    return "\n".join(_lines(fit))


def _lines(fit: RequestFit) -> Iterator[str]:
    decoding, first = fit.decoding, fit.first_tokens
    tiles = decoding.step.tiles.tokens
    padded = f", in tiles of {tiles} tokens" if tiles else ""
    yield f"{', '.join(fit.names)}: {decoding.answers:,} answers{padded}"
    yield (
        f"From first to last token the law is off by {100 * decoding.error_before:.2f} % in the mean,"
        f" fitted by {100 * decoding.error:.2f} %"
    )
    yield ""
    yield f"{'value':<30}{'':>10}   95 % interval"
    for told in decoding.told:
        yield f"{told.name:<30}{told.value:>10.4g}   {told.low:.4g} to {told.high:.4g}"
    if first.steps_waited is not None:
        yield _mean("decode steps waited", first.steps_waited)
        yield f"{'async_scheduling':<30}{_answer(first.async_scheduling):>10}"
        for ahead in (True, False) if first.async_scheduling is None else (first.async_scheduling,):
            of = "" if first.async_scheduling is not None else ", scheduled ahead" if ahead else ", or not"
            yield _mean(f"front_end_ms{of}", first.front_end_ms[ahead])
            if ahead in first.launch_ms:
                yield _mean(f"launch_ms{of}", first.launch_ms[ahead])
    yield ""
    for warning in fit.warnings:
        yield f"Warning: {warning}"


def _mean(name: str, mean: Mean) -> str:
    return f"{name:<30}{mean.value:>10.4g}   {mean.low:.4g} to {mean.high:.4g} ({mean.requests:,} requests)"


def _answer(told: bool | None) -> str:
    return "not told" if told is None else "yes" if told else "no"


def _both(means: dict[bool, Mean]) -> dict[str, Any]:
    return {"scheduled_ahead" if ahead else "not_ahead": asdict(mean) for ahead, mean in means.items()}
