"""A measured application as a scenario that runs: `edge compare --write-scenario`.

Every value of the application says beside it whether it was measured, stated or assumed.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from api_shim.edge.manifest import AppFolder
from api_shim.rehearsal.app_cpu import slowdown_of
from api_shim.rehearsal.app_model import AppModel, app_model
from api_shim.rehearsal.compared import quantile
from api_shim.rehearsal.measured import MeasuredPlace
from api_shim.rehearsal.model_places import USERS, ModelPlaces, name_of, unused
from api_shim.rehearsal.part import Part
from e80sim.plain_yaml import Dumper
from sim.network.places import PlaceSpec
from sim.scenario.schema import Scenario

PLATFORM = ("gateway", "network", "slo", "sandboxes", "edge")
"""Sections that stay as they are, where they are stated. Faults and other traffic are left behind."""
SHARE_BUSY = 0.1
"""Of the time that a user request is on its way, at the rate of a scenario that nobody states one for."""
MOST_PER_USER_S = 0.2
"""Of such a rate: often enough to keep a connection open."""
MOST_CALLS_PER_S, MOST_TOKENS_PER_S = 2.0, 800.0
"""Of such a rate: half of the 250 requests and 100,000 tokens that the platform documents for a minute."""
REQUESTS = 300
LEAST_IDLE_MS = 0.1
"""Worth a remark: below it lies what rounding leaves."""


@dataclass(frozen=True, slots=True)
class _Line:
    """`key: value  # why`; without a key a remark, without a value the head of a section."""

    depth: int
    key: str
    value: object = None
    why: str = ""

    def __str__(self) -> str:
        indent, why = "  " * self.depth, " ".join(self.why.split())
        if not self.key:
            return f"{indent}# {why}"
        value = "" if self.value is None else f" {_flow(self.value)}"
        return f"{indent}{self.key}:{value}" + (f"  # {why}" if why else "")


def scenario_text(
    app: AppFolder,
    scenario: Scenario,
    part: Part,
    places: Sequence[MeasuredPlace],
    cold_start_ms: float | None,
) -> str:
    """YAML. `part` is that of any place, whose own place is not looked at. Raises UserError."""
    cpu_mhz = app.manifest.cpu_mhz or scenario.edge.cpu_mhz
    slowdown = slowdown_of(cpu_mhz, scenario.edge.reference_mhz)
    model = app_model(places, part.app_cpu_ms, slowdown)
    name, ends = name_of(app.manifest.slug), ModelPlaces(scenario, part, [place.place for place in places])
    wire, _ = model.models.most_common(1)[0]
    rate_per_s = _rate_per_s(model, part, places)
    asked = next(key for key, one in scenario.models.items() if one.id == wire)
    sections = [
        _heading(app, part, places),
        _block({"name": f"{app.manifest.slug}-model", "title": f"The timing model of {app.manifest.slug}"}),
        "# The platform that it was measured on.",
        _block(_platform(scenario, asked, ends.places)),
        "apps:",
        *_app(model, name, asked, ends.names[0], part),
        *_compute(app, scenario, cpu_mhz, cold_start_ms),
        "",
        "traffic:",
        *_traffic(model, name, ends.users, part, rate_per_s),
        "",
        *_run(part, scenario, rate_per_s),
        "",
        "variants:",
        *_variants(name, ends, [place.place for place in places]),
    ]
    return "\n".join(map(str, sections)) + "\n"


def _heading(app: AppFolder, part: Part, places: Sequence[MeasuredPlace]) -> str:
    felt = ((place, quantile([v.felt_ms for v in place.visits if v.good], 0.5)) for place in places)
    p50 = ", ".join(f"{place.place} {_short(p50)} ms" for place, p50 in felt if p50 is not None)
    sent = len(places[0].visits)
    return "\n".join(
        str(_Line(0, "", why=sentence))
        for sentence in (
            f"What the code of {app.manifest.slug} does for a user request, as a timing model.",
            f"Measured with {sent} requests of {Path(part.requests).name} at each place.",
            f"Felt then, p50: {p50}.",
        )
    )


def _platform(scenario: Scenario, asked: str, places: Mapping[str, PlaceSpec]) -> dict[str, Any]:
    whole = scenario.model_dump(mode="json", exclude_unset=True)
    kept = {name: whole[name] for name in PLATFORM if name in whole}
    known = kept["network"]["places"]
    for name, place in places.items():
        if name not in known:
            known[name] = place.model_dump(mode="json", exclude_defaults=True) | {"kind": place.kind}
    return {"models": {asked: whole["models"][asked]}, **kept}


def _app(model: AppModel, name: str, asked: str, place: str, part: Part) -> Iterator[_Line]:
    yield _Line(1, name)
    yield _Line(2, "place", place)
    others = sum(model.models.values()) - max(model.models.values())
    yield _Line(
        2,
        "model",
        asked,
        f"measured; {others} of {model.models.total()} calls went to others, and are here calls to it"
        if others
        else "measured",
    )
    fewest, most = min(model.calls), max(model.calls)
    made = (
        f"{fewest} in each request" if fewest == most else f"{model.mean_calls:.3g}, from {fewest} to {most}"
    )
    yield _Line(2, "calls", model.rounded_calls, f"measured: {made}")
    mode = "fan_out" if model.fans_out else "sequential"
    yield _Line(2, "mode", mode, f"measured: {model.rounds:.3g} after one another, on average")
    kept = "per_request" if model.opened >= 1 / 2 else "pooled"
    yield _Line(2, "connections", kept, f"measured: {model.opened:.0%} of its calls opened one")
    cpu = (
        "measured on this machine, in equal parts to all that it read"
        if part.app_cpu_ms is None
        else f"stated: {part.app_cpu_ms:g} ms for each request or answer that it reads"
    )
    yield _Line(2, "cpu_ms", _short(model.cpu_ms), f"of a whole core, {cpu}")
    yield _Line(2, "cpu_per_call_ms", _short(model.cpu_per_call_ms), f"the same{_once(model)}")
    yield from _missing(model)


def _once(model: AppModel) -> str:
    return f", once for all {model.rounded_calls} answers" if model.fans_out else ""


def _missing(model: AppModel) -> Iterator[_Line]:
    if model.other_calls:
        why = f"Left out: {model.other_calls:.3g} calls a request to other endpoints (sandboxes, files)"
        yield _Line(2, "", why=f"{why}, {_short(model.elsewhere_ms)} ms there and the way to them.")
    if model.idle_ms > LEAST_IDLE_MS:
        yield _Line(2, "", why=f"Left out: {_short(model.idle_ms)} ms a request of its own sleeps and waits.")


def _compute(
    app: AppFolder, scenario: Scenario, cpu_mhz: float, cold_start_ms: float | None
) -> Iterator[_Line]:
    edge, manifest = scenario.edge, app.manifest
    stated = f"stated in {app.file.name}" if manifest.cpu_mhz else "assumed, as 8080.yaml states none"
    usable = min(cpu_mhz, edge.reference_mhz)
    if usable < cpu_mhz:
        stated += f": {cpu_mhz:g}, of which an event loop uses one core"
    yield _Line(2, "compute")
    yield _Line(3, "cpu_mhz", usable, stated)
    yield _Line(3, "reference_mhz", edge.reference_mhz, "assumed: `edge.reference_mhz`")
    memory = f"{manifest.memory_size_mb} stated" if manifest.memory_size_mb else "none stated"
    why = f"memory_size_mb: {memory}, but what a request takes of it was not measured, so it bounds nothing."
    yield _Line(3, "", why=why)
    if cold_start_ms is None:
        yield _Line(3, "", why="cold_start_ms: its process did not start by itself, so it was not measured.")
    else:
        yield _Line(
            3,
            "cold_start_ms",
            _short(cold_start_ms),
            "measured on this machine, once; counts with `warm_instances` below `instances`",
        )


def _traffic(model: AppModel, name: str, users: str, part: Part, rate_per_s: float) -> Iterator[_Line]:
    yield _Line(1, USERS)
    yield _Line(2, "place", users)
    yield _Line(2, "app", name)
    people = part.concurrency if part.rate_per_s is None else 1
    yield _Line(2, "users", people, "stated" if part.rate_per_s is None else "who share connections: assumed")
    why = "stated: --rate" if part.rate_per_s else "assumed, and low: nobody waits for another"
    yield _Line(2, "arrivals", {"kind": "poisson", "rate_per_s": rate_per_s}, why)
    yield _Line(2, "stream", model.streamed >= 1 / 2, f"measured: {model.streamed:.0%} of its calls")
    yield _Line(
        2, "lengths", why="measured, of each call; that calls of a request resemble each other is not kept"
    )
    yield _Line(3, "prompt", _length(model.prompt_tokens), _spread(model.prompt_tokens))
    yield _Line(3, "output", _length(model.output_tokens), _spread(model.output_tokens))


def _rate_per_s(model: AppModel, part: Part, places: Sequence[MeasuredPlace]) -> float:
    if part.rate_per_s is not None:
        return part.rate_per_s
    felt_s = np.mean([v.felt_ms for place in places for v in place.visits if v.good]) / 1000
    per_user = min(MOST_PER_USER_S, SHARE_BUSY / max(1e-9, float(felt_s)))
    tokens = np.mean(np.add(model.prompt_tokens, model.output_tokens)) * model.mean_calls
    within_limits = min(MOST_CALLS_PER_S / model.mean_calls, MOST_TOKENS_PER_S / float(tokens))
    return _short(min(per_user * part.concurrency, within_limits))


def _length(tokens: Sequence[int]) -> dict[str, Any]:
    """Fixed, or lognormal with the median, spread and bounds of what was seen."""
    low, high = min(tokens), max(tokens)
    if low == high:
        return {"kind": "fixed", "tokens": max(1, low)}
    at_least_one = np.maximum(1, tokens)
    spread = float(np.std(np.log(at_least_one)))
    median = float(np.median(at_least_one))
    return {"kind": "lognormal", "median": median, "sigma": _short(spread), "low": max(1, low), "high": high}


def _spread(tokens: Sequence[int]) -> str:
    return f"mean {np.mean(tokens):.4g}, p50 {np.median(tokens):g}, of {len(tokens)} calls"


def _run(part: Part, scenario: Scenario, rate_per_s: float) -> Iterator[_Line]:
    horizon_s = _short(REQUESTS / rate_per_s)
    seed = scenario.run.seed if part.seed is None else part.seed
    run = {"horizon_s": horizon_s, "warm_up_s": _short(horizon_s / 20), "replications": 3, "seed": seed}
    yield _Line(0, "run", run, f"about {REQUESTS} requests each time")


def _variants(name: str, ends: ModelPlaces, texts: Sequence[str]) -> Iterator[_Line]:
    keys: list[str] = []
    for text, place in zip(texts, ends.names, strict=True):
        keys.append(unused(name_of(text), keys))
        yield _Line(1, keys[-1], {"title": f"at {text}", "set": {f"apps.{name}.place": place}})


def _short(value: float) -> float:
    return float(f"{value:.4g}")


def _flow(value: object) -> str:
    text: str = yaml.dump(value, Dumper=Dumper, default_flow_style=True, sort_keys=False, width=1000)
    return text.removesuffix("...\n").strip()


def _block(data: Mapping[str, Any]) -> str:
    text: str = yaml.dump(dict(data), Dumper=Dumper, sort_keys=False, allow_unicode=True, width=110)
    return text
