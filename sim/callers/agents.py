"""Agents: apps that go from step to step, as drawn by `traffic.walks` when the user's message is sent.

What is said grows from ask to ask: the user's message, prompts, answers, and the results of other steps.
Branches begin with all that was said before them, and what they answer enters the prompt after them.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from simpy import Event

from sim.callers.apps import App, Reply
from sim.callers.closed_loop import at
from sim.callers.conversation import Conversation
from sim.callers.session import Answer, Asked, Session
from sim.edge.compute import Seat
from sim.network import Link
from sim.platform.recorder import Recorder
from sim.platform.ticket import Sink
from sim.time.timeline import Timeline
from traffic.prefixes import Beginning
from traffic.walks import Planned
from traffic.workload import SizePair

Say = Callable[[SizePair, Sink, Beginning], Asked]
"""(sizes, sink, how the prompt begins): sends a model request of one user request."""
Does = Generator[Event, Any, str]
"""A step on its way; its value is the outcome."""


@dataclass(slots=True)
class StepRow:
    """One step as it is recorded."""

    planned: Planned
    began_ps: int
    ended_ps: int = -1
    network_ps: int = 0
    ask: int = -1
    critical: bool = True


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all requests to one agent share."""

    env: Timeline
    app: App
    sandboxes: Link
    """The way from the agent to them and back."""
    records: Recorder


class Thread:
    """What was said and is known in one branch."""

    __slots__ = (
        "_begins",
        "_inherited",
        "_say",
        "branches",
        "conversation",
        "fresh",
        "in_conversation",
        "results",
        "rows",
        "said",
        "session",
    )

    def __init__(
        self, env: Timeline, conversation: Conversation, fresh: Beginning, results: int, say: Say
    ) -> None:
        """`fresh` is how a prompt without a history begins."""
        self.conversation = conversation
        self.fresh = fresh
        self.results = self._inherited = results
        """Tokens that enter the next prompt."""
        self.said = 0
        """Tokens of the last answer."""
        self.in_conversation = False
        """The last answer is part of it."""
        self.rows: list[StepRow] = []
        self.branches: list[Thread] = []
        self.session = Session(env, self._send)
        self._say = say
        self._begins = fresh

    def prompt(self, planned: Planned) -> SizePair:
        """Of the ask that comes: sizes, the beginning apart."""
        new, self.results, self._inherited = self.results + planned.prompt_tokens, 0, 0
        pair = (new, planned.output_tokens)
        if planned.history:
            pair, self._begins = self.conversation.turn(pair)
        else:
            self._begins = self.fresh
        return pair

    def hear(self, tokens: int, planned: Planned) -> None:
        """The answer to it. One that was asked for apart is a result, and no part of the conversation."""
        self.said = tokens
        self.in_conversation = planned.history
        if not planned.history:
            self.results += tokens

    def branch(self, env: Timeline) -> "Thread":
        """Another one, which begins with what was said in this one, results included."""
        conversation = self.conversation.branch(f"{self.conversation.name}/{len(self.branches)}")
        self.branches.append(Thread(env, conversation, self.fresh, self.results, self._say))
        return self.branches[-1]

    @property
    def brings(self) -> int:
        """Tokens that it adds to what the agent knows: its last answer, and the results since."""
        return self.results - self._inherited + (self.said if self.in_conversation else 0)

    def all_rows(self) -> Iterator[StepRow]:
        """Those of its branches included."""
        yield from self.rows
        for branch in self.branches:
            yield from branch.all_rows()

    def _send(self, pair: SizePair, sink: Sink) -> Asked:
        return self._say(pair, sink, self._begins)


class AgentWork:
    """One user request on its way through the table of an agent."""

    __slots__ = ("_seat", "_thread", "_walk", "_with", "calls")

    def __init__(self, surroundings: Surroundings, walk: Sequence[Planned], thread: Thread) -> None:
        self._with = surroundings
        self._walk = walk
        self._thread = thread
        self._seat: Seat | None = None
        self.calls = 0

    def story(self, seat: Seat | None) -> Generator[Event, Any, Reply]:
        self._seat = seat
        outcome = yield from self._go(self._walk, self._thread)
        return Reply(outcome, self._thread.said)

    @property
    def cpu_ps(self) -> int:
        app = self._with.app
        asked = sum(row.critical and row.planned.kind == "ask" for row in self._thread.all_rows())
        return app.cpu_ps + asked * app.cpu_per_call_ps

    def close(self, number: int) -> None:
        records = self._with.records
        codes = records.labels.codes
        for row in sorted(self._thread.all_rows(), key=lambda row: row.began_ps):
            planned = row.planned
            records.add(
                (
                    number,
                    *codes(app=self._with.app.name, step=planned.name, kind=planned.kind, next=planned.next),
                    row.critical,
                    row.ask,
                    row.network_ps,
                    row.began_ps,
                    row.ended_ps,
                )
            )

    def _go(self, walk: Sequence[Planned], thread: Thread) -> Does:
        """Step after step, until one fails or none is left."""
        env = self._with.env
        for planned in walk:
            row = StepRow(planned, env.now)
            thread.rows.append(row)
            outcome = yield from DOES[planned.kind](self, row, thread)
            row.ended_ps = env.now
            if outcome != "completed":
                return outcome
        return "completed"

    # What each kind of step does

    def ask(self, row: StepRow, thread: Thread) -> Does:
        planned = row.planned
        prompt_tokens, output_tokens = thread.prompt(planned)
        self.calls += 1
        seat, work_ps = self._seat, self._with.app.cpu_per_call_ps
        asked = thread.session.ask(prompt_tokens, output_tokens, work_ps if seat is None else 0)
        row.ask = asked.tickets[0].request.number
        answer: Answer = yield asked
        if seat is not None:
            yield seat.work(work_ps)
        thread.hear(answer.output_tokens, planned)
        return answer.outcome

    def use(self, row: StepRow, thread: Thread) -> Does:
        yield thread.session.pause(row.planned.time_ps)
        thread.results += row.planned.result_tokens
        return "completed"

    def run(self, row: StepRow, thread: Thread) -> Does:
        """The program is what the model said last."""
        env, link, planned = self._with.env, self._with.sandboxes, row.planned
        began_ps, departure = env.now, link.send(env.now, thread.said)
        yield at(env, departure.arrived_ps + planned.time_ps)
        back_ps = link.whole(departure, env.now, planned.result_tokens)
        link.release(departure.connection, back_ps)
        row.network_ps = back_ps - began_ps - planned.time_ps
        yield at(env, back_ps)
        thread.results += planned.result_tokens
        return "completed"

    def fan_out(self, row: StepRow, thread: Thread) -> Does:
        """All at once, and on when the last of them is done."""
        env = self._with.env
        branches = [thread.branch(env) for _ in row.planned.branches]
        if not branches:
            return "completed"
        outcomes: list[str] = []
        done = Event(env.simpy)

        def follow(walk: Sequence[Planned], branch: Thread) -> Generator[Event, Any, None]:
            outcome = yield from self._go(walk, branch)
            outcomes.append(outcome)
            if len(outcomes) == len(branches):
                done.succeed(branch)

        for walk, branch in zip(row.planned.branches, branches, strict=True):
            env.process(follow(walk, branch))
        last = yield done
        for other in branches:
            for of_other in other.all_rows() if other is not last else ():
                of_other.critical = False
        thread.results += sum(branch.brings for branch in branches)
        return next((outcome for outcome in outcomes if outcome != "completed"), "completed")


DOES: dict[str, Callable[[AgentWork, StepRow, Thread], Does]] = {
    "ask": AgentWork.ask,
    "tool": AgentWork.use,
    "sandbox": AgentWork.run,
    "fan_out": AgentWork.fan_out,
}
"""By kind of step, as in `traffic.agents.STEPS`."""
