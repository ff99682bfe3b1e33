"""Who gets how much of an access line. Times are small whole numbers: the line knows no unit."""

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.network.line import AccessLine


class Carried(NamedTuple):
    """`work` went over the line, none of it before `ready` and all of it by `through`."""

    ready: int
    through: int
    work: int


def assert_no_more_than_the_line_carries(messages: list[Carried]) -> None:
    """In no span of time are messages carried that together take longer than it."""
    for start in {message.ready for message in messages}:
        for end in {message.through for message in messages}:
            inside = [m for m in messages if m.ready >= start and m.through <= end]
            assert sum(m.work for m in inside) <= max(0, end - start), (start, end, inside)


def began(line: AccessLine, now: int) -> tuple[int, int]:
    """(when the first event is through of a stream of events that take 10, idle time before the others)"""
    return line.down(now, 10), line.idle_ps()


def test_messages_that_are_ready_together_go_one_after_the_other() -> None:
    line = AccessLine()
    assert [line.up(0, 200, 10) for _ in range(3)] == [210, 220, 230]


def test_a_message_that_is_ready_sooner_goes_before_those_that_still_set_up_a_connection() -> None:
    line = AccessLine()
    assert line.up(0, 200, 10) == 210
    assert line.up(1, 1, 10) == 11
    assert line.up(2, 2, 10) == 21
    assert line.up(3, 195, 10) == 215  # 5 before and 5 behind the first
    assert line.up(4, 190, 10) == 220  # 5 before 195, the rest when all of that is through
    assert line.up(300, 300, 10) == 310


def test_an_answer_waits_for_the_answers_before_it() -> None:
    line = AccessLine()
    assert [line.down(0, 10), line.down(3, 10), line.down(50, 10)] == [10, 20, 60]


@pytest.mark.parametrize(
    ("last", "through"),
    [
        (0, 100),  # made at once: ten events of 10
        (40, 100),  # faster than the line: its bytes alone count
        (90, 100),
        (95, 105),  # slower than the line: the last token and its own event
        (500, 510),
    ],
)
def test_a_stream_alone_ends_with_its_last_token_or_when_its_bytes_are_through(
    last: int, through: int
) -> None:
    line = AccessLine()
    first_through, idle = began(line, 0)
    assert (first_through, line.stream_down(last, 10, 9, idle)) == (10, through)


@pytest.mark.parametrize(
    ("last", "first_through", "second_through"),
    [
        (0, 110, 200),  # two firsts, nine more of one, then nine more of the other
        (100, 110, 200),
        (180, 190, 200),
        (300, 310, 320),  # room enough for both, except that both last events come at once
    ],
)
def test_two_streams_share_the_line(last: int, first_through: int, second_through: int) -> None:
    line = AccessLine()
    begun = [began(line, 0) for _ in range(2)]
    assert [through for through, _ in begun] == [10, 20]
    ends = [line.stream_down(last, 10, 9, idle) for _, idle in begun]
    assert ends == [first_through, second_through]


def test_a_short_stream_beside_a_long_one_does_not_wait_for_what_is_not_made_yet() -> None:
    line = AccessLine()
    (_, idle_at_long), (_, idle_at_short) = began(line, 0), began(line, 1000)
    assert line.stream_down(1100, 10, 2, idle_at_short) == 1110
    assert line.stream_down(80_000, 10, 500, idle_at_long) == 80_010


def test_a_line_is_idle_when_both_directions_are() -> None:
    up, down = AccessLine(), AccessLine()
    assert up.is_idle(0)
    up.up(0, 5, 10)
    down.down(0, 10)
    assert [up.is_idle(at) for at in (0, 14, 15)] == [False, False, True]
    assert [down.is_idle(at) for at in (0, 9, 10)] == [False, False, True]


ups = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 60), st.integers(0, 40)), max_size=15)


@given(ups)
def test_a_line_up_is_never_overloaded_and_never_idle_while_something_is_ready(
    sent: list[tuple[int, int, int]],
) -> None:
    line, now, messages = AccessLine(), 0, list[Carried]()
    for gap, set_up, work in sent:
        now += gap
        through = line.up(now, now + set_up, work)
        assert through >= now + set_up + work
        latest = max([now + set_up, *(m.through for m in messages)])
        assert through <= latest + work
        messages.append(Carried(now + set_up, through, work))
    assert_no_more_than_the_line_carries(messages)


class Answer(NamedTuple):
    """`events` of 10 each, the first at `at` and the last `lasts` later."""

    at: int
    lasts: int
    events: int


answers = st.lists(
    st.builds(Answer, st.integers(0, 300), st.integers(0, 300), st.integers(2, 30)), max_size=12
)
wholes = st.lists(st.tuples(st.integers(0, 600), st.integers(0, 200)), max_size=6)


@given(answers, wholes)
def test_a_line_down_is_never_overloaded_and_no_answer_waits_longer_than_its_own_bytes(
    streams: list[Answer], pieces: list[tuple[int, int]]
) -> None:
    line, messages, idle = AccessLine(), list[Carried](), dict[int, int]()
    happens = [(answer.at, 0, i) for i, answer in enumerate(streams)]
    happens += [(answer.at + answer.lasts, 1, i) for i, answer in enumerate(streams)]
    happens += [(at, 2, i) for i, (at, _) in enumerate(pieces)]
    busy_until = 0
    for now, what, i in sorted(happens):
        free = max(now, busy_until)
        if what == 0:
            busy_until, idle[i] = began(line, now)
            continue
        if what == 1:
            work = 10 * streams[i].events
            through = line.stream_down(now, 10, streams[i].events - 1, idle[i])
            assert free + 10 <= through <= free + work - 10
            messages.append(Carried(streams[i].at, through, work))
        else:
            work = pieces[i][1]
            through = line.down(now, work)
            assert through == free + work
            messages.append(Carried(now, through, work))
        busy_until = through
    assert_no_more_than_the_line_carries(messages)


def test_a_message_goes_into_the_later_of_two_gaps_if_the_first_is_over_before_it_is_ready() -> None:
    line = AccessLine()
    assert line.up(0, 100, 10) == 110  # a gap from 0 to 100
    assert line.up(0, 200, 10) == 210  # and one from 110 to 200
    assert line.up(0, 120, 10) == 130
    assert line.up(0, 90, 20) == 120, "10 before 100, 10 from 110 on"
    assert line.up(0, 10, 80) == 90, "the first gap is there still, up to 90"
    assert line.up(0, 0, 80) == 200, "10 before 10, and 70 from 130 on"
    assert line.up(0, 0, 1) == 211, "the line is full"


def test_idle_time_of_one_unit_is_used_by_a_stream() -> None:
    # The first event of 10 is through at 10; the line is idle until 11, when nine more have come: one unit of
    # their 90 has gone then, and the rest takes until 100.
    line = AccessLine()
    _, idle = began(line, 0)
    assert line.stream_down(11, 10, 9, idle) == 100
