"""What clients do, as it was seen on each of them: the figures of docs/retries.md, and the library itself."""

from dataclasses import replace
from itertools import product
from unittest.mock import patch

import httpx
import pytest
from openai import OpenAI
from openai._models import FinalRequestOptions

from traffic.retry_profiles import RETRY_PROFILES, Backoff, Failure, Retries, RetryAfter, wait_s

PYTHON, NODE = RETRY_PROFILES["openai-python"], RETRY_PROFILES["openai-node"]
MANY = replace(PYTHON, max_retries=8)
LIMITED = Failure(429)


def waits(profile: str, failure: Failure, uniform: float = 0.0) -> list[float]:
    """Between all the attempts of an ask that always fails in this way."""
    retries, found = Retries(RETRY_PROFILES[profile]), list[float]()
    while (wait := retries.wait_s(failure, uniform)) is not None:
        found.append(wait)
    return found


@pytest.mark.parametrize(
    ("profile", "failure", "expected"),
    [
        ("openai-python", LIMITED, [0.5, 1.0]),
        ("openai-python", Failure(429, retry_after_s=7), [7, 7]),
        ("openai-python", Failure(429, retry_after_s=120), [120, 120]),
        ("openai-python", Failure(429, retry_after_s=120.001), []),  # above: no retry at all
        ("openai-python", Failure(429, retry_after_s=121, should_retry=True), []),
        ("openai-python", Failure(429, retry_after_s=0), [0.5, 1.0]),  # zero: its own back-off
        ("openai-node", LIMITED, [0.5, 1.0]),
        ("openai-node", Failure(429, retry_after_s=60), [60, 60]),
        ("openai-node", Failure(429, retry_after_s=60.001), [0.5, 1.0]),  # above: ignored
        ("openai-node", Failure(429, retry_after_s=0), [0, 0]),  # zero: at once
        ("litellm", LIMITED, [0.5, 1.0, 0, 0]),
        ("litellm", Failure(429, retry_after_s=1), [1, 1, 0, 0]),
        ("litellm", Failure(429, retry_after_s=200), [0, 0]),
        ("litellm", Failure(429, should_retry=False), [0, 0]),
        ("litellm", Failure(400), [0, 0]),
        ("e80-sdk", LIMITED, []),
        ("e80-sdk", Failure(None, timed_out=True), []),
        ("none", LIMITED, []),
    ],
)
def test_a_client_waits_as_it_was_seen_to(profile: str, failure: Failure, expected: list[float]) -> None:
    assert waits(profile, failure) == expected


@pytest.mark.parametrize("profile", ["openai-python", "openai-node"])
def test_what_openais_clients_retry(profile: str) -> None:
    retried = [status for status in range(400, 600) if waits(profile, Failure(status))]
    assert retried == [408, 409, 429, *range(500, 600)]
    assert waits(profile, Failure(400, should_retry=True)) == [0.5, 1.0]
    assert waits(profile, Failure(503, should_retry=False)) == []
    assert waits(profile, Failure(None, timed_out=True)) == [0.5, 1.0]
    assert waits(profile, Failure(None)) == [0.5, 1.0]


def test_jitter_takes_up_to_a_quarter_off_and_nothing_of_what_was_asked_for() -> None:
    assert waits("openai-python", LIMITED, 0.999) == pytest.approx([0.375, 0.75], rel=1e-3)
    assert waits("openai-python", Failure(429, retry_after_s=7), 0.999) == [7, 7]


def test_what_clients_wait_for_an_answer() -> None:
    timeouts = {name: profile.timeout_s for name, profile in RETRY_PROFILES.items()}
    assert timeouts == {
        "none": None,
        "openai-python": 600.0,
        "openai-node": 600.0,
        "litellm": 600.0,
        "e80-sdk": 5.0,
    }


def test_attempts_of_one_ask_at_most() -> None:
    most = {name: profile.most_attempts for name, profile in RETRY_PROFILES.items()}
    assert most == {"none": 1, "openai-python": 3, "openai-node": 3, "litellm": 5, "e80-sdk": 1}


def test_a_back_off_doubles_up_to_its_most() -> None:
    backoff = Backoff(0.5, 2.0, 8.0, 0.25)
    assert [backoff.wait_s(n, 0.0) for n in range(7)] == [0.5, 1, 2, 4, 8, 8, 8]
    assert backoff.wait_s(6, 0.5) == 7.0
    assert Backoff(1.0, 1000.0, 1e9, 0.0).wait_s(100, 0.0) == 1e9


@pytest.mark.parametrize("status", [400, 404, 408, 409, 425, 429, 500, 503])
def test_openais_own_library_does_the_same(status: int) -> None:
    client = OpenAI(api_key="none", base_url="http://localhost")
    options = FinalRequestOptions.construct(method="post", url="/", max_retries=8)
    afters, says = (None, "0", "0.5", "60", "61", "120", "121", "86400"), (None, "true", "false")
    for after, say, taken, uniform in product(afters, says, (0, 1, 5), (0.0, 0.5)):
        headers = {"retry-after": after, "x-should-retry": say}
        given = httpx.Headers({name: value for name, value in headers.items() if value is not None})
        response = httpx.Response(status, headers=given)
        expected = None
        with patch("openai._base_client.random", return_value=uniform):
            if client._should_retry(response):
                expected = client._calculate_retry_timeout(8 - taken, options, given)
        failure = Failure(
            status,
            retry_after_s=None if after is None else float(after),
            should_retry=None if say is None else say == "true",
        )
        assert wait_s(MANY, failure, taken, uniform) == expected


def test_the_differences_between_openais_two_clients_are_these() -> None:
    differing = [name for name in PYTHON.__slots__ if getattr(PYTHON, name) != getattr(NODE, name)]
    assert differing == ["source", "retry_after"]
    assert PYTHON.retry_after == RetryAfter(120.0, "give_up", "back_off")
    assert NODE.retry_after == RetryAfter(60.0, "back_off", "at_once")
