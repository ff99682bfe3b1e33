"""How an app goes from one model call to the next, worked by hand: 1 ms a prompt token, 10 ms a step."""

import pytest

from sim.callers.apps import App, Calls, User, Visits
from sim.callers.session import Session
from sim.platform.ticket import Sink, Ticket
from tests.support.bench import MS, Bench, Diary, FixedLink, make_bench
from traffic.workload import SizePair


def visit(b: Bench, app: App, sizes: list[SizePair]) -> Visits:
    """One, of a user who sits beside the app."""

    def send(pair: SizePair, sink: Sink) -> Ticket:
        return b.platform.submit(b.request(*pair), sink)

    visits = Visits(b.env)
    user = User("source", "tenant", "here", app, FixedLink(0, 0, 0))  # type: ignore[arg-type]  # all that is asked of it
    visits.begin(user, 100, Calls(app, Session(b.env, send), sizes), sizes[0][0])
    return visits


@pytest.mark.parametrize("engine", ["step", "fast"])
def test_a_call_set_off_by_an_answer_without_delay_meets_every_node_in_its_next_step(engine: str) -> None:
    """Both nodes end a step at 15 ms, node 0 first: its answer sets off a call to node 1.

    That is in its next step by then, until 25 ms. There the call enters: its prompt takes 5 ms beside the 10
    of a decode. Had it come before the boundary of node 1 it would be answered after 30 ms.
    """
    b = make_bench(nodes=2, routing="round_robin", engine=engine)
    app = App("agent", "here", 2, fan_out=False, cpu_ps=0, cpu_per_call_ps=0)
    visits = visit(b, app, [(5, 1), (5, 1)])
    b.submit_at(0, b.request(output=4), Diary())  # node 1
    b.submit_at(1, b.request(output=4), Diary())  # node 0, so that the next is node 1
    b.env.run()
    assert visits.records.arrays("number")["ended_ps"].tolist() == [40 * MS]


def test_an_app_that_fans_out_answers_when_the_last_call_is_answered_and_worked_on() -> None:
    """Prompts of 5 and 7 tokens in one step: 22 ms, and 3 ms of work before and 4 after them."""
    b = make_bench()
    app = App("agent", "here", 2, fan_out=True, cpu_ps=3 * MS, cpu_per_call_ps=4 * MS)
    visits = visit(b, app, [(5, 1), (7, 1)])
    b.env.run()
    records = visits.records.arrays("number")
    assert records["ended_ps"].tolist() == [(3 + 22 + 4) * MS]
    assert records["cpu_ps"].tolist() == [7 * MS]
