"""Records made by hand or by Lindley's recursion; whole runs are in tests/laws/test_verdicts.py."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from reports.busy import Busy
from reports.columns import Columns
from reports.metrics import Window
from reports.record import OUTCOMES
from reports.verdict import Verdict, verdict
from reports.waiting_line import Stays, WaitingLine

PS = 10**12
WINDOW = Window(0, 100 * PS)
Floats = NDArray[np.float64]
POISSON = {"chat": "poisson"}


def columns(came: Floats, began: Floats, ended: Floats, **changes: object) -> Columns:
    """Of one replication of one model and source, in seconds; infinite where it never came to that."""
    size = len(came)

    def ps(seconds: object) -> NDArray[np.int64]:
        stamps = np.broadcast_to(np.asarray(seconds, np.float64), size)
        return (
            np.where(np.isfinite(stamps), np.nan_to_num(stamps, posinf=0) * PS, -1).round().astype(np.int64)
        )

    whole = np.isfinite(ended)
    values: dict[str, NDArray[np.int64]] = {
        "replication": np.zeros(size, np.int64),
        "source": np.zeros(size, np.int64),
        "model": np.zeros(size, np.int64),
        "node": np.zeros(size, np.int64),
        "outcome": np.where(whole, OUTCOMES.index("completed"), OUTCOMES.index("unfinished")),
        "samples": np.ones(size, np.int64),
        "output_tokens": np.full(size, 11),
        "overhead_ps": np.zeros(size, np.int64),
        **{f"{name}_ps": ps(came) for name in ("intended", "sent", "connected", "arrived", "admitted")},
        "started_ps": ps(began),
        "first_ps": ps(began),
        "last_ps": ps(ended),
        "ended_ps": ps(ended),
    }
    for name, given in changes.items():
        values[name] = (
            ps(given) if name.endswith("_ps") else np.broadcast_to(np.asarray(given), size).astype(np.int64)
        )
    return Columns(values, {"source": ["chat"], "model": ["llama", "small"], "outcome": OUTCOMES})


def together(*parts: Columns) -> Columns:
    """Each a replication of its own."""
    values = {
        name: np.concatenate([part[name] for part in parts])
        for name in parts[0].values
        if name != "replication"
    }
    owner = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    return Columns({**values, "replication": owner}, parts[0].names)


def judged(rows: Columns, arrivals: str = "poisson", pools: dict[str, int] | None = None) -> Verdict:
    replications = np.unique(rows["replication"]).tolist()
    return verdict(rows, Busy(rows), pools or {"llama": 1}, {"chat": arrivals}, WINDOW, replications)


def at_rate(rng: np.random.Generator, per_second: float, until_s: float = 100) -> Floats:
    came = np.cumsum(rng.exponential(1 / per_second, int(per_second * until_s * 1.5) + 50))
    return came[came < until_s]


def first_come(came: Floats, service_s: float, record_ends_s: float = 200) -> Columns:
    """One server, one at a time, first come first served; the record ends as a run does after its drain."""
    done = service_s * np.arange(1, len(came) + 1)
    left = done + np.maximum.accumulate(came - (done - service_s))
    began = left - service_s
    return columns(
        came, np.where(began < record_ends_s, began, np.inf), np.where(left < record_ends_s, left, np.inf)
    )


def immediate(came: Floats, stay_s: float) -> Columns:
    """As many servers as it takes."""
    return columns(came, came, came + stay_s)


def repeated(replications: int, make: Callable[[np.random.Generator], Columns]) -> Columns:
    rng = np.random.default_rng(3)
    return together(*(make(rng) for _ in range(replications)))


@pytest.mark.parametrize("replications", [1, 3, 10])
def test_a_platform_at_half_its_capacity_is_stable(replications: int) -> None:
    found = judged(repeated(replications, lambda rng: first_come(at_rate(rng, 20), 0.025)))
    assert found.state == "stable"
    assert found.models == {"llama": "stable"}


@pytest.mark.parametrize("replications", [1, 3, 10])
@pytest.mark.parametrize("record_ends_s", [100, 200, 1000])
def test_a_platform_asked_for_half_more_than_it_can_do_is_overloaded(
    replications: int, record_ends_s: float
) -> None:
    """Whether or not the run waits for the last answer."""
    found = judged(repeated(replications, lambda rng: first_come(at_rate(rng, 20), 0.075, record_ends_s)))
    assert found.state == "overloaded"
    assert "It carried 13.3" in found.why  # one per 75 ms
    assert "at work 100 % of that time" in found.why


@pytest.mark.parametrize("replications", [1, 10])
def test_twice_the_capacity_is_overload_however_few_the_requests(replications: int) -> None:
    # one in 2.5 s where one takes 5 s: 40 requests
    found = judged(
        repeated(replications, lambda rng: first_come(np.arange(0.5, 100, 2.5) + rng.random(), 5.0))
    )
    assert found.state == "overloaded"


def in_groups(came: Floats, every_s: float, most: int) -> Columns:
    """Lets in all that wait, `most` of them, then nobody until the next time."""
    began, let_in = np.full(len(came), np.inf), 0
    for at_s in np.arange(every_s, 150, every_s):
        until = min(int(np.searchsorted(came, at_s)), let_in + most)
        began[let_in:until] = at_s
        let_in = until
    return columns(came, began, began + every_s)


@pytest.mark.parametrize("replications", [2, 10])
@pytest.mark.parametrize(("most", "state"), [(300, "overloaded"), (430, "stable")])
def test_a_batch_that_lets_in_many_at_a_time_is_told_by_how_many(
    replications: int, most: int, state: str
) -> None:
    # 40 a second come, so 360 in 9 s.
    found = judged(repeated(replications, lambda rng: in_groups(at_rate(rng, 40), 9.0, most)))
    assert found.state == state, found.why


@pytest.mark.parametrize("replications", [1, 3, 10])
def test_a_load_beyond_the_capacity_at_the_end_alone_is_a_backlog(replications: int) -> None:
    """Whether or not the little that waited before happened to rise from quarter to quarter."""

    def rows(rng: np.random.Generator) -> Columns:
        late = 75 + at_rate(rng, 30, 25)
        return first_come(np.concatenate([at_rate(rng, 5, 75), late]), 0.1)

    found = judged(repeated(replications, rows), "modulated")
    assert found.state == "backlogged"
    assert "Waiting for a node still grew" in found.why


def test_a_server_that_never_serves_is_overloaded() -> None:
    never = np.full(100, np.inf)
    assert judged(columns(np.arange(100.0), never, never)).state == "overloaded"


def test_false_alarms_are_rare_at_nine_tenths_of_the_capacity() -> None:
    rng = np.random.default_rng(4)
    states = [
        judged(together(*(first_come(at_rate(rng, 20), 0.045) for _ in range(count)))).state
        for count in (1, 5)
        for _ in range(50)
    ]
    assert states.count("stable") >= 95
    assert states.count("overloaded") == 0


@pytest.mark.parametrize("service_s", [0.3, 3.0])
@pytest.mark.parametrize("replications", [1, 10])
def test_a_load_of_a_third_is_stable_however_few_the_requests(replications: int, service_s: float) -> None:
    rng = np.random.default_rng(5)
    for _ in range(20):
        rows = together(
            *(first_come(at_rate(rng, 1 / service_s / 3), service_s) for _ in range(replications))
        )
        assert judged(rows).state == "stable"


@pytest.mark.parametrize("replications", [1, 10])
def test_a_load_that_rises_on_a_platform_without_a_queue_is_stable(replications: int) -> None:
    """10 to 40 a second, each answered after exactly five seconds: 150 more in the system at the end."""

    def ramp(rng: np.random.Generator) -> Columns:
        area = np.sort(rng.random(rng.poisson(2500)))  # of the rate 10 + 0.3 t, in units of 2,500
        return immediate((np.sqrt(100 + 0.6 * 2500 * area) - 10) / 0.3, 5.0)

    for kind in ("modulated", "profile", "poisson"):
        found = judged(repeated(replications, ramp), kind)
        assert found.state == "stable"
        assert "No request waited for a node." in found.why
    assert "The rate changes by itself (modulated)" in judged(repeated(1, ramp), "modulated").why


def test_on_and_off_that_ends_while_it_is_on_is_stable_without_a_queue() -> None:
    phases = [at_rate(np.random.default_rng(k), 40, 10) + 20 * k + 10 for k in range(5)]
    assert judged(immediate(np.concatenate(phases), 5.0), "modulated").state == "stable"


def test_a_wait_that_is_the_same_for_everybody_is_no_backlog_when_the_load_rises() -> None:
    """As for the end of a step: the more come, the more wait, and none of them longer."""
    came = 100 * np.sqrt(np.arange(20_000) / 20_000)
    assert judged(columns(came, came + 0.5, came + 1), "profile").state == "stable"


@pytest.mark.parametrize("replications", [1, 10])
def test_a_ramp_beyond_the_capacity_is_overloaded_or_backlogged_by_how_long_it_is_beyond(
    replications: int,
) -> None:
    def ramp(capacity: float) -> Callable[[np.random.Generator], Columns]:
        def make(rng: np.random.Generator) -> Columns:
            area = np.sort(rng.random(rng.poisson(2500)))
            return first_come((np.sqrt(100 + 0.6 * 2500 * area) - 10) / 0.3, 1 / capacity)

        return make

    # Beyond 20 a second from 33 s on, beyond 32 from 73 s on, and never beyond 60.
    states = [judged(repeated(replications, ramp(capacity)), "profile").state for capacity in (20, 32, 60)]
    assert states == ["overloaded", "backlogged", "stable"]


def test_bursts_that_are_worked_off_are_stable_and_the_worst_is_told() -> None:
    came = np.concatenate([np.linspace(at, at + 2, 100, endpoint=False) for at in range(0, 100, 20)])
    found = judged(first_come(came, 0.1), "modulated")  # 100 in 2 s take 10 s
    assert found.state == "stable"
    assert "the next in line had waited 7.20 s" in found.why


def test_traffic_that_ends_early_is_judged_while_it_came() -> None:
    rng = np.random.default_rng(6)
    calm, flooded = (first_come(at_rate(rng, 20, 40), service_s) for service_s in (0.02, 0.1))
    assert judged(calm, "trace").state == "stable"
    found = judged(flooded, "trace")
    assert found.state == "overloaded"
    assert "No request came after 40.0 s" in found.why
    assert "over 20.0 to 40.0 s" in found.why


def test_a_healthy_busy_model_does_not_hide_an_overloaded_small_one() -> None:
    def make(rng: np.random.Generator) -> Columns:
        big, small = immediate(at_rate(rng, 100), 1.0), first_come(at_rate(rng, 0.5), 4.0)
        small.values["model"][:] = 1
        values = {name: np.concatenate([big[name], small[name]]) for name in big.values}
        return Columns(values, big.names)

    found = judged(repeated(3, make), pools={"llama": 4, "small": 1})
    assert found.state == "overloaded"
    assert found.why.startswith("Small: It carried 0.")
    assert found.why.endswith("Stable: llama.")
    assert found.models == {"llama": "stable", "small": "overloaded"}


@pytest.mark.parametrize("replications", [1, 10])
def test_a_gateway_that_falls_behind_holds_up_every_model(replications: int) -> None:
    def make(rng: np.random.Generator) -> Columns:
        queue = first_come(at_rate(rng, 20), 0.075)
        passed = np.where(queue["started_ps"] >= 0, queue["ended_ps"] / PS, np.inf)
        return columns(queue["intended_ps"] / PS, passed, passed + 0.1, admitted_ps=passed)

    found = judged(repeated(replications, make))
    assert found.state == "overloaded"
    assert found.why.startswith("The gateway: It let 13.3")
    assert found.models == {"llama": "overloaded"}


@pytest.mark.parametrize("replications", [1, 10])
def test_callers_who_give_up_waiting_do_not_make_an_overload_stable(replications: int) -> None:
    """Twice the capacity: whoever is not begun within 5 s leaves, so the line stays as long as it is."""

    def make(rng: np.random.Generator) -> Columns:
        came = at_rate(rng, 4)
        began, free = np.full(len(came), np.inf), 0.0
        for number, at in enumerate(came):
            if max(free, at) < at + 5:
                began[number] = max(free, at)
                free = began[number] + 0.5
        served = np.isfinite(began)
        ended = np.where(served, began + 0.5, came + 5)
        outcome = np.where(served, OUTCOMES.index("completed"), OUTCOMES.index("timeout"))
        return columns(came, began, ended, outcome=outcome)

    found = judged(repeated(replications, make))
    assert found.state == "overloaded"
    assert "of those let in gave up, having waited" in found.why
    assert "of what was asked was not answered in the end" in found.why


@pytest.mark.parametrize("replications", [1, 10])
def test_a_batch_that_takes_everybody_in_and_slows_down_is_overloaded(replications: int) -> None:
    """Processor sharing at twice the capacity, the horizon before its places are full."""

    def make(rng: np.random.Generator) -> Columns:
        came = at_rate(rng, 4)
        left = processor_sharing(came.tolist(), 0.5)
        return columns(came, came, np.array(left))

    assert judged(repeated(replications, make)).state == "overloaded"


def test_a_batch_that_fills_from_empty_is_no_backlog() -> None:
    """Answers of 40 s: the batch grows for nearly half of the run, and nobody is slowed down."""
    assert judged(immediate(np.arange(0, 100, 0.05), 40.0)).state == "stable"
    assert judged(immediate(np.arange(0, 100, 0.05), 90.0)).state == "stable"


def processor_sharing(came: Sequence[float], work_s: float) -> list[float]:
    """When each leaves a server of speed one that is shared by all inside."""
    now, left, inside, ended = 0.0, 0.0, list[tuple[float, int]](), [np.inf] * len(came)
    for number, at in enumerate([*came, np.inf]):
        while inside and now + (inside[0][0] - left) * len(inside) <= at:
            due, who = inside.pop(0)
            now += (due - left) * (len(inside) + 1)
            left, ended[who] = due, now
            if now > 200:
                return [end if end < 200 else np.inf for end in ended]
        left += (at - now) / len(inside) if inside else 0.0
        now = at
        inside.append((left + work_s, number))
    return ended


def test_the_age_and_the_length_of_a_line_worked_by_hand() -> None:
    # One a second is served 2.5 s after it came: at 50 s those of 48 and 49 s wait, and of 47.5 s on.
    came = np.arange(100.0)
    line = WaitingLine.of(Stays.for_a_node(columns(came, came + 2.5, came + 3)), WINDOW, [0])
    assert line.joined[0, [0, 50, 100]].tolist() == [0, 50, 100]
    assert line.left[0, [0, 50, 100]].tolist() == [0, 48, 98]
    assert line.waiting[0, [0, 50, 100]].tolist() == [0, 2, 2]
    assert line.age_s[0, [0, 1, 2, 50, 100]].tolist() == [0, 1, 2, 2, 2]
    assert line.quarters(line.age_s)[0] == pytest.approx([49 / 26, 2, 2, 2])
    assert line.occupied == 1.0


def test_who_gives_up_leaves_the_line_and_is_counted() -> None:
    came = np.arange(0, 100, 10.0)
    outcome = [OUTCOMES.index("timeout")] * 10
    line = WaitingLine.of(
        Stays.for_a_node(columns(came, np.full(10, np.inf), came + 4, outcome=outcome)), WINDOW, [0]
    )
    assert line.gave_up[0, [0, 50, 100]].tolist() == [0, 5, 10]
    assert line.age_s[0, [3, 4, 5, 50]].tolist() == [3, 4, 0, 0]


def test_a_few_requests_left_at_the_horizon_are_no_backlog() -> None:
    came = np.arange(100.0)
    began = np.where(came < 97, came, np.inf)
    assert judged(together(*[columns(came, began, began + 0.5)] * 10)).state == "stable"


@pytest.mark.parametrize("replications", [2, 5])
def test_waiting_that_still_grows_at_the_horizon_is_a_backlog(replications: int) -> None:
    # 100 a second; in the second half one in 125 waits for ever: 0.8 % too few, 40 more in line
    came = np.arange(10_000) / 100
    began = np.where((np.arange(10_000) % 125 > 0) | (came < 50), came, np.inf)
    found = judged(together(*[columns(came, began, began + 0.1)] * replications))
    assert found.state == "backlogged" if replications >= 5 else "stable"


def test_rejections_are_no_overload_and_stand_first() -> None:
    came = np.arange(100.0)
    outcome = np.where(came < 12, OUTCOMES.index("rejected_requests_limit"), OUTCOMES.index("completed"))
    refused = came < 12
    began = np.where(refused, np.inf, came)
    rows = columns(came, began, came + 0.5, admitted_ps=began, outcome=outcome, node=np.where(refused, -1, 0))
    found = judged(rows)
    assert found.state == "stable"
    assert found.why.startswith(
        "12.0 % of what was asked was refused. It carried 1.00 of 1.00 requests/s that were let in"
    )
    assert found.why.endswith("12.0 % were rejected by the requests limit.")


def test_a_platform_that_refuses_everybody_is_not_overloaded() -> None:
    came, never = np.arange(100.0), np.full(100, np.inf)
    refused = OUTCOMES.index("rejected_tokens_limit")
    rows = columns(came, never, came + 0.1, admitted_ps=never, outcome=refused, node=-1)
    found = judged(rows)
    assert found.state == "stable"
    assert found.why == (
        "100 % of what was asked was refused. No request was let in. 100 % were rejected by the tokens limit."
    )


def test_timeouts_without_a_queue_are_told_first_and_are_no_overload() -> None:
    """The answers take longer than the callers wait: more nodes would not help."""
    came = np.arange(0, 100, 0.1)
    outcome = np.where(np.arange(1000) % 3, OUTCOMES.index("completed"), OUTCOMES.index("timeout"))
    found = judged(columns(came, came, came + 5, outcome=outcome))
    assert found.state == "stable"
    assert found.why.startswith("33.4 % of what was asked was not answered in the end.")
    assert found.why.endswith("33.4 % timed out.")


def test_one_request_is_stable() -> None:
    assert judged(columns(np.array([50.0]), np.array([50.0]), np.array([51.0]))).state == "stable"
    assert judged(columns(np.array([50.0]), np.array([50.0]), np.array([51.0])), "trace").state == "stable"


def test_nothing_offered_is_stable_and_says_so() -> None:
    late = columns(np.array([150.0]), np.array([150.0]), np.array([151.0]))
    assert judged(late) == Verdict(
        "stable", "No request was offered in the measured window.", {"llama": "stable"}
    )
