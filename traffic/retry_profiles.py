"""What client libraries do when a request fails: whether they send it again, and when.

Each profile is data, seen on the library itself in the version that it names; `wait_s` is the one rule that
reads them. A profile says nothing of how requests travel.
"""

from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

MOST_RETRIES = 100
"""Of one request: whoever wants more means a loop of its own."""
TOO_LARGE = 2.0**60
"""A back-off so many times the first is as long as any: beyond, powers overflow."""
SERVER_ERROR = 500


class Failure(NamedTuple):
    """How an attempt ended, as its client sees it."""

    status: int | None
    """Of the answer; None: there was none, because of a time-out or a broken connection."""
    timed_out: bool = False
    retry_after_s: float | None = None
    """What the answer asks to wait, from `retry-after-ms` or else `retry-after`."""
    should_retry: bool | None = None
    """The header `x-should-retry`; None: it is not there."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Of retry n, from 0: `first_s` * `factor`^n, at most `most_s`, less a random share of up to `jitter`."""

    first_s: float = 0.0
    factor: float = 1.0
    most_s: float = 0.0
    jitter: float = 0.0

    def wait_s(self, retries_taken: int, uniform: float) -> float:
        """`uniform` is a draw from [0, 1)."""
        grown = 1.0
        for _ in range(retries_taken):
            if grown >= TOO_LARGE or self.factor == 1.0:
                break
            grown *= self.factor
        return min(self.first_s * grown, self.most_s) * (1 - self.jitter * uniform)


AT_ONCE = Backoff()
STAINLESS = Backoff(0.5, 2.0, 8.0, 0.25)
"""What the generator of OpenAI's libraries gives all of them."""


@dataclass(frozen=True, slots=True)
class RetryAfter:
    """How a wait that the answer asks for is taken."""

    up_to_s: float
    """It is waited for as long as this."""
    above: Literal["give_up", "back_off"]
    """What a longer one means: no retry at all, or the client's own back-off."""
    zero: Literal["back_off", "at_once"]


@dataclass(frozen=True, slots=True)
class RetryProfile:
    max_retries: int
    source: str
    """Which library, in which version."""
    backoff: Backoff = AT_ONCE
    retry_after: RetryAfter | None = None
    """None: nobody looks at it."""
    statuses: frozenset[int] = frozenset()
    server_errors: bool = False
    """Every status from 500 on is retried."""
    timeouts: bool = False
    connections: bool = False
    """Those that break."""
    should_retry: bool = False
    """The header `x-should-retry` is obeyed."""
    timeout_s: float | None = None
    """The client hangs up when it hears nothing for so long; None: never."""
    then_at_once: int = 0
    """So many more attempts by a library around this one, when it has given up: of any failure, without a
    wait, and none of them is retried by the inner one."""

    @property
    def most_attempts(self) -> int:
        return 1 + self.max_retries + self.then_at_once


def wait_s(profile: RetryProfile, failure: Failure, retries_taken: int, uniform: float) -> float | None:
    """How long a client waits before its next attempt; None: it gives up. `uniform` is from [0, 1)."""
    if retries_taken < profile.max_retries and _is_retried(profile, failure):
        asked_s = _asked_s(profile.retry_after, failure.retry_after_s)
        return profile.backoff.wait_s(retries_taken, uniform) if asked_s is None else asked_s
    return None


class Retries:
    """Of one ask: how far its client has got in its profile."""

    __slots__ = ("_again", "_profile", "_taken")

    def __init__(self, profile: RetryProfile) -> None:
        self._profile = profile
        self._taken = self._again = 0

    def wait_s(self, failure: Failure, uniform: float) -> float | None:
        """Before the next attempt, which this counts; None: there is none."""
        if not self._again:
            found = wait_s(self._profile, failure, self._taken, uniform)
            if found is not None:
                self._taken += 1
                return found
        if self._again == self._profile.then_at_once:
            return None
        self._again += 1
        return 0.0


def _is_retried(profile: RetryProfile, failure: Failure) -> bool:
    if failure.status is None:
        return profile.timeouts if failure.timed_out else profile.connections
    rule, asked_s = profile.retry_after, failure.retry_after_s
    if rule is not None and rule.above == "give_up" and asked_s is not None and asked_s > rule.up_to_s:
        return False  # before `x-should-retry` is looked at
    if profile.should_retry and failure.should_retry is not None:
        return failure.should_retry
    return failure.status in profile.statuses or (profile.server_errors and failure.status >= SERVER_ERROR)


def _asked_s(rule: RetryAfter | None, asked_s: float | None) -> float | None:
    """What to wait because the answer asks for it; None: the client's own back-off."""
    if rule is None or asked_s is None or asked_s > rule.up_to_s:
        return None
    return asked_s if asked_s > 0 or rule.zero == "at_once" else None


NONE = RetryProfile(0, source="a client that never sends a request again, and waits for ever")
"""Attempts are told apart from asks all the same, to compare with."""

OPENAI_PYTHON = RetryProfile(
    2,
    source="openai 3.57.0 (Python)",
    backoff=STAINLESS,
    retry_after=RetryAfter(120.0, above="give_up", zero="back_off"),
    statuses=frozenset({408, 409, 429}),
    server_errors=True,
    timeouts=True,
    connections=True,
    should_retry=True,
    timeout_s=600.0,
)

OPENAI_NODE = RetryProfile(
    2,
    source="openai 7.59.0 (npm)",
    backoff=STAINLESS,
    retry_after=RetryAfter(60.0, above="back_off", zero="at_once"),
    statuses=frozenset({408, 409, 429}),
    server_errors=True,
    timeouts=True,
    connections=True,
    should_retry=True,
    timeout_s=600.0,
)

LITELLM = replace(
    OPENAI_PYTHON,
    source="litellm 1.110.2 with num_retries=2, over openai's Python library",
    then_at_once=2,
)

E80_SDK = RetryProfile(0, source="e80-sdk 0.1.0a14", timeout_s=5.0)

STATED = RetryProfile(
    0,
    source="as stated",
    statuses=frozenset({429}),
    server_errors=True,
    timeouts=True,
    connections=True,
)
"""What is not said of a client that is like none of them: no wait, no header looked at, no time-out."""

RETRY_PROFILES: dict[str, RetryProfile] = {
    "none": NONE,
    "openai-python": OPENAI_PYTHON,
    "openai-node": OPENAI_NODE,
    "litellm": LITELLM,
    "e80-sdk": E80_SDK,
}
