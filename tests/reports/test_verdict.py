import numpy as np
import pytest

from reports.columns import Columns
from reports.metrics import Window
from reports.record import OUTCOMES
from reports.verdict import Verdict, flow_of, verdict

PS = 10**12
WINDOW = Window(0, 100 * PS)


def records(*replications: tuple[list[float], list[float]], outcome: str = "completed") -> Columns:
    """Of intended and ended seconds per replication; an end at or after 100 s is beyond the horizon."""
    owner, intended, ended = [], [], []
    for number, (came, left) in enumerate(replications):
        owner += [number] * len(came)
        intended += [round(second * PS) for second in came]
        ended += [round(second * PS) if second < 100 else -1 for second in left]
    fate = np.where(np.array(ended) < 0, OUTCOMES.index("unfinished"), OUTCOMES.index(outcome))
    values = {"replication": np.array(owner), "intended_ps": np.array(intended), "ended_ps": np.array(ended)}
    return Columns({**values, "outcome": fate}, {})


def served(rng: np.random.Generator, per_second: float, service_s: float) -> tuple[list[float], list[float]]:
    """Poisson arrivals at one server with a fixed service time, first come first served."""
    came = np.cumsum(rng.exponential(1 / per_second, int(per_second * 150)))
    came = came[came < 100]
    done = service_s * np.arange(1, len(came) + 1)
    left = done + np.maximum.accumulate(came - (done - service_s))
    return came.tolist(), left.tolist()


def judged(per_second: float, service_s: float, replications: int) -> Verdict:
    rng = np.random.default_rng(3)
    rows = records(*(served(rng, per_second, service_s) for _ in range(replications)))
    return verdict(rows, WINDOW, range(replications))


@pytest.mark.parametrize("replications", [1, 3, 10])
def test_a_platform_at_half_its_capacity_is_stable(replications: int) -> None:
    assert judged(20, 0.025, replications).state == "stable"


@pytest.mark.parametrize("replications", [1, 3, 10])
def test_a_platform_asked_for_half_more_than_it_can_do_is_overloaded(replications: int) -> None:
    found = judged(20, 0.075, replications)
    assert found.state == "overloaded"
    assert "It carried 13.3" in found.why  # one per 75 ms


def test_false_alarms_are_rare_at_four_fifths_of_the_capacity() -> None:
    rng = np.random.default_rng(4)
    states = [
        verdict(records(*(served(rng, 20, 0.04) for _ in range(count))), WINDOW, range(count)).state
        for count in (1, 5)
        for _ in range(50)
    ]
    assert states.count("stable") >= 97


def test_flow_and_number_in_the_system_worked_by_hand() -> None:
    # one request a second, each stays 2.5 s: before 50 s the 48 of 0 to 47 s have ended
    came = [float(second) for second in range(100)]
    flow = flow_of(records((came, [second + 2.5 for second in came])), WINDOW, [0])
    assert flow.asked[0, [0, 50, 100]].tolist() == [0, 50, 100]
    assert flow.carried[0, [0, 50, 100]].tolist() == [0, 48, 98]
    assert flow.deficits.tolist() == [0]
    # 62.5 request-seconds a quarter; the first lacks the 1.5 and 0.5 of those that would have come before 0 s
    assert flow.quarters()[0] == pytest.approx([2.42, 2.5, 2.5, 2.5])


def test_a_few_requests_left_at_the_horizon_are_no_backlog() -> None:
    came = [float(second) for second in range(100)]
    rows = records(*[(came, [second + 0.5 if second < 97 else 200 for second in came])] * 10)
    assert verdict(rows, WINDOW, range(10)).state == "stable"


def test_growth_that_the_flow_hides_is_a_backlog() -> None:
    # 100 a second; one in 125 of the second half never comes back: 0.8 % too few, 40 more in the system
    came = [second / 100 for second in range(10_000)]
    left = [second + 0.1 if number % 125 or second < 50 else 200 for number, second in enumerate(came)]
    found = verdict(records(*[(came, left)] * 5), WINDOW, range(5))
    assert found.state == "backlogged"
    assert "still grew at the horizon" in found.why


def test_rejections_are_no_overload_and_stand_in_the_sentence() -> None:
    came = [float(second) for second in range(100)]
    rows = records((came, [second + 0.5 for second in came]))
    rows.values["outcome"][:12] = OUTCOMES.index("rejected_requests_limit")
    found = verdict(rows, WINDOW, [0])
    assert found.state == "stable"
    assert found.why.startswith("12.0 % of what was asked was refused. It carried ")
    assert " that were let in over the second half" in found.why
    assert found.why.endswith("12.0 % were rejected by the requests limit.")


def test_requests_that_time_out_are_not_carried() -> None:
    came = [second / 10 for second in range(1000)]
    rows = records(*[(came, [second + 0.05 for second in came])] * 5)
    rows.values["outcome"][::3] = OUTCOMES.index("timeout")
    found = verdict(rows, WINDOW, range(5))
    assert found.state == "overloaded"
    assert "33.3 % timed out" in found.why


def test_nothing_offered_is_stable_and_says_so() -> None:
    late = records(([150.0], [151.0]))
    assert verdict(late, WINDOW, [0]) == Verdict("stable", "No request was offered in the measured window.")
