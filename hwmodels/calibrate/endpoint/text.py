"""A fit to an endpoint for people, and as plain data for scripts."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from hwmodels.calibrate.endpoint.fit import NAMES, EndpointFit
from hwmodels.calibrate.endpoint.scenario import hardware_of, sections


def as_data(found: EndpointFit) -> dict[str, Any]:
    """Values in the unit of their names."""
    return {
        "name": found.seen.name,
        "requests": len(found.seen.sent),
        "alone": found.alone,
        "values": {name: asdict(interval) for name, interval in found.values.items()},
        "batching": found.batching,
        "places": found.places,
        "most_under_way": found.seen.asked,
        "prefix_cache": found.prefix_cache,
        "warnings": list(found.warnings),
        "remarks": list(found.remarks),
        "hardware": hardware_of(found) if {"fixed_ms", "decode_step_ms"} <= found.values.keys() else None,
    }


def as_text(found: EndpointFit, llm: str) -> str:
    return "\n".join(_lines(found, llm))


def _lines(found: EndpointFit, llm: str) -> Iterator[str]:
    seen = found.seen
    yield f"{seen.name}: {len(seen.sent):,} answered requests, {found.alone:,} of them alone"
    yield ""
    yield f"{'value':<24}{'ms':>12}   {'95 % interval':<24} of"
    for name, interval in found.values.items():
        ends = "no interval"
        if interval.low is not None and interval.high is not None:
            ends = f"{interval.low:.5g} to {interval.high:.5g}"
        yield f"{name:<24}{interval.value:>12.5g}   {ends:<24} {NAMES[name]}"
    yield ""
    for remark in found.remarks:
        yield _sentence(remark)
    for warning in found.warnings:
        yield f"Warning: {_sentence(warning)}"
    yield ""
    if {"fixed_ms", "decode_step_ms"} <= found.values.keys():
        yield sections(found, llm).rstrip()


def _sentence(text: str) -> str:
    """A name of a value stays as it is."""
    begins = text if "_" in text.split(maxsplit=1)[0] else text[:1].upper() + text[1:]
    return begins if begins.endswith(".") else f"{begins}."
