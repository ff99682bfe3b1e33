"""Callers that wait for their answers before they ask again: what each arrival of such a source does."""

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

from simpy import Event

from sim.callers.chats import Chat, Script
from sim.callers.closed_loop import AskAndThink, at, use
from sim.callers.conversation import Conversation
from sim.callers.recorded import Replay, script_of
from sim.callers.session import Asked, Session
from sim.callers.session_records import Talk
from sim.callers.traffic import DRAWS_OF_A_USER, SourceTraffic
from sim.platform.ticket import Sink
from sim.scenario.check import target_model
from traffic.callers import CallerKind, Chats, ClosedLoop, Recorded
from traffic.prefixes import Beginning
from traffic.workload import SizePair


def start_of(of: SourceTraffic) -> Callable[[], object]:
    """What each arrival does."""
    kind = of.source.callers
    return _recorded(of, None) if kind is None else STARTS[type(kind)](of, kind)


def _chats(of: SourceTraffic, kind: Chats) -> Callable[[], object]:
    """Each arrival starts a conversation."""
    source, sessions, scenario = of.source, of.traffic.sessions, of.traffic.scenario
    context_tokens = scenario.models[target_model(scenario, source)].context_tokens
    sizes = source.pairs(of.stream("prompt"), of.stream("output"))
    turns, thinks = kind.turns.draws(of.stream("turns")), kind.think.draws_ps(of.stream("think"))
    beginnings, numbers = of.beginnings(), count()

    def start() -> None:
        number, project, beginning, planned = next(numbers), next(of.projects), next(beginnings), next(turns)
        script = Script([next(sizes) for _ in range(planned)], [next(thinks) for _ in range(planned - 1)])
        conversation = Conversation(f"{of.name}/session {number}", beginning, source.max_output_tokens)
        talk = sessions.begin(of.name, source.tenant, number, planned)
        Chat(sessions, talk, script, conversation, context_tokens, project, of.send)

    return start


def _closed_loop(of: SourceTraffic, kind: ClosedLoop) -> Callable[[], object]:
    """Each arrival is a user with draws of his own, so that nobody's depend on how quick the others are."""
    traffic, source = of.traffic, of.source
    streams = {purpose: of.stream(purpose) for purpose in ("prompt", "output", "think")}
    beginnings, numbers = of.beginnings(), count()
    asking = _of_model if source.app is None else _of_app(of, source.app)

    def start() -> None:
        number, project, beginning = next(numbers), next(of.projects), next(beginnings)
        prompt, output, think = (stream.spawn(1)[0] for stream in streams.values())
        sizes = source.pairs(prompt, output, DRAWS_OF_A_USER)
        thinks = kind.think.draws_ps(think, DRAWS_OF_A_USER)
        talk = traffic.sessions.begin(of.name, source.tenant, number, -1)
        ask = asking(of, talk, project, beginning, sizes)
        traffic.env.process(use(traffic.sessions, talk, traffic.horizon_ps, thinks, ask))

    return start


def _of_model(
    of: SourceTraffic, talk: Talk, project: str, beginning: Beginning, sizes: Iterator[SizePair]
) -> AskAndThink:
    """A user of a model."""

    def send(pair: SizePair, sink: Sink) -> Asked:
        return of.send(pair, project, sink, -1, beginning, talk.number, talk.turns - 1)

    session = Session(of.traffic.env, send)
    return lambda think_ps: session.ask(*next(sizes), think_ps)


def _of_app(of: SourceTraffic, app: str) -> Callable[..., AskAndThink]:
    """Users of an app."""
    env, visit, calls = of.traffic.env, of.visits(app), of.traffic.scenario.apps[app].calls

    def asking(
        _of: SourceTraffic, talk: Talk, project: str, beginning: Beginning, sizes: Iterator[SizePair]
    ) -> AskAndThink:
        walks = of.walks(app, f"user {talk.number}/")

        def ask(think_ps: int) -> Event:
            thought_over = Event(env.simpy)

            def replied(ended_ps: int, _outcome: str) -> None:
                at(env, ended_ps + think_ps, thought_over)

            visit(project, beginning, [next(sizes) for _ in range(calls)], walks, replied, talk.number)
            return thought_over

        return ask

    return asking


def _recorded(of: SourceTraffic, _kind: Recorded | None) -> Callable[[], object]:
    """Each arrival starts a recorded session."""
    source, sessions, numbers = of.source, of.traffic.sessions, count()
    assert source.recording is not None
    rows, recorded = source.rows(of.stream("arrivals")), source.recording.sessions
    scripts = [script_of(session, [of.as_recorded(turn) for turn in session.turns]) for session in recorded]

    def start() -> None:
        number, project, script = next(numbers), next(of.projects), scripts[next(rows)]

        def say(pair: SizePair, sink: Sink, begins: Beginning, turn: int) -> Asked:
            return of.send(pair, project, sink, -1, begins, number, turn)

        talk = sessions.begin(of.name, source.tenant, number, len(script.turns))
        Replay(sessions, talk, script, say)

    return start


STARTS: dict[type[CallerKind], Callable[[SourceTraffic, Any], Callable[[], object]]] = {
    Chats: _chats,
    ClosedLoop: _closed_loop,
    Recorded: _recorded,
}
"""By kind of callers: what each arrival of a source does. `traffic.callers.CALLERS` has their settings."""
