"""Where a user's wait went."""

from hypothesis import given
from hypothesis import strategies as st

from api_shim.rehearsal.breakdown import PARTS, critical, of_visit
from api_shim.rehearsal.wire_exchange import WireExchange
from api_shim.store.traces import TraceSpan


def exchange(*stamps: int, spans: tuple[TraceSpan, ...] = ()) -> WireExchange:
    """began, connected, sent, arrived, left, ended"""
    began, connected, sent, arrived, left, ended = stamps
    return WireExchange(
        "host",
        0,
        began,
        connected,
        sent,
        arrived,
        cold=connected > began,
        answered_ps=left,
        left_ps=left,
        first_back_ps=ended,
        ended_ps=ended,
        spans=list(spans),
    )


def span(name: str, began_ps: int, ended_ps: int) -> TraceSpan:
    return TraceSpan(name, began_ps, ended_ps, {})


def spent(visit: WireExchange, *calls: WireExchange, intended_ps: int = 0) -> dict[str, int]:
    found = dict.fromkeys(PARTS, 0)
    for part, began_ps, ended_ps in of_visit(intended_ps, visit, calls):
        found[part] += ended_ps - began_ps
    return {part: ps for part, ps in found.items() if ps}


def test_one_call_goes_to_every_part_that_it_met() -> None:
    stages = [
        span("admission", 47, 49),
        span("queue", 49, 52),
        span("prefill", 52, 60),
        span("decode", 60, 80),
    ]
    call = exchange(33, 40, 40, 47, 81, 90, spans=tuple(stages))
    assert spent(exchange(0, 20, 20, 30, 95, 105), call) == {
        "user_set_up": 20,
        "user_out": 10,
        "app": 3 + 5,
        "call_set_up": 7,
        "call_out": 7,
        "admission": 2,
        "queue": 3,
        "prefill": 8,
        "decode": 20,
        "platform": 1,
        "call_back": 9,
        "user_back": 10,
    }


def test_of_calls_made_at_once_the_last_to_end_counts() -> None:
    quick, slow = exchange(10, 10, 10, 15, 20, 25), exchange(10, 10, 10, 15, 70, 75)
    after = exchange(80, 80, 80, 82, 84, 86)
    assert critical(90, [slow, quick, after]) == [slow, after]
    found = spent(exchange(0, 0, 0, 5, 90, 95), quick, slow, after)
    assert found["platform"] == 55 + 2
    assert found["app"] == 5 + 5 + 4


def test_what_the_app_asks_after_its_answer_has_left_is_nobodys_wait() -> None:
    late = exchange(50, 50, 50, 60, 70, 80)
    assert spent(exchange(0, 0, 0, 5, 55, 60), late) == {"user_out": 5, "app": 50, "user_back": 5}


@st.composite
def ways(draw: st.DrawFn, began_ps: int, until_ps: int) -> WireExchange:
    stamps = sorted(draw(st.lists(st.integers(began_ps, until_ps), min_size=6, max_size=6)))
    cuts = sorted(draw(st.lists(st.integers(stamps[3], stamps[4]), min_size=4, max_size=4)))
    names = ("admission", "queue", "prefill", "decode")
    spans = [span(n, a, b) for n, a, b in zip(names, [stamps[3], *cuts], cuts, strict=False)]
    return exchange(*stamps, spans=tuple(spans))


@given(st.data())
def test_the_parts_add_up_to_what_the_user_felt_and_follow_each_other(data: st.DataObject) -> None:
    visit = data.draw(ways(5, 1000))
    calls = data.draw(st.lists(ways(0, 1200), max_size=6))
    stretches = of_visit(0, visit, calls)
    assert sum(ended - began for _, began, ended in stretches) == visit.ended_ps
    at_ps = 0
    for _, began_ps, ended_ps in stretches:
        assert at_ps == began_ps < ended_ps
        at_ps = ended_ps
