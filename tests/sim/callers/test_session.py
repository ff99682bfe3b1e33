"""Callers that wait for their answers, as SimPy processes; a step takes 10 ms, and 1 ms a prompt token."""

from collections.abc import Generator
from typing import Any

import pytest
from simpy import Event

from sim.callers.session import Answer, Session
from sim.platform.ticket import Sink, Ticket
from sim.time.events import Begun
from sim.time.timeline import ARRIVAL, FEEDBACK
from tests.support.bench import MS, Bench, make_bench

Story = Generator[Event, Any, None]


def session_of(b: Bench) -> Session:
    def send(sizes: tuple[int, int], sink: Sink) -> Ticket:
        return b.platform.submit(b.request(*sizes), sink)

    return Session(b.env, send)


def test_a_chat_asks_when_it_has_read_and_thought() -> None:
    """A lone request of 5 + 3 tokens takes 15 + 10 + 10 = 35 ms at the node, and 4 ms there and back."""
    b = make_bench(way_ms=2)
    seen: list[tuple[int, str, int]] = []

    def chat(session: Session) -> Story:
        for _ in range(3):
            answer: Answer = yield session.ask(5, 3)
            seen.append((b.env.now, answer.outcome, answer.output_tokens))
            yield session.pause(100 * MS)

    b.env.process(chat(session_of(b)))
    b.env.run()
    assert seen == [(39 * MS, "completed", 3), (178 * MS, "completed", 3), (317 * MS, "completed", 3)]


def test_work_on_an_answer_comes_before_the_process_goes_on() -> None:
    b = make_bench(way_ms=2)
    seen: list[tuple[int, int]] = []

    def app(session: Session) -> Story:
        answer: Answer = yield session.ask(5, 3, work_ps=7 * MS)
        seen.append((b.env.now, answer.at_ps))

    b.env.process(app(session_of(b)))
    b.env.run()
    assert seen == [(46 * MS, 39 * MS)]


def test_what_is_asked_at_once_is_answered_with_the_last() -> None:
    """Both prompts share the first step, 10 + 5 + 5 = 20 ms; one token more takes 10 ms, three take 30."""
    b = make_bench()
    seen: list[tuple[int, int, str]] = []

    def fan(session: Session) -> Story:
        answer: Answer = yield session.ask_at_once([(5, 2), (5, 4)])
        seen.append((b.env.now, answer.output_tokens, answer.outcome))

    b.env.process(fan(session_of(b)))
    b.env.run()
    assert seen == [(50 * MS, 6, "completed")]


def test_a_refusal_is_an_answer() -> None:
    b = make_bench(way_ms=2, limits=(1, 1000))
    seen: list[tuple[int, str]] = []

    def eager(session: Session) -> Story:
        answer: Answer = yield session.ask_at_once([(5, 3), (5, 3)])
        seen.append((b.env.now, answer.outcome))
        answer = yield session.ask(5, 3)
        seen.append((b.env.now, answer.outcome))

    b.env.process(eager(session_of(b)))
    b.env.run()
    assert seen == [(39 * MS, "rejected_requests_limit"), (43 * MS, "rejected_requests_limit")]


def test_a_process_may_wait_for_an_answer_or_its_own_patience() -> None:
    b = make_bench()
    seen: list[tuple[int, bool]] = []

    def hasty(session: Session) -> Story:
        answer = session.ask(5, 30)
        yield answer | session.pause(20 * MS)
        seen.append((b.env.now, answer.processed))
        answer.tickets[0].cancel()
        yield answer
        seen.append((b.env.now, answer.completed))

    b.env.process(hasty(session_of(b)))
    b.env.run()
    assert seen == [(20 * MS, False), (20 * MS, False)]


@pytest.mark.parametrize("engine", ["step", "fast"])
def test_an_answer_without_delay_meets_every_node_in_its_next_step(engine: str) -> None:
    """Both nodes end a step at 15 ms, and the newcomer finds its node in the next one, until 25 ms.

    There it enters: its prompt takes 5 ms beside the 10 of a decode.
    """
    b = make_bench(nodes=2, routing="round_robin", engine=engine)
    seen: list[int] = []

    def once(session: Session) -> Story:
        yield session.ask(5, 1)  # node 0, until 15 ms
        yield session.ask(5, 1)  # node 0 or 1 by turns
        seen.append(b.env.now)

    session = session_of(b)
    b.env.process(once(session))
    other = session.ask(5, 4)
    b.env.run()
    assert other.completed
    assert seen == [40 * MS]


def test_an_event_happens_in_its_order_at_one_instant() -> None:
    b, said = make_bench(), list[str]()
    for name, order in (("feedback", FEEDBACK), ("arrival", ARRIVAL)):
        event = Event(b.env.simpy)
        event.callbacks.append(lambda _event, name=name: said.append(name))  # type: ignore[misc]
        b.env.succeed_at(event, None, 5, order)
    b.env.run()
    assert said == ["arrival", "feedback"]


def test_a_sweep_of_cancelled_alarms_leaves_events_that_nobody_waits_for_yet() -> None:
    from sim.time.timeline import Alarm

    b, said = make_bench(), list[int]()
    session = session_of(b)

    def late() -> Story:
        pause = session.pause(50 * MS)
        alarms = [Alarm(b.env, 90 * MS, print) for _ in range(5000)]
        for alarm in alarms:
            b.env.cancel(alarm)
        yield session.pause(10 * MS)
        yield pause
        said.append(b.env.now)

    b.env.process(late())
    b.env.run()
    assert said == [50 * MS]


def test_a_process_that_fails_ends_the_run() -> None:
    b = make_bench()

    def broken(session: Session) -> Story:
        yield session.pause(1)
        raise ZeroDivisionError

    b.env.process(broken(session_of(b)))
    with pytest.raises(ZeroDivisionError):
        b.env.run_before(10)


def test_a_process_begins_when_it_is_told_to() -> None:
    b, said = make_bench(), list[tuple[str, int]]()

    def story(session: Session) -> Story:
        said.append(("begins", b.env.now))
        yield session.pause(5)
        said.append(("ends", b.env.now))

    process = Begun(b.env, story(session_of(b)), 20)
    b.env.run()
    assert said == [("begins", 20), ("ends", 25)]
    assert process.processed


def test_a_process_may_wait_for_another_that_has_ended() -> None:
    b, said = make_bench(), list[tuple[int, object]]()

    def short() -> Generator[Event, Any, str]:
        yield session_of(b).pause(5)
        return "done"

    ended = Begun(b.env, short(), 0)

    def waiting() -> Story:
        yield session_of(b).pause(50)
        said.append((b.env.now, (yield ended)))

    Begun(b.env, waiting(), 0)
    b.env.run()
    assert said == [(50, "done")]
