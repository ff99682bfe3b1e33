"""What a schema cannot see: names that must exist, sizes that must fit, horizons that must suffice."""

from collections.abc import Iterator
from difflib import get_close_matches
from typing import NamedTuple

from sim.scenario.schema import Scenario, Source
from sim.scenario.source_map import Location
from traffic.lengths import FixedLength
from traffic.sizes import PromptAndOutput
from traffic.traces import TraceError


class Problem(NamedTuple):
    location: Location
    sentence: str


def problems(scenario: Scenario) -> Iterator[Problem]:
    """Everything wrong with a valid scenario, the first to be mended first."""
    yield from _names(scenario)
    yield from _sizes(scenario)
    yield from _lengths(scenario)


def _unknown(what: str, name: str, known: dict[str, object]) -> str:
    close = get_close_matches(name, known, n=1, cutoff=0.5)
    hint = (
        f"did you mean `{close[0]}`?"
        if close
        else f"there are {', '.join(f'`{k}`' for k in known) or 'none'}"
    )
    return f"there is no {what} `{name}`; {hint}"


def _names(scenario: Scenario) -> Iterator[Problem]:
    places: dict[str, object] = dict(scenario.network.places)
    models: dict[str, object] = dict(scenario.models)
    apps: dict[str, object] = dict(scenario.apps)
    for name, app in scenario.apps.items():
        if app.place not in places:
            yield Problem(("apps", name, "place"), _unknown("place", app.place, places))
        if app.model not in models:
            yield Problem(("apps", name, "model"), _unknown("model", app.model, models))
    for name, source in scenario.traffic.items():
        if source.place not in places:
            yield Problem(("traffic", name, "place"), _unknown("place", source.place, places))
        if source.model is not None and source.model not in models:
            yield Problem(("traffic", name, "model"), _unknown("model", source.model, models))
        if source.app is not None and source.app not in apps:
            yield Problem(("traffic", name, "app"), _unknown("app", source.app, apps))


def _sizes(scenario: Scenario) -> Iterator[Problem]:
    for name, model in scenario.models.items():
        at: Location = ("models", name)
        try:
            hardware = model.build_hardware()
        except ValueError as error:
            yield Problem((*at, "hardware"), str(error))
            continue
        pool_tokens = hardware.kv_pool_tokens // model.block_size * model.block_size
        if model.context_tokens > pool_tokens:
            yield Problem(
                (*at, "context_tokens"),
                f"a context of {model.context_tokens:,} tokens does not fit the KV pool of `{name}`, "
                f"{pool_tokens:,} tokens: lower context_tokens, or raise the pool if the hardware has it",
            )


def _lengths(scenario: Scenario) -> Iterator[Problem]:
    for name, source in scenario.traffic.items():
        at: Location = ("traffic", name)
        try:
            source.load()
        except TraceError as error:
            yield Problem((*at, "arrivals"), str(error))
            continue
        context = scenario.models[target_model(scenario, source)].context_tokens
        least = _least_tokens(source)
        if least > context:
            yield Problem(
                (*at, "lengths"),
                f"every request has at least {least:,} tokens, and the model takes {context:,}",
            )


def _least_tokens(source: Source) -> int:
    """Prompt and output of the smallest request that the lengths can make."""
    lengths = source.lengths
    if not isinstance(lengths, PromptAndOutput):
        return 0  # a trace's long rows are refused one by one, and recorded so
    return sum(
        length.tokens if isinstance(length, FixedLength) else getattr(length, "low", 1)
        for length in (lengths.prompt, lengths.output)
    )


def target_model(scenario: Scenario, source: Source) -> str:
    """The model that a source's requests reach, through its app if it has one."""
    if source.model is not None:
        return source.model
    assert source.app is not None
    return scenario.apps[source.app].model
