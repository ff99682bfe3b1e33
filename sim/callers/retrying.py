"""Clients that send a request again when it fails, and a copy of it when it is slow.

A `Client` takes a request as the platform does, and hands back an ask: what its caller wanted, over all the
attempts that it took. Callers and sources that state neither `retry` nor `hedge` do without one.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache
from itertools import chain, repeat

import numpy as np

from reports.record import ASK_COLUMNS
from sim.callers.hedging import Hedging
from sim.platform.platform import Platform, opens_ps
from sim.platform.rate_limit import Headroom, Refusal
from sim.platform.recorder import Recorder
from sim.platform.refusals import answer_to
from sim.platform.ticket import REJECTED, Sink, Ticket
from sim.time.timeline import ARRIVAL, FEEDBACK, Alarm, Timeline
from sim.time.units import ps_of_s
from traffic.request import Request
from traffic.retry_profiles import Failure, Retries, RetryProfile

REMEMBERED_CODES = 10_000
DRAWS = 256
"""Of jitter at a time."""
NODE_LOST = 503
"""The status that a gateway answers with for a node that died."""


class Asks:
    """All asks of a run that may take several attempts, and their table: a row each, written when it ends."""

    def __init__(self) -> None:
        self.records = Recorder(ASK_COLUMNS)
        self.inside: dict[int, Ask] = {}
        """Without an end yet, by the number of the first attempt."""
        self.used = False
        """Whether any client reports here."""
        labels = self.records.labels
        self.codes = lru_cache(REMEMBERED_CODES)(
            lambda s, t, p, m, o: labels.codes(source=s, tenant=t, place=p, model=m, outcome=o)
        )

    def record_unfinished(self) -> None:
        for ask in list(self.inside.values()):
            ask.record("unfinished", -1)


class Client:
    """The library that sends the requests of one source, and its habits."""

    def __init__(
        self,
        platform: Platform,
        asks: Asks,
        next_number: Callable[[], int],
        profile: RetryProfile,
        hedging: Hedging | None,
        rng: np.random.Generator,
    ) -> None:
        """`rng` is for the jitter of back-offs."""
        self.platform = platform
        self.env: Timeline = platform.env
        self.asks = asks
        asks.used = True
        self.next_number = next_number
        self.profile = profile
        self.hedging = hedging
        self.read_timeout_ps = None if profile.timeout_s is None else ps_of_s(profile.timeout_s)
        self.uniform: Iterator[float] = chain.from_iterable(rng.random(DRAWS).tolist() for _ in repeat(None))

    def submit(self, request: Request, sink: Sink) -> "Ask":
        """Send `request` at this instant, and again as need be. Its deadline is that of the whole ask."""
        ask = Ask(self, request, sink)
        ask.send()
        return ask

    def alarm(self, at_ps: int, act: Callable[[], None]) -> Alarm:
        """Without delay it rings when the boundaries of the instant are over, as all feedback does."""
        order = FEEDBACK if at_ps == self.env.now else ARRIVAL
        return Alarm(self.env, at_ps, lambda _alarm: act(), order=order)


class Attempt:
    """One request of an ask: its sink."""

    __slots__ = ("_ask", "done", "here_ps", "number", "ticket")

    def __init__(self, ask: "Ask", number: int) -> None:
        self._ask = ask
        self.number = number
        self.ticket: Ticket | None = None
        """None while it is being submitted: a platform without distances may refuse it meanwhile."""
        self.here_ps: int | None = None
        """When its first token, or its answer in one piece, reaches the caller; None while nobody knows."""
        self.done: tuple[int, str] | None = None
        """When its whole answer reaches the caller, and why it ends."""

    def admitted(self, at_ps: int, headroom: Headroom | None) -> None: ...

    def rejected(self, at_ps: int, refusal: Refusal) -> None:
        self._ask.later(at_ps, lambda: self._ask.failed(self, at_ps, REJECTED[refusal.cause], refusal))

    def first_token(self, at_ps: int) -> None:
        self.here_ps = at_ps
        self._ask.later(at_ps, lambda: self._ask.begins(self, at_ps))

    def ended(self, at_ps: int, reason: str) -> None:
        if reason in {"stop", "length"}:
            self.done = at_ps, reason
            if self.here_ps is None:
                self.here_ps = at_ps
            self._ask.later(at_ps, lambda: self._ask.answered(self))
        else:
            self._ask.later(at_ps, lambda: self._ask.failed(self, at_ps, reason, None))

    def leave(self) -> None:
        """Its caller needs it no more."""
        if self.ticket is not None:
            self.ticket.cancel()


class Ask:
    """What a caller wants, until it has it or gives up. It ends once, and `sink` hears of its end alone once.

    Without hedges one attempt is open at a time, and what becomes of it is acted upon when it is known, which
    may be ahead of time. Copies race: there everything waits until the caller learns of it. A first token
    that is lost on its way is told of again by the attempt after it.
    """

    __slots__ = (
        "_alarm",
        "_began_ps",
        "_client",
        "_hedges",
        "_last",
        "_open",
        "_retries",
        "_sent",
        "_sink",
        "_winner",
        "first_seen_ps",
        "request",
    )

    def __init__(self, client: Client, request: Request, sink: Sink) -> None:
        """`request` is the first attempt, its number that of the ask."""
        self._client = client
        self._sink = sink
        self.request = request
        request.read_timeout_ps = client.read_timeout_ps
        self.first_seen_ps = -1
        self._open: list[Attempt] = []
        self._winner: Attempt | None = None
        """Whose first token came before any other's."""
        self._last: Attempt | None = None
        self._retries: Retries | None = None
        """Made when the first attempt fails."""
        self._sent = self._hedges = 0
        self._began_ps = 0
        """When the latest attempt that is no copy was sent."""
        self._alarm: Alarm | None = None
        """Of the next attempt, or of the next copy."""
        client.asks.inside[request.number] = self

    @property
    def over(self) -> bool:
        return self.request.number not in self._client.asks.inside

    @property
    def output_tokens(self) -> int:
        """Of the attempt that was answered, or else of the last."""
        attempt = self._winner or self._last
        return 0 if attempt is None or attempt.ticket is None else attempt.ticket.output_tokens

    def cancel(self) -> None:
        """The caller is gone, and with it every attempt. Does nothing once the end is known."""
        if not self.over:
            self._end(self._client.env.now, "cancelled", None)

    def later(self, at_ps: int, act: Callable[[], None]) -> None:
        """At `at_ps` where attempts race, else at once."""
        if self._client.hedging is None:
            act()
        else:
            self._client.alarm(at_ps, act)

    # Attempts

    def send(self) -> None:
        """An attempt that is no copy, at this instant."""
        self._alarm = None
        self._began_ps = self._client.env.now
        self._submit()

    def _copy(self) -> None:
        """An attempt beside those that are open, unless one of them is answered at this very instant."""
        self._alarm = None
        now = self._client.env.now
        if all(one.here_ps is None or one.here_ps > now for one in self._open):
            self._hedges += 1
            self._submit()

    def _submit(self) -> None:
        client, request = self._client, self.request
        if self._sent:
            request = replace(
                request,
                number=client.next_number(),
                intended_ps=client.env.now,
                attempt=self._sent,
                ask=self.request.number,
            )
        self._sent += 1
        attempt = self._last = Attempt(self, request.number)
        self._open.append(attempt)
        hedging = client.hedging
        if hedging is not None and self._hedges < hedging.most:
            delay_ps = hedging.delay_ps()
            if delay_ps is not None:
                self._alarm = client.alarm(client.env.now + delay_ps, self._copy)
        attempt.ticket = client.platform.submit(request, attempt)

    # What becomes of them

    def begins(self, attempt: Attempt, at_ps: int) -> None:
        """The first token of `attempt` reaches the caller: it has won."""
        if attempt in self._open and self._winner is None:
            self._wins(attempt, at_ps)
            self._sink.first_token(at_ps)

    def answered(self, attempt: Attempt) -> None:
        if attempt not in self._open or attempt.done is None:
            return
        at_ps, reason = attempt.done
        if self._winner is None:  # an answer in one piece
            self._wins(attempt, at_ps)
        self._end(at_ps, reason, None)

    def _wins(self, attempt: Attempt, at_ps: int) -> None:
        self._winner, self.first_seen_ps = attempt, at_ps
        if self._client.hedging is not None:
            self._client.hedging.took(at_ps - self._began_ps)
        self._stop_the_alarm()
        others = [one for one in self._open if one is not attempt]
        self._open = [attempt]
        for other in others:
            other.leave()

    def failed(self, attempt: Attempt, at_ps: int, outcome: str, refusal: Refusal | None) -> None:
        """Another attempt follows, unless one is open still or the client gives up."""
        if attempt not in self._open:
            return
        self._open.remove(attempt)
        if attempt is self._winner and at_ps < self.first_seen_ps:
            self._winner, self.first_seen_ps = None, -1
        if self._open:
            return
        self._stop_the_alarm()
        wait_ps = self._wait_ps(attempt, at_ps, outcome, refusal)
        deadline_ps = self.request.deadline_ps
        if wait_ps is None:
            self._end(at_ps, outcome, refusal)
        elif deadline_ps is not None and at_ps + wait_ps >= deadline_ps:
            self._end(deadline_ps, "timeout", None)
        else:
            self._alarm = self._client.alarm(at_ps + wait_ps, self.send)

    def _wait_ps(self, attempt: Attempt, at_ps: int, outcome: str, refusal: Refusal | None) -> int | None:
        """None: there is no further attempt."""
        client, deadline_ps = self._client, self.request.deadline_ps
        out_of_time = deadline_ps is not None and at_ps >= deadline_ps
        if out_of_time or outcome == "cancelled" or self._has_headers(attempt, at_ps):
            return None
        if self._retries is None:
            self._retries = Retries(client.profile)
        wait = self._retries.wait_s(failure_of(outcome, refusal), next(client.uniform))
        return None if wait is None else ps_of_s(wait)

    def _has_headers(self, attempt: Attempt, at_ps: int) -> bool:
        """Once a stream has opened, its client only reads: what goes wrong then is its caller's affair."""
        ticket = attempt.ticket
        opened = self.request.stream and ticket is not None and at_ps >= opens_ps(ticket)
        return opened or attempt is self._winner

    # The end

    def _end(self, at_ps: int, reason: str, refusal: Refusal | None) -> None:
        """`reason` is as the sink hears it, or the outcome of the refusal."""
        self._stop_the_alarm()
        left, self._open = self._open, []
        self.record("completed" if reason in {"stop", "length"} else reason, at_ps)
        for attempt in left:
            attempt.leave()
        if refusal is None:
            self._sink.ended(at_ps, reason)
        else:
            self._sink.rejected(at_ps, refusal)

    def _stop_the_alarm(self) -> None:
        if self._alarm is not None:
            self._client.env.cancel(self._alarm)
            self._alarm = None

    def record(self, outcome: str, ended_ps: int) -> None:
        """The row of the ask, which is over."""
        request, asks = self.request, self._client.asks
        del asks.inside[request.number]
        answered = outcome == "completed"
        seen = self.first_seen_ps if outcome == "unfinished" or self.first_seen_ps <= ended_ps else -1
        asks.records.add(
            (
                request.number,
                request.parent,
                request.session,
                request.turn,
                *asks.codes(request.source, request.tenant, request.place, request.model, outcome),
                self._sent,
                self._hedges,
                self._winner.number if self._winner is not None and answered else -1,
                request.stream,
                request.samples,
                request.prompt_tokens,
                request.samples * request.output_tokens if answered else 0,
                request.intended_ps,
                seen,
                ended_ps,
            )
        )


def failure_of(outcome: str, refusal: Refusal | None) -> Failure:
    """How the client sees it."""
    if refusal is not None:
        return answer_to(refusal)
    return Failure(NODE_LOST if outcome == "node_lost" else None, timed_out=outcome == "timeout")
