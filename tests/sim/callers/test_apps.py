"""How an app goes from one model call to the next, worked by hand: 1 ms a prompt token, 10 ms a step."""

from fractions import Fraction

import pytest

from sim.callers.apps import App, Calls, User, Visits
from sim.callers.session import Session
from sim.edge.compute import Compute, ComputeShape
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


@pytest.mark.parametrize("fan_out", [False, True])
def test_two_user_requests_share_what_their_app_runs_on(fan_out: bool) -> None:
    """Half a core: 3 ms of work before the call take 12 for both together, and 4 after it take 8 alone.

    The node computes a prompt of 5 tokens in 15 ms. It begins with that of the first at once, and with the
    second's in its next step: 12 + 15 + 8, and 12 + 30 + 8.
    """
    b = make_bench()
    shape = ComputeShape(Fraction(1, 2), instances=1, warm=1, at_once=2, cold_start_ps=0, idle_ps=0)
    app = App(
        "agent", "here", 1, fan_out, cpu_ps=3 * MS, cpu_per_call_ps=4 * MS, compute=Compute(b.env, shape)
    )
    visits = [visit(b, app, [(5, 1)]) for _ in range(2)]
    b.env.run()
    for one, ended_ms in zip(visits, (35, 50), strict=True):
        records = one.records.arrays("number")
        assert records["ended_ps"].tolist() == [ended_ms * MS]
        assert (records["waited_ps"].tolist(), records["cold_start"].tolist()) == ([0], [False])


def test_a_user_request_waits_for_a_cold_start_before_its_app_works() -> None:
    """It takes 30 ms to start; 3 of work, 15 for the model and 4 of work follow."""
    b = make_bench()
    shape = ComputeShape(Fraction(1), instances=1, warm=0, at_once=2, cold_start_ps=30 * MS, idle_ps=0)
    app = App(
        "agent",
        "here",
        1,
        fan_out=False,
        cpu_ps=3 * MS,
        cpu_per_call_ps=4 * MS,
        compute=Compute(b.env, shape),
    )
    records = visit(b, app, [(5, 1)]).records
    b.env.run()
    found = records.arrays("number")
    assert found["ended_ps"].tolist() == [52 * MS]
    assert (found["waited_ps"].tolist(), found["cold_start"].tolist()) == ([30 * MS], [True])
