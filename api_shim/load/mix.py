"""The traffic of a scenario as a load client sends it: a kind of requests for each source."""

from api_shim.accounts.callers import SOURCE_KEY_PREFIX
from e80sim.mistakes import UserError
from sim.scenario.check import target_model
from sim.scenario.schema import Scenario, Source
from traffic.arrivals import PoissonArrivals
from traffic.mix import Mix, RequestKind


def mix_of(scenario: Scenario) -> Mix:
    """Raises UserError where the rate of a source cannot be told."""
    return Mix(kinds=tuple(_kind(scenario, name, source) for name, source in scenario.traffic.items()))


def _kind(scenario: Scenario, name: str, source: Source) -> RequestKind:
    if source.recording is not None:
        raise UserError(f"source {name} replays recorded sessions, and a load client waits for no answer")
    app = None if source.app is None else scenario.apps[source.app]
    calls = source.requests_per_arrival if app is None else app.mean_calls
    rate_per_s = source.arrivals.mean_rate_per_s
    if rate_per_s is None:
        raise UserError(f"the arrivals of source {name} have no mean rate to weigh it by")
    # Calls of an app and turns of a chat come as independent requests here, not one after the other.
    alone = app is None and source.callers is None
    arrivals = source.arrivals if alone else PoissonArrivals(rate_per_s=rate_per_s * calls)
    return RequestKind(
        name=name,
        weight=rate_per_s * calls,
        key=_key(scenario, name),
        model=scenario.models[target_model(scenario, source)].id,
        place=source.place if app is None else app.place,
        stream=source.stream,
        max_tokens=source.max_output_tokens,
        lengths=source.lengths.apart_from(source.arrivals.replayed),
        arrivals=arrivals,
    )


def _key(scenario: Scenario, source: str) -> str:
    """One that stands for the source, as the server sees keys."""
    keys = scenario.serve.keys
    mine = [key for key, holder in keys.items() if holder.source == source]
    return next(iter([*mine, *keys]), SOURCE_KEY_PREFIX + source)


def without_arrivals(mix: Mix) -> Mix:
    """For a load whose rate, or number of users, is stated: the kinds come by weight."""
    return Mix(kinds=tuple(kind.model_copy(update={"arrivals": None}) for kind in mix.kinds))
