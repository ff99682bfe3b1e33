"""What the clients of a traffic source do when a request fails, or is slow: `retry` and `hedge`."""

from dataclasses import replace
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from e80sim.choices import KeyOf
from sim.scenario.section import Section
from traffic.retry_profiles import (
    MOST_RETRIES,
    RETRY_PROFILES,
    STATED,
    Backoff,
    RetryAfter,
    RetryProfile,
)
from traffic.spec import MAX_S, MIN_S

MAX_MS = MAX_S * 1000
MOST_AT_ONCE = 10
MOST_HEDGES = 5
RETRIED = ("statuses", "server_errors", "timeouts", "connections")
AS_STATED = ("max_retries", "timeout_s", "then_at_once", "server_errors", "timeouts", "connections")
"""Fields of a profile that are written as they stand in it."""


class BackoffSection(Section):
    """Of retry n, from 0: `first_ms` times `factor` to the power n, at most `most_ms`."""

    first_ms: float = Field(ge=0, le=MAX_MS)
    factor: float = Field(1.0, ge=1, le=1000)
    most_ms: float | None = Field(None, ge=0, le=MAX_MS, description="of any wait; absent: it grows on")
    jitter: float = Field(0.0, ge=0, le=1, description="less a random share of up to this")

    def backoff(self) -> Backoff:
        most_ms = MAX_MS if self.most_ms is None else self.most_ms
        return Backoff(self.first_ms / 1000, self.factor, most_ms / 1000, self.jitter)


class RetryAfterSection(Section):
    """How a `retry-after` of the platform is taken."""

    up_to_s: float = Field(ge=0, le=MAX_S, description="it is waited for as long as this")
    above: Literal["give_up", "back_off"] = Field(
        "back_off", description="of a longer one: no retry at all, or the client's own back-off"
    )
    zero: Literal["at_once", "back_off"] = "at_once"

    def rule(self) -> RetryAfter:
        return RetryAfter(self.up_to_s, self.above, self.zero)


class Retry(Section):
    """What is stated goes before what `like` says."""

    like: Annotated[str, KeyOf(RETRY_PROFILES)] | None = Field(
        None,
        description="a client library as it was seen to behave; `none` never retries, but attempts are told "
        "apart from asks; absent: as stated, at once and without a look at `retry-after`",
    )
    max_retries: int | None = Field(
        None, ge=0, le=MOST_RETRIES, description="attempts after the first; absent: those of `like`"
    )
    backoff: BackoffSection | None = Field(None, description="the wait before each retry")
    retry_after: RetryAfterSection | None = Field(None, description="instead of the own back-off")
    statuses: list[Annotated[int, Field(ge=400, le=599)]] | None = Field(
        None, min_length=1, max_length=200, description="that are retried; absent: 429, or as `like`"
    )
    server_errors: bool | None = Field(None, description="so is every 5xx; absent: yes, or as `like`")
    timeouts: bool | None = Field(None, description="so are time-outs; absent: yes, or as `like`")
    connections: bool | None = Field(None, description="so are those that break; absent: yes, or as `like`")
    timeout_s: float | None = Field(
        None,
        ge=MIN_S,
        le=MAX_S,
        description="an attempt whose client hears nothing for so long is given up; absent: that of `like`",
    )
    then_at_once: int | None = Field(
        None,
        ge=0,
        le=MOST_AT_ONCE,
        description="attempts of a library around the client when that has given up, as litellm's "
        "`num_retries`",
    )

    @model_validator(mode="after")
    def _says_how_often(self) -> Self:
        if self.like is None and self.max_retries is None:
            raise ValueError(
                "`retry` says neither whose client it is like nor how often: state `like` or `max_retries`"
            )
        return self

    @model_validator(mode="after")
    def _what_is_stated_matters(self) -> Self:
        profile = self.profile()
        if profile.max_retries:
            if not (profile.statuses or profile.server_errors or profile.timeouts or profile.connections):
                raise ValueError(
                    f"`max_retries` of a client like `{self.like}`, which retries nothing: state what it "
                    f"retries, such as `statuses: [429]`"
                )
            return self
        for name in ("backoff", "retry_after", *RETRIED):
            if getattr(self, name) is not None:
                raise ValueError(f"`{name}` says how to retry, and there are no retries: state `max_retries`")
        return self

    def profile(self) -> RetryProfile:
        stated: dict[str, Any] = {name: getattr(self, name) for name in AS_STATED}
        stated |= {
            "statuses": None if self.statuses is None else frozenset(self.statuses),
            "backoff": None if self.backoff is None else self.backoff.backoff(),
            "retry_after": None if self.retry_after is None else self.retry_after.rule(),
        }
        given = {name: value for name, value in stated.items() if value is not None}
        return replace(STATED if self.like is None else RETRY_PROFILES[self.like], **given)


class HedgeSection(Section):
    """A copy of a request that has no token yet: the first to answer wins, and the other is cancelled."""

    after_ms: float | None = Field(None, ge=0.001, le=MAX_MS, description="sent when so much has passed")
    after_quantile: float | None = Field(
        None,
        ge=0.01,
        le=0.999,
        description="or when it has taken longer than this share of the source's last 1,000 requests; none "
        "before the hundredth answer",
    )
    max: int = Field(1, ge=1, le=MOST_HEDGES, description="copies of one ask, each after as long again")

    @model_validator(mode="after")
    def _one_delay(self) -> Self:
        if (self.after_ms is None) == (self.after_quantile is None):
            raise ValueError("a hedge is sent either `after_ms` or `after_quantile`: state one of them")
        return self
