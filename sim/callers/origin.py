"""Where the model requests of one source come from: what they have in common is worked out once."""

from sim.scenario.check import target_model
from sim.scenario.schema import Scenario, Source
from sim.time.units import ps_of_ms, ps_of_s
from traffic.prefixes import NOTHING_IN_COMMON, Beginning
from traffic.request import Request, caller_named
from traffic.workload import SizePair


class Origin:
    """Where a source has an app, that is the caller: from its own place, over its own connections."""

    def __init__(self, scenario: Scenario, name: str, source: Source) -> None:
        self._name = name
        self._tenant = source.tenant
        self._model = target_model(scenario, source)
        self._cap = source.max_output_tokens
        self._stream = source.stream
        self._priority, self._batch = source.priority_of_requests, source.batch
        self._tier, self._fairness_id = source.tier or "", source.fairness_id or ""
        self._ttft_objective_ps = ttft_objective_ps(scenario, source)
        self._timeout_ps = None if source.timeout_s is None else ps_of_s(source.timeout_s)
        app = None if source.app is None else scenario.apps[source.app]
        self._place = source.place if app is None else app.place
        self._caller = caller_named("source", name) if source.app is None else caller_named("app", source.app)

    def request(
        self,
        number: int,
        sizes: SizePair,
        intended_ps: int,
        project: str,
        parent: int = -1,
        beginning: Beginning = NOTHING_IN_COMMON,
        session: int = -1,
        turn: int = 0,
    ) -> Request:
        """The cap of the source cuts what the sizes ask for. A project has one key."""
        prompt_tokens, output_tokens = sizes
        prompt_tokens += beginning.tokens
        if self._cap is not None and output_tokens > self._cap:
            output_tokens = self._cap
        return Request(
            number,
            self._model,
            prompt_tokens,
            output_tokens,
            self._cap,
            intended_ps,
            self._place,
            self._caller,
            project,
            project,
            self._name,
            self._tenant,
            self._stream,
            1,
            None if self._timeout_ps is None else intended_ps + self._timeout_ps,
            self._priority,
            self._batch,
            parent,
            session,
            turn,
            0,  # the first attempt
            -1,
            None,
            self._tier,
            self._fairness_id,
            self._ttft_objective_ps,
            beginning.prefix,
        )


def ttft_objective_ps(scenario: Scenario, source: Source) -> int | None:
    """How soon it wants its first tokens, as it says or as all do."""
    objective_ms = source.ttft_objective_ms
    if objective_ms is None:
        objective_ms = scenario.objectives_of(source).ttft_ms
    return None if objective_ms is None else ps_of_ms(objective_ms)


def copies(scenario: Scenario, app: str, place: str) -> int:
    """An app at its users' own place runs on each user's device; anywhere else it is one service."""
    at_home = (s.people for s in scenario.traffic.values() if (s.app, s.place) == (app, place))
    return sum(at_home) or 1
