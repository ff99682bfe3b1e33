"""What a schema cannot see: names that must exist, sizes that must fit, horizons that must suffice."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from sim.platform.rate_limit import QUANTITIES, Cost
from sim.scenario.nearest import unknown
from sim.scenario.percentiles import too_rare
from sim.scenario.schema import Batching, Model, Scenario, Source
from sim.scenario.source_map import Location
from sim.scenario.start_up import refusals
from sim.time.units import ps_of_s
from traffic.traces import TraceError

if TYPE_CHECKING:
    from traffic.agents import Flaw, Steps


class Problem(NamedTuple):
    location: Location
    sentence: str


def problems(scenario: Scenario) -> Iterator[Problem]:
    """Everything wrong with a valid scenario, the first to be mended first."""
    yield from _names(scenario)
    yield from _agents(scenario)
    yield from _sizes(scenario)
    yield from _weights(scenario)
    yield from _tiers(scenario)
    yield from _lengths(scenario)
    yield from (Problem(("run", "percentiles"), sentence) for sentence in too_rare(scenario))
    yield from _warm_up(scenario)
    if scenario.faults:
        from sim.scenario.faults import fault_problems  # noqa: PLC0415 -- few scenarios have any

        yield from (Problem(*found) for found in fault_problems(scenario))


def _names(scenario: Scenario) -> Iterator[Problem]:
    places: dict[str, object] = dict(scenario.network.places)
    models: dict[str, object] = dict(scenario.models)
    apps: dict[str, object] = dict(scenario.apps)
    for name, app in scenario.apps.items():
        if app.place not in places:
            yield Problem(("apps", name, "place"), unknown("place", app.place, places))
        if app.model not in models:
            yield Problem(("apps", name, "model"), unknown("model", app.model, models))
    for name, source in scenario.traffic.items():
        if source.place not in places:
            yield Problem(("traffic", name, "place"), unknown("place", source.place, places))
        if source.model is not None and source.model not in models:
            yield Problem(("traffic", name, "model"), unknown("model", source.model, models))
        if source.app is not None and source.app not in apps:
            yield Problem(("traffic", name, "app"), unknown("app", source.app, apps))
    yield from _served_names(scenario, places)


def _served_names(scenario: Scenario, places: dict[str, object]) -> Iterator[Problem]:
    serve, sources = scenario.serve, dict[str, object](scenario.traffic)
    if serve.place is not None and serve.place not in places:
        yield Problem(("serve", "place"), unknown("place", serve.place, places))
    for name, template in serve.templates.items():
        if template.model is not None and template.model not in scenario.models:
            of_template = ("serve", "templates", name, "model")
            yield Problem(of_template, unknown("model", template.model, scenario.models))
    for key, holder in serve.keys.items():
        at: Location = ("serve", "keys", key)
        if holder.place is not None and holder.place not in places:
            yield Problem((*at, "place"), unknown("place", holder.place, places))
        if holder.source is not None and holder.source not in sources:
            yield Problem((*at, "source"), unknown("traffic source", holder.source, sources))


def _agents(scenario: Scenario) -> Iterator[Problem]:
    for name, app in scenario.apps.items():
        if app.steps is None:
            continue
        from traffic.agents import flaws  # noqa: PLC0415 -- few apps are agents

        named = list(_names_of_steps(app.steps, app.first_step))
        found = named or list(flaws(app.steps, app.first_step, app.most_steps))
        yield from (Problem(("apps", name, *flaw.place), flaw.sentence) for flaw in found)


def _names_of_steps(steps: "Steps", start: str) -> "Iterator[Flaw]":
    from traffic.agents import END, Flaw  # noqa: PLC0415 -- as above

    known = dict[str, object](steps)
    if END in steps:
        yield Flaw(("steps", END), f"`{END}` comes where an agent is done: call the step otherwise")
    if start not in steps:
        yield Flaw(("start",), unknown("step", start, known))
    for name, step in steps.items():
        for other in step.shares:
            if other not in steps and other != END:
                yield Flaw(("steps", name, "then"), unknown("step", other, [*known, END]))
        for other in step.starts:
            if other not in steps:
                yield Flaw(("steps", name, "branches"), unknown("step", other, known))


def _sizes(scenario: Scenario) -> Iterator[Problem]:
    for name, model in scenario.models.items():
        at: Location = ("models", name)
        try:
            hardware = model.build_hardware()
        except ValueError as error:
            yield Problem((*at, *_culprit(model, str(error))), str(error))
            continue
        yield from (Problem((*at, *place), why) for place, why in refusals(name, model, hardware))
        yield from _batch_sizes(at, model.batching, hardware.max_num_seqs)
        flow, static = model.flow_control, model.batching.admission == "static"
        if flow is not None and static and flow.max_concurrency < hardware.max_num_seqs:
            yield Problem(
                (*at, "flow_control", "max_concurrency"),
                f"nodes that get {flow.max_concurrency:,} requests at a time never have the "
                f"{hardware.max_num_seqs:,} of a `static` batch (max_num_seqs)",
            )


def _batch_sizes(at: Location, batching: Batching, max_num_seqs: int) -> Iterator[Problem]:
    active, queued = batching.max_num_active_seqs, batching.max_num_queued_reqs
    if active is not None and active > max_num_seqs:
        yield Problem(
            (*at, "batching", "max_num_active_seqs"),
            f"max_num_active_seqs ({active:,}) is above max_num_seqs ({max_num_seqs:,}): lower the one, or "
            f"raise the other",
        )
    if batching.admission == "static" and queued is not None and queued < max_num_seqs:
        yield Problem(
            (*at, "batching", "max_num_queued_reqs"),
            f"a node that refuses more than {queued:,} requests never has the {max_num_seqs:,} of a `static` "
            f"batch (max_num_seqs)",
        )


def _weights(scenario: Scenario) -> Iterator[Problem]:
    for name, model in scenario.models.items():
        weights = model.node_weights or {}
        at: Location = ("models", name, "node_weights")
        unknown_nodes = sorted(index for index in weights if index >= model.nodes)
        if unknown_nodes:
            yield Problem(
                at,
                f"`{name}` has no node {unknown_nodes[0]}: its {model.nodes:,} are numbered from 0",
            )
        elif weights and len(weights) == model.nodes and not any(weights.values()):
            yield Problem(at, f"every node of `{name}` has the weight 0: who should take its requests?")


def _tiers(scenario: Scenario) -> Iterator[Problem]:
    tiers = dict.fromkeys(source.tier for source in scenario.traffic.values() if source.tier is not None)
    for name in scenario.slo.tiers:
        if name not in tiers:
            yield Problem(("slo", "tiers", name), unknown("source of tier", name, tiers))


def _culprit(model: Model, sentence: str) -> Location:
    """Hardware, LLM and batching are wrong together; where one of them is named, that one."""
    batching = next((name for name in type(model.batching).model_fields if sentence.startswith(name)), None)
    if batching is not None:
        return "batching", batching
    stated = next((name for name in model.hardware.model_fields_set if sentence.startswith(f"{name} ")), None)
    if stated is not None:
        return "hardware", stated
    return ("llm",) if sentence.startswith("no LLM") else ("hardware",)


def _lengths(scenario: Scenario) -> Iterator[Problem]:
    for name, source in scenario.traffic.items():
        at: Location = ("traffic", name)
        try:
            source.load()
        except TraceError as error:
            yield Problem((*at, "arrivals"), str(error))
            continue
        context = scenario.models[target_model(scenario, source)].context_tokens
        least = source.lengths.least_tokens
        if least > context:
            yield Problem(
                (*at, "lengths"),
                f"every request of `{name}` has at least {least:,} tokens, and its model takes {context:,}",
            )


def limit_notes(scenario: Scenario) -> Iterator[str]:
    """Which requests, of those that the context takes, a limit refuses for good.

    Nothing wrong: a server may have callers who ask for less than the sources that stand for them.
    """
    for name, source in scenario.traffic.items():
        longest = scenario.models[target_model(scenario, source)].context_tokens - 1
        for fit in _fits(scenario, source):
            least, most = fit.amount(source.lengths.least_prompt_tokens), fit.amount(longest)
            if least > fit.limit:
                yield (
                    f"no request of `{name}` ever fits {fit.words}: each counts as {least:,} or more; raise "
                    f"the limit, or lower what is reserved (max_output_tokens, "
                    f"default_output_reservation_tokens)."
                )
            elif most > fit.limit:
                fitting = longest - (most - fit.limit)
                yield f"requests of `{name}` with more than {fitting:,} prompt tokens never fit {fit.words}."


class _Fit(NamedTuple):
    """One limit, as the requests of a source meet it."""

    limit: int
    words: str
    amount: Callable[[int], int]
    """What a request with so many prompt tokens counts as when it is let in."""


def _fits(scenario: Scenario, source: Source) -> Iterator[_Fit]:
    model = target_model(scenario, source)
    limits = scenario.models[model].limits
    if limits is None or limits.charge == "actual":
        return  # a request is let in while anything is left
    output = source.max_output_tokens or limits.default_output_reservation_tokens
    for shared, rates in limits.sets(tier=source.tier, batch=source.batch):
        for quantity, rate in shared.rates(rates).items():
            words = (
                f"`{quantity}_per_minute` of `{model}`, {rate.limit:,} in a window of {shared.window_s:g} s"
            )
            yield _Fit(rate.limit, words, partial(_amount, quantity, output))


def _amount(quantity: str, output_tokens: int, prompt_tokens: int) -> int:
    return QUANTITIES[quantity](Cost(prompt_tokens, output_tokens))


def trace_notes(scenario: Scenario) -> Iterator[str]:
    """What was done to recorded traffic and what of it a run leaves out: nothing wrong, but to be known."""
    for name, source in scenario.traffic.items():
        yield from (f"`{name}`, {note}" for note in source.notes(ps_of_s(scenario.run.horizon_s)))


def _warm_up(scenario: Scenario) -> Iterator[Problem]:
    """`auto` looks for the end of a start-up, and would take any slow change of the load for one."""
    if scenario.run.warm_up_s != "auto":
        return
    for name, source in scenario.traffic.items():
        if not source.arrivals.is_stationary:
            yield Problem(
                ("run", "warm_up_s"),
                f"warm_up_s `auto` needs traffic whose rate does not change, and the arrivals of `{name}` "
                f"are of kind `{source.arrivals.kind}`: state the seconds",
            )


def target_model(scenario: Scenario, source: Source) -> str:
    """The model that a source's requests reach, through its app if it has one."""
    if source.model is not None:
        return source.model
    assert source.app is not None
    return scenario.apps[source.app].model
