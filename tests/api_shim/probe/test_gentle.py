"""What a probe never does: send above its rate, go on after a 429, take more than it may, send twice."""

import asyncio
import json
from collections.abc import Callable, Iterator
from itertools import repeat

import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from api_shim.clocks.virtual_loop import VirtualLoop
from api_shim.probe.design import Cell, Design
from api_shim.probe.endpoint import Endpoint
from api_shim.probe.engine import Probe
from api_shim.probe.ledger import NOTHING, Ledger, Prices, Tokens
from api_shim.probe.pace import Pace, burst_of
from api_shim.probe.wording import Wording, most_tokens_of
from e80sim.mistakes import UserError

SMALL = Design((40, 80), (4, 8), (3,), 2)
Answer = Callable[[httpx.Request], httpx.Response]


class Server(httpx.AsyncBaseTransport):
    """Answers after `takes_s`, each time with the next of `answers`; `seen` is when requests came."""

    def __init__(self, answers: Iterator[Answer], takes_s: float = 0.01) -> None:
        self.seen: list[float] = []
        self.bodies: list[bytes] = []
        self.open = 0
        self._answers, self._takes_s = answers, takes_s

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(asyncio.get_running_loop().time())
        self.bodies.append(await request.aread())
        answer = next(self._answers)(request)
        await asyncio.sleep(self._takes_s)
        body = httpx.ByteStream(answer.content)
        return httpx.Response(answer.status_code, headers=answer.headers, stream=body)


def chat(request: httpx.Request, prompt_tokens: int = 50, output_tokens: int = 4) -> httpx.Response:
    if request.method == "GET":
        return httpx.Response(200, json={"data": []})
    usage = {"prompt_tokens": prompt_tokens, "completion_tokens": output_tokens}
    events = [{"choices": [{"delta": {"content": "one"}}]}, {"choices": [], "usage": usage}]
    text = "".join(f"data: {json.dumps(event)}\n\n" for event in events)
    return httpx.Response(200, text=f"{text}data: [DONE]\n\n")


def status(code: int, **headers: str) -> Answer:
    return lambda _: httpx.Response(code, headers=headers, json={"error": {"message": f"says {code}"}})


def run(
    answers: Iterator[Answer],
    *,
    pace: Pace | None = None,
    ledger: Ledger | None = None,
    takes_s: float = 0.01,
    design: Design = SMALL,
) -> tuple[Server, Probe]:
    server, loop = Server(answers, takes_s), VirtualLoop()
    endpoint = Endpoint("http://e80sim.invalid/v1", make_client=lambda: httpx.AsyncClient(transport=server))
    probe = Probe(endpoint, "m", pace or Pace(10), ledger or Ledger(), Wording(1))
    try:
        loop.run_until_complete(probe.run(design, 1))
    finally:
        loop.close()
    return server, probe


@settings(max_examples=12, deadline=None)
@given(
    rate=st.floats(0.5, 50),
    burst=st.integers(1, 5),
    takes_s=st.floats(0, 3),
    windows=st.lists(st.floats(0, 9)),
)
def test_no_window_ever_holds_more_than_the_stated_rate(
    rate: float, burst: int, takes_s: float, windows: list[float]
) -> None:
    """GETs and warm-ups count like chats; three at once in the end."""
    server, probe = run(repeat(chat), pace=Pace(rate, burst), takes_s=takes_s)
    assert len(server.seen) == len(probe.chats) + len(probe.trips) == SMALL.requests - 2
    for width in (0.0, 1 / rate, *windows):
        most = max(sum(at <= other <= at + width for other in server.seen) for at in server.seen)
        assert most <= rate * width + burst, (width, most)


@settings(max_examples=50)
@given(st.lists(st.floats(0, 100), min_size=1).map(sorted), st.floats(0.1, 10))
def test_the_burst_that_a_plan_states_lets_its_requests_leave_when_they_are_due(
    times: list[float], rate: float
) -> None:
    loop, pace = VirtualLoop(), Pace(rate, burst_of(times, rate))

    async def story() -> list[float]:
        late = []
        for at_s in times:
            await asyncio.sleep(max(0.0, at_s - loop.time()))
            late.append(await pace.turn() - at_s)
        return late

    assert max(loop.run_until_complete(story())) < 1e-6
    loop.close()


@settings(max_examples=12, deadline=None)
@given(before=st.integers(1, 26), takes_s=st.floats(0, 2))
@example(before=24, takes_s=0.15)
def test_after_the_first_429_nothing_is_sent(before: int, takes_s: float) -> None:
    """Others may be under way when it comes; whoever waits for its turn then is not sent any more."""
    refused = status(429, **{"retry-after": "17", "x-ratelimit-remaining-requests": "0"})
    server, probe = run(iter([*[chat] * before, *[refused] * 9]), takes_s=takes_s)
    assert probe.stopped is not None
    assert probe.stopped.kind == "rate_limited"
    assert "retry-after: 17" in probe.stopped.sentence
    assert "x-ratelimit-remaining-requests: 0" in probe.stopped.sentence
    refused_at = server.seen[before] + takes_s
    assert all(at <= refused_at for at in server.seen)
    assert len(probe.chats) + len(probe.trips) == len(server.seen)
    assert sum(row.error is None for row in probe.chats) + len(probe.trips) >= before - 2


@settings(max_examples=12, deadline=None)
@given(tokens=st.integers(1, 6000), said=st.booleans())
def test_what_may_be_taken_is_never_exceeded(tokens: int, said: bool) -> None:
    """The server takes all that it may: a token for each byte, and every token of the answer."""

    def greedy(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return chat(request)
        body = json.loads(request.content)
        text = body["messages"][0]["content"]
        taken.append(most_tokens_of(text) + body["max_tokens"])
        return chat(request, most_tokens_of(text), body["max_tokens"]) if said else status(503)(request)

    taken: list[int] = []
    _, probe = run(repeat(greedy), ledger=Ledger(None, tokens))
    assert sum(taken) <= tokens
    assert probe.stopped is not None


@given(st.lists(st.tuples(st.integers(0, 900), st.integers(0, 900), st.floats(0, 1))), st.floats(0, 3))
def test_money_that_is_reserved_or_taken_stays_within_the_limit(
    asks: list[tuple[int, int, float]], usd: float
) -> None:
    """Up to four under way at once, the oldest answered first."""
    prices, open_ = Prices(1000.0, 4000.0), list[tuple[Tokens, Tokens | None]]()
    ledger = Ledger(prices, None, usd)
    for prompt, output, share in asks:
        most = Tokens(prompt, output)
        if ledger.reserve(most):
            took = None if share > 0.9 else Tokens(int(prompt * share), int(output * share))
            open_.append((most, took))
        if len(open_) > 3:
            ledger.settle(*open_.pop(0))
        under_way = NOTHING
        for reserved, _ in open_:
            under_way += reserved
        assert ledger.reserved == under_way
        assert prices.of(ledger.taken + under_way) <= usd


def test_three_failures_one_behind_the_other_end_it_and_two_do_not() -> None:
    answers = [chat, chat, status(500), status(500), chat, status(502), status(503), status(500)]
    server, probe = run(iter([*answers, *[chat] * 99]))
    assert len(server.seen) == len(answers)
    assert probe.stopped is not None
    assert probe.stopped.sentence.startswith("3 requests failed one behind the other, the last one: ")


def test_a_server_that_never_answers_ends_it_too() -> None:
    server, loop = Server(repeat(chat), takes_s=1e6), VirtualLoop()
    client = lambda: httpx.AsyncClient(transport=server)  # noqa: E731 -- short
    probe = Probe(
        Endpoint("http://x.invalid", make_client=client, timeout_s=5), "m", Pace(1), Ledger(), Wording(1)
    )
    loop.run_until_complete(probe.run(SMALL, 1))
    loop.close()
    assert [row.error for row in probe.chats] == ["no end within 5 s"] * 3
    assert len(server.seen) == 3


def test_members_that_a_server_refuses_are_left_out_and_nothing_is_sent_twice() -> None:
    """As OpenAI's newer models do: neither ignore_eos nor max_tokens."""
    server, probe = run(iter([status(400), status(400), *[chat] * 99]))
    assert probe.body == ("max_completion_tokens", {})
    bodies = [body for body in server.bodies if body]
    assert len(set(bodies)) == len(bodies) - SMALL.rounds  # the repeated prompt, for the sake of caches
    assert b"ignore_eos" not in bodies[-1]


def test_a_key_that_is_refused_ends_it_with_the_servers_words() -> None:
    with pytest.raises(UserError, match=r"refuses a chat of model 'm': 401 says 401"):
        run(repeat(status(401)))


def test_a_length_that_the_server_refuses_is_given_up_and_the_others_go_on() -> None:
    def short_only(request: httpx.Request) -> httpx.Response:
        if request.method == "POST" and len(request.content) > 350:
            return status(400)(request)
        return chat(request)

    _, probe = run(repeat(short_only))
    assert probe.stopped is None
    assert {row.cell for row in probe.chats if row.error} == {
        "warm_up",
        "first_of_repeats",
        "prompt-80",
        "repeat",
        "context",
    }
    assert any("prompt-80 was given up" in note for note in probe.notes)


def test_a_plan_counts_what_is_sent() -> None:
    """4 warm-ups, 1 to repeat, 2 rounds: 2 GETs, 2 prompts, repeat, new, 2 outputs, context; 6."""
    assert SMALL.requests == 4 + 1 + 2 * 9 + 6
    assert sum(cell.output_tokens * times for cell, times in SMALL.cells) == SMALL.expects.output
    assert Cell("prompt", 80, 4).expects == Tokens(80, 4)
    with pytest.raises(UserError, match=r"--requests 28 is too few: 2 rounds of this design take 29"):
        Design.fitting((40, 80), (4, 8), (3,), 28)
