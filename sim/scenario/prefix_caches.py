"""What a scenario's prefix caches will find, and what they stand for."""

from collections.abc import Iterable, Iterator

from e80sim.mistakes import UserError
from sim.scenario.check import target_model
from sim.scenario.schema import Scenario, Source


def require_something_in_common(scenarios: Iterable[Scenario]) -> None:
    """Raises UserError where a run has a prefix cache and no prompts for it. A server gets real ones."""
    for scenario in scenarios:
        for name in _useless(scenario):
            raise UserError(
                f"models.{name}.batching.enable_prefix_caching: the prompts that reach `{name}` have nothing "
                f"in common, so a run finds nothing in its cache; state `prefix` of a source, `history` of "
                f"an app or callers of kind 'chats', or leave it out"
            )


def prefix_cache_notes(scenario: Scenario) -> Iterator[str]:
    """Nothing wrong, but to be known."""
    for name in _useless(scenario):
        yield (
            f"`{name}` caches prefixes, and the sources that reach it state none: `e80sim run` refuses this, "
            f"`e80sim serve` finds what real prompts have in common."
        )
    for name, model in scenario.models.items():
        if model.batching.enable_prefix_caching and model.hardware.kind == "hardwired_asic":
            tokens = model.build_hardware().kv_pool_tokens // model.block_size * model.block_size
            yield (
                f"`{name}` caches prefixes in the {tokens:,} tokens of KV memory on its chip, which running "
                f"requests need too: that a hard-wired chip can share them is assumed."
            )
    for name, source in scenario.traffic.items():
        if source.prefix is not None and source.prefix.follows_arrivals and source.arrivals.last_ps is None:
            yield (
                f"`{name}` replays rows of its trace more than once, and with them their prompts: a prefix "
                f"cache finds those whole."
            )


def _useless(scenario: Scenario) -> Iterator[str]:
    for name, model in scenario.models.items():
        sources = [source for source in scenario.traffic.values() if target_model(scenario, source) == name]
        in_common = any(_have_something_in_common(scenario, source) for source in sources)
        if model.batching.enable_prefix_caching and not in_common:
            yield name


def _have_something_in_common(scenario: Scenario, source: Source) -> bool:
    app = None if source.app is None else scenario.apps[source.app]
    history = app is not None and (app.history or app.steps is not None)
    chats = source.callers is not None and source.callers.prompts_grow
    return history or source.prefix is not None or chats
