"""What the report must know of a scenario besides its records: who, where, objectives, assumptions."""

from typing import Any

from hwmodels.node_hardware import NodeHardware
from reports.words import as_chosen
from sim.network import Network
from sim.run.prefill_readings import readings
from sim.scenario.check import target_model
from sim.scenario.load import BASE, Plan
from sim.scenario.schema import Objectives, Scenario, Source

Json = dict[str, Any]
PER_GPU = ("idle_w", "busy_w", "usd_per_hour")
POWER_AND_PRICE = (*PER_GPU, "usd_per_1m_tokens")


def facts(plan: Plan, variants: tuple[str, ...]) -> Json:
    """Of the variants that ran, the first of them the baseline."""
    first = plan.variants[variants[0]]
    return {
        "variants": [{"name": name, "title": _title(plan, name)} for name in variants],
        "sources": _sources(first),
        "sources_by_variant": {name: _sources(plan.variants[name]) for name in variants},
        "places": _places(first),
        "places_by_variant": {name: _places(plan.variants[name]) for name in variants},
        "models": _models(first),
        "models_by_variant": {name: _models(plan.variants[name]) for name in variants},
        "slo": objectives_of(first),
        "slo_by_variant": {name: objectives_of(plan.variants[name]) for name in variants},
        **_tiers({name: plan.variants[name] for name in variants}),
        "readings": readings([plan.variants[name] for name in variants]),
        "assumed": _assumed([plan.variants[name] for name in variants]),
    }


def facts_of_one(scenario: Scenario, name: str) -> Json:
    """What the numbers of a single scenario need: no tables of what it assumes, nor of its limits."""
    return {
        "variants": [{"name": name, "title": name}],
        "sources": _sources(scenario),
        "models": _models(scenario),
        "slo": objectives_of(scenario),
    }


def _models(scenario: Scenario) -> dict[str, Json]:
    return {
        name: {
            "id": model.id,
            "hardware": model.hardware.preset,
            "nodes": model.nodes,
            "prefill_nodes": None if model.disaggregated is None else model.disaggregated.prefill_nodes,
            "context_tokens": model.context_tokens,
            "costs": _costs(model.build_hardware()),
        }
        for name, model in scenario.models.items()
    }


def _costs(hardware: NodeHardware) -> Json:
    """Of a node: power and price of a GPU count once for each of its own."""
    gpus = hardware.gpus
    return {
        value.name: {
            "value": value.value if value.name not in PER_GPU else value.value * gpus,
            "confidence": value.confidence,
            "source": value.source
            if gpus == 1 or value.name not in PER_GPU
            else f"{gpus} GPUs; {value.source}",
        }
        for value in hardware.values
        if value.name in POWER_AND_PRICE
    }


def _title(plan: Plan, variant: str) -> str:
    spec = plan.base.variants.get(variant)
    if spec is not None and spec.title:
        return spec.title
    return plan.base.title or plan.base.name if variant == BASE else variant


def _sources(scenario: Scenario) -> list[Json]:
    return [
        {
            "name": name,
            "tenant": source.tenant,
            "place": source.place,
            "model": target_model(scenario, source),
            "app": source.app,
            "app_place": app.place if app else None,
            "calls": app.calls if app else 1,
            "mode": None if app is None else "agent" if app.steps else app.mode,
            "arrivals": source.arrivals.label,
            **({} if source.callers_kind is None else {"callers": source.callers_kind}),
            **({} if source.max_concurrency is None else {"max_concurrency": source.max_concurrency}),
            **({} if source.tier is None else {"tier": source.tier}),
            **_client(source),
        }
        for name, source in scenario.traffic.items()
        for app in [scenario.apps[source.app] if source.app else None]
    ]


def _client(source: Source) -> Json:
    """Nothing where its requests are sent straight."""
    if source.retry is None and source.hedge is None:
        return {}
    named = "stated" if source.retry is None or source.retry.like is None else source.retry.like
    return {"client": named}


def _places(scenario: Scenario) -> dict[str, Json]:
    network = Network(scenario.network)
    return {
        name: {
            "label": place.label or name,
            "kind": place.kind,
            "rtt_ms": round(network.path(name, None).rtt_ms, 4),
        }
        for name, place in scenario.network.places.items()
    }


def _tiers(scenarios: dict[str, Scenario]) -> Json:
    """Nothing where no tier has objectives of its own."""
    found = {
        name: {tier: _objectives(slo) for tier, slo in scenario.slo.tiers.items()}
        for name, scenario in scenarios.items()
    }
    return {"slo_tiers_by_variant": found} if any(found.values()) else {}


def objectives_of(scenario: Scenario) -> Json:
    """Seconds by name; None where it is not asked for. Of sources of no tier that has its own."""
    return _objectives(scenario.slo)


def _objectives(slo: Objectives) -> Json:
    given = {"ttft_s": slo.ttft_ms, "tpot_s": slo.tpot_limit_ms, "e2e_s": slo.e2e_ms, "felt_s": slo.felt_ms}
    return {name: None if ms is None else ms / 1000 for name, ms in given.items()}


def _assumed(scenarios: list[Scenario]) -> list[Json]:
    """Every assumed value and predicted round trip that any of the scenarios rests on, each once."""
    rows: dict[tuple[str, str | None], Json] = {}
    for scenario in scenarios:
        for model_name, model in scenario.models.items():
            for value in model.build_hardware().values:
                if value.confidence == "assumed":
                    rows[value.name, model_name] = {
                        "what": value.name,
                        "value": value.value,
                        "unit": value.unit,
                        "source": value.source,
                        "confidence": value.confidence,
                        "model": model_name,
                    }
        network = Network(scenario.network)
        transfers = any(model.disaggregated is not None for model in scenario.models.values())
        for row in [
            *network.assumptions(legs(scenario)),
            *(network.transfer_assumptions() if transfers else []),
        ]:
            rows[str(row["what"]), None] = {**row, "model": None}
    return list(rows.values())


def prediction_notes(scenario: Scenario) -> list[str]:
    """What a user should know of round trips that nobody measured."""
    return [
        f"{hop.name} is predicted, {as_chosen(hop.rtt_floor_ms)} ms: {hop.pair.band}. If you know it, state "
        f"`network.values: {{{hop.floor.name}: ...}}`."
        for hop in Network(scenario.network).predicted(legs(scenario))
        if hop.pair is not None and hop.floor is not None
    ]


def legs(scenario: Scenario) -> list[tuple[str, str | None]]:
    """Every pair of places between which requests travel; None is the gateway."""
    found: dict[tuple[str, str | None], None] = {}
    for source in scenario.traffic.values():
        if source.app is None:
            found[source.place, None] = None
        else:
            app_place = scenario.apps[source.app].place
            found[source.place, app_place] = found[app_place, None] = None
    return list(found)
