"""All that a request handler needs: the world, its clock, and what turns bodies into requests and back."""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from typing import TypeVar

from api_shim.accounts.callers import Callers
from api_shim.accounts.deployments import DeploymentService
from api_shim.accounts.login import LoginFlow
from api_shim.clocks.clock import Clock
from api_shim.clocks.pacing import Pacing
from api_shim.content.lengths import Lengths
from api_shim.content.live_prefixes import LivePrefixes
from api_shim.content.plan import Content, ContentAsk
from api_shim.content.prompt_tokens import MakeTokens
from api_shim.edge.service import EdgeService
from api_shim.exchange.asker import Asker
from api_shim.exchange.call import Call
from api_shim.exchange.exchange import Exchange
from api_shim.sandboxes.service import SandboxService
from api_shim.settings import ServerSettings
from api_shim.store.store import Store
from api_shim.store.writes import Writes
from api_shim.telemetry.metrics import Metrics
from api_shim.tracing.tracer import Export, Tracer
from api_shim.wire.errors import unknown_model
from sim.run.journal import Journal
from sim.run.world import World
from sim.scenario.schema import Model
from sim.time.units import PS_PER_MS, ps_of_ms
from traffic.request import Request
from traffic.tokens import Vocabulary, vocabulary_of

T = TypeVar("T")
OUTPUT_HEADER = "x-sim-output-tokens"
BYTES_AT_ONCE = 32 * 1024
"""Bodies of the worst kind take a microsecond for each byte, plain text a thirtieth of that."""
REQUESTS_PER_FORGETTING = 256


@dataclass(frozen=True, slots=True)
class ServedModel:
    name: str
    """In the scenario."""
    id: str
    """On the wire."""
    spec: Model

    @property
    def vocabulary(self) -> Vocabulary:
        return vocabulary_of(self.spec.llm)


class Shim:
    def __init__(
        self,
        world: World,
        clock: Clock,
        content: Content,
        settings: ServerSettings,
        journal: Journal | None = None,
        store: Store | None = None,
        export: Export | None = None,
    ) -> None:
        scenario = world.scenario
        self.world = world
        self.clock = clock
        self.content = content
        self.settings = settings
        self.journal = journal
        """Where arrivals are written down, if anywhere."""
        self.store = store or Store()
        self.writes = Writes(self.store.database, clock.aside)
        self.callers = Callers(
            scenario,
            settings.place_of_port,
            need_key=settings.need_key,
            issued=self.store.keys,
            logins=self.store.logins,
        )
        self.login_flow = LoginFlow()
        self.tracer = Tracer(clock, self.store.traces, self.new_id, settings.trace_share, export)
        self.sandboxes = SandboxService(
            settings.sandboxes,
            scenario.sandboxes,
            clock,
            self.store.sandboxes,
            self.new_id,
            settings.sandbox_run_ms,
        )
        self.edge = EdgeService(
            world, clock, self.callers, self.store.files, settings.api_url, settings.app_python
        )
        self.deployments = DeploymentService(
            clock,
            self.store.artifacts,
            self.store.deployments,
            self.store.secrets,
            self.store.projects,
            self.new_id,
            settings.archive_limits,
        )
        self.models = {spec.id: ServedModel(name, spec.id, spec) for name, spec in scenario.models.items()}
        self.prefixes = {
            name: LivePrefixes(spec.block_size, vocabulary_of(spec.llm))
            for name, spec in scenario.models.items()
            if spec.batching.enable_prefix_caching
        }
        self.lengths = Lengths(scenario, scenario.run.seed)
        self.pacing = Pacing(content.paced)
        self.metrics = Metrics(self)
        world.watch = self.metrics.watch
        self.streams = 0
        self.exchanges: set[Exchange] = set()
        self.served = 0
        """Requests answered, whole."""
        self.unanswered = 0
        """Refused, lost, or left by their callers."""
        self.fingerprint = f"fp_{blake2b(scenario.model_dump_json().encode(), digest_size=5).hexdigest()}"
        """The same for the same platform, whichever server simulates it."""
        self._ids = 0
        ttft_ms = scenario.slo.ttft_ms
        self._ttft_objective_ps = None if ttft_ms is None else ps_of_ms(ttft_ms)
        self._until_forgetting = REQUESTS_PER_FORGETTING

    def new_id(self, prefix: str) -> str:
        self._ids += 1
        return f"{prefix}{self.settings.instance}{self._ids:012x}"

    def model(self, model_id: str) -> ServedModel:
        """By its wire name, or by its name in the scenario. Raises ApiError 404."""
        found = self.models.get(model_id)
        if found is None:
            raise unknown_model(model_id)
        return found

    @property
    def flush_ps(self) -> int:
        return round(self.settings.flush(self.streams) * self.clock.speed * PS_PER_MS)

    def seed_of(self, model: ServedModel, texts: list[str], seed: int | None) -> int:
        """The same for the same words to the same model, streamed or not."""
        digest = blake2b(f"{model.id}\0{seed}\0".encode(), digest_size=8)
        for text in texts:
            digest.update(text.encode())
            digest.update(b"\0")
        return int.from_bytes(digest.digest(), "little")

    async def apart(self, size_bytes: int, work: Callable[[], T]) -> T:
        """Do what so long a body takes to understand; beside the loop if it would hold up the others."""
        return work() if size_bytes <= BYTES_AT_ONCE else await self.clock.aside(work)

    async def open(
        self,
        asker: Asker,
        model: ServedModel,
        ask: ContentAsk,
        prompt_tokens: int,
        *,
        stream: bool,
        written: MakeTokens,
        priority: int | None = None,
    ) -> Exchange:
        """Plan the words, then send the request into the model. Whoever opens an exchange closes it.

        `written` are the prompt's tokens one by one, for models that keep them. `priority` is what the body
        states; where it states none, that of the key counts.
        """
        caller = asker.caller
        plan = await self.content.plan(ask)
        number, prefixes = self.world.numbers.next(), self.prefixes.get(model.name)
        request = Request(
            number=number,
            model=model.name,
            prompt_tokens=prompt_tokens,
            output_tokens=plan.output_tokens,
            max_output_tokens=ask.max_tokens,
            intended_ps=self.clock.timeline.now,
            place=asker.place,
            caller=caller.connections,
            project=caller.project,
            key=caller.key,
            source=caller.source,
            tenant=caller.tenant,
            stream=stream,
            samples=ask.samples,
            priority=caller.priority if priority is None else priority,
            batch=caller.batch,
            prefix=() if prefixes is None else prefixes.prefix(number, written(), plan),
            tier=caller.tier,
            attempt=asker.attempt,
            node=asker.node,
            fairness_id=asker.fairness_id or caller.fairness_id,
            ttft_objective_ps=next(
                (one for one in (asker.ttft_objective_ps, caller.ttft_objective_ps) if one is not None),
                self._ttft_objective_ps,
            ),
        )
        if asker.until_room is not None:
            await asker.until_room(request)
        call = Call(self.clock, self.world.platform, request, asker.request_id, self.journal)
        exchange = Exchange(self, call, plan, model.id, asker.trace)
        if asker.trace is not None:
            asker.trace.sent(call, plan, ask)
        self.exchanges.add(exchange)
        exchange.begin(asker.until_gone)
        return exchange

    @property
    def under_way(self) -> int:
        return len(self.exchanges)

    def closed(self, exchange: Exchange) -> None:
        self.exchanges.discard(exchange)
        self.served += exchange.answered
        self.unanswered += not exchange.answered
        self.metrics.observe(exchange)
        if exchange.trace is not None:
            exchange.trace.closed()
        self._until_forgetting -= 1
        if not self._until_forgetting:
            self._until_forgetting = REQUESTS_PER_FORGETTING
            self._forget()

    def _forget(self) -> None:
        """Streams ask how many tokens have reached them by now, so only what is on its way back is needed."""
        on_the_way_ps = max((exchange.way_back_ps for exchange in self.exchanges), default=0)
        needed_ps = self.clock.timeline.now - on_the_way_ps
        for pool in self.world.platform.pools.values():
            for node in pool.nodes:
                node.kernel.forget(needed_ps)
        self.world.tidy()
