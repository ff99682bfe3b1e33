"""The callers of a scenario: each source is given its arrivals, and what those who arrive do."""

from collections.abc import Callable, Iterator
from itertools import repeat
from typing import TYPE_CHECKING, Any

from reports.record import AGENT_STEP_COLUMNS
from sim.callers.apps import App, Calls, User, Visits, Work
from sim.callers.conversation import Conversation
from sim.callers.hedging import hedging_of
from sim.callers.in_flight import InFlight
from sim.callers.origin import Origin, copies
from sim.callers.retrying import Asks, Client
from sim.callers.session import Asked, Session
from sim.callers.session_records import SessionRecords
from sim.callers.sources import Numbers, OneRequest
from sim.edge.compute import Compute
from sim.network import Network
from sim.platform.platform import Platform
from sim.platform.recorder import Recorder
from sim.platform.ticket import IGNORE, Sink
from sim.scenario.schema import Scenario, Source
from sim.time.streams import Streams
from sim.time.timeline import Timeline
from sim.time.units import ps_of_ms, ps_of_s
from traffic.prefixes import NOTHING_IN_COMMON, Beginning, of_source
from traffic.retry_profiles import NONE
from traffic.workload import SizePair

if TYPE_CHECKING:
    from sim.callers.agents import Say
    from traffic.traces.recording import RecordedTurn
    from traffic.walks import Walks

DRAWS_OF_A_USER = 16
"""At a time: there may be many who ask seldom."""


class Traffic:
    """All sources of one world."""

    def __init__(
        self,
        scenario: Scenario,
        env: Timeline,
        platform: Platform,
        network: Network,
        streams: Streams,
        numbers: Numbers,
    ) -> None:
        self.scenario = scenario
        self.env = env
        self.platform = platform
        self.network = network
        self.stream = streams.stream
        self.numbers = numbers
        self.visits = Visits(env)
        self.sessions = SessionRecords(env)
        self.asks = Asks()
        self.agent_steps = Recorder(AGENT_STEP_COLUMNS)
        self._computes: dict[str, Compute] = {}
        self._in_flight: list[InFlight] = []
        self.horizon_ps = ps_of_s(scenario.run.horizon_s)

    def compute(self, app_name: str) -> Compute | None:
        """What the app runs on, whichever source calls it."""
        section = self.scenario.apps[app_name].compute
        if section is None:
            return None
        found = self._computes.get(app_name)
        if found is None:
            found = self._computes[app_name] = Compute(self.env, section.shape())
        return found

    def in_flight(self, most: int, send: Callable[[int], object]) -> InFlight:
        """The line of a source that has at most so many requests under way."""
        line = InFlight(self.env, most, send)
        self._in_flight.append(line)
        return line

    def send_rest(self) -> None:
        """The run is over, and who still waits at a client is sent, to be recorded as unfinished."""
        for line in self._in_flight:
            line.send_rest()

    def record_unfinished(self) -> None:
        """The run is over: what has not ended is recorded as it stands."""
        self.visits.record_unfinished()
        self.sessions.record_unfinished()
        self.asks.record_unfinished()


class SourceTraffic:
    """What the callers of one source have in common."""

    def __init__(self, traffic: Traffic, name: str, source: Source) -> None:
        self.traffic = traffic
        self.name = name
        self.source = source
        self.projects = self._projects()
        self._origin = Origin(traffic.scenario, name, source)
        self._client = self._make_client()

    def stream(self, purpose: str) -> Any:  # noqa: ANN401 -- a generator of numpy
        return self.traffic.stream(f"traffic/{self.name}/{purpose}")

    def send(
        self,
        pair: SizePair,
        project: str,
        sink: Sink = IGNORE,
        parent: int = -1,
        beginning: Beginning = NOTHING_IN_COMMON,
        session: int = -1,
        turn: int = 0,
    ) -> Asked:
        """A model request, now."""
        traffic = self.traffic
        number, now_ps = traffic.numbers.next(), traffic.env.now
        return self._client.submit(
            self._origin.request(number, pair, now_ps, project, parent, beginning, session, turn), sink
        )

    def _make_client(self) -> Client | Platform:
        """What takes its requests: the platform itself unless they are retried or hedged."""
        traffic, retry, hedge = self.traffic, self.source.retry, self.source.hedge
        if retry is None and hedge is None:
            return traffic.platform
        hedging = None
        if hedge is not None:
            after_ps = None if hedge.after_ms is None else ps_of_ms(hedge.after_ms)
            hedging = hedging_of(after_ps, hedge.after_quantile, hedge.max)
        profile = NONE if retry is None else retry.profile()
        rng = self.stream("retries")
        return Client(traffic.platform, traffic.asks, traffic.numbers.next, profile, hedging, rng)

    # Callers that wait for nothing

    def starts_alone(self) -> Callable[[], object]:
        """What each arrival does: one request to the model, or to the app."""
        source, send, projects = self.source, self.send, self.projects
        sizes, beginnings = self.call_sizes(), self.beginnings()
        if source.app is not None:
            visit, walks = self.visits(source.app), self.walks(source.app)
            return lambda: visit(next(projects), next(beginnings), next(sizes), walks)
        if source.prefix is None:  # `send` as it is for most requests: a call less for each
            env, number = self.traffic.env, self.traffic.numbers.next
            return OneRequest(env, self._origin, self._client, number, sizes, projects).ask
        return lambda: send(next(sizes)[0], next(projects), beginning=next(beginnings))

    def starts_in_line(self, most: int) -> Callable[[], object]:
        """What each arrival does where only `most` are under way: a request now, or when it is its turn.

        A time-out counts from the sending, as load tools count it, and latencies from the arrival.
        """
        env, client, origin, number = self.traffic.env, self._client, self._origin, self.traffic.numbers.next
        sizes, beginnings, projects = self.call_sizes(), self.beginnings(), self.projects

        def send(arrived_ps: int) -> None:
            (pair,), project, beginning = next(sizes), next(projects), next(beginnings)
            request = origin.request(number(), pair, env.now, project, -1, beginning)
            request.intended_ps = arrived_ps
            client.submit(request, line)

        line = self.traffic.in_flight(most, send)
        return lambda: line.arrive(env.now)

    def call_sizes(self) -> Iterator[list[SizePair]]:
        source = self.source
        calls = 1 if source.app is None else self.traffic.scenario.apps[source.app].calls
        return source.call_sizes(self.stream("prompt"), self.stream("output"), calls, self.stream("arrivals"))

    # Apps

    def visits(self, app_name: str) -> Callable[..., None]:
        """(project, beginning, sizes, what its agent does, and as `Visits.begin`): a user request."""
        traffic, name, cap = self.traffic, self.name, self.source.max_output_tokens
        user, make = self._user(app_name), self._works(app_name)

        def visit(
            project: str,
            beginning: Beginning,
            sizes: list[SizePair],
            walks: "Walks | None",
            *as_begin: Any,  # noqa: ANN401
        ) -> None:
            number = traffic.numbers.next()
            conversation = Conversation(f"{name}/visit {number}", beginning, cap)

            def say(pair: SizePair, sink: Sink, begins: Beginning) -> Asked:
                return self.send(pair, project, sink, number, begins)

            work = make(user.app, conversation, beginning, sizes, walks, say)
            traffic.visits.begin(user, number, work, sizes[0][0], *as_begin)

        return visit

    def walks(self, app_name: str, whose: str = "") -> "Walks | None":
        """What its agent does, request after request, with draws of its own for each of `whose`."""
        app, source = self.traffic.scenario.apps[app_name], self.source
        if app.steps is None:
            return None
        from traffic.walks import DRAWS_AT_ONCE  # noqa: PLC0415 -- as in `_works`

        at_once = DRAWS_OF_A_USER if whose else DRAWS_AT_ONCE
        prompts, answers = (self.stream(f"steps/{whose}{of}") for of in ("prompt", "output"))
        outputs = (output for _, output in source.pairs(prompts, answers, at_once))
        return app.walks(outputs, lambda purpose: self.stream(f"steps/{whose}{purpose}"), at_once)

    def _works(self, app_name: str) -> Callable[..., Work]:
        """(app, conversation, beginning, sizes, walks, how it says something): what it does for a request."""
        traffic, spec = self.traffic, self.traffic.scenario.apps[app_name]

        def calls(
            app: App,
            talk: Conversation,
            beginning: Beginning,
            sizes: list[SizePair],
            _walks: None,
            say: "Say",
        ) -> Work:
            def ask(pair: SizePair, sink: Sink) -> Asked:
                whole, begins = talk.turn(pair) if spec.history else (pair, beginning)
                return say(whole, sink, begins)

            return Calls(app, Session(traffic.env, ask), sizes)

        if spec.steps is None:
            return calls
        rng = traffic.stream(f"network/sandboxes/{self.name}/{spec.place}")
        users = copies(traffic.scenario, app_name, spec.place)
        sandboxes = traffic.network.link(spec.place, None, rng, users=users)

        from sim.callers.agents import AgentWork, Surroundings, Thread  # noqa: PLC0415 -- few sources have any

        def agent(
            app: App,
            talk: Conversation,
            beginning: Beginning,
            sizes: list[SizePair],
            walks: "Walks",
            say: "Say",
        ) -> Work:
            surroundings = Surroundings(traffic.env, app, sandboxes, traffic.agent_steps)
            thread = Thread(traffic.env, talk, beginning, sizes[0][0], say)
            return AgentWork(surroundings, walks.draw(), thread)

        return agent

    def beginnings(self) -> Iterator[Beginning]:
        source = self.source
        if source.prefix is None:
            return repeat(NOTHING_IN_COMMON)
        return source.beginnings(self.name, self.stream("prefix"), self.stream("arrivals"))

    def as_recorded(self, turn: "RecordedTurn") -> Beginning:
        """How the prompt of a recorded turn begins, if the scenario says that it does as recorded."""
        if self.source.prefix is None:
            return NOTHING_IN_COMMON
        return Beginning(of_source(self.name, turn.prefix))

    def _projects(self) -> Iterator[str]:
        """Whose limits count for each arrival: the tenant's, or those of its clients."""
        source = self.source
        if source.clients is None:
            return repeat(source.tenant)
        clients = source.clients.draw(self.stream("clients"))
        return (f"{source.tenant}-{client}" for client in clients)

    def _user(self, app_name: str) -> User:
        traffic, source = self.traffic, self.source
        spec = traffic.scenario.apps[app_name]
        app = App(
            app_name,
            spec.place,
            spec.calls,
            spec.mode == "fan_out",
            ps_of_ms(spec.cpu_ms),
            ps_of_ms(spec.cpu_per_call_ms),
            traffic.compute(app_name),
        )
        link = traffic.network.link(
            source.place,
            spec.place,
            traffic.stream(f"network/user/{self.name}/{source.place}"),
            connections=source.connections,
            users=source.people,
        )
        return User(self.name, source.tenant, source.place, app, link)
