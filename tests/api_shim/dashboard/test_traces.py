"""The list of traces: what its address says is what it shows."""

import re
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_shim.dashboard.traces import PER_PAGE, Filters
from tests.api_shim.dashboard.conftest import Browser
from tests.api_shim.dashboard.sample_traces import keep, trace


def listed(operator: Browser, path: str) -> list[str]:
    page = operator.get(path).body.decode()
    return re.findall(r"<code>(req_\d+)</code>", page)


@pytest.fixture
def traced(operator: Browser) -> Browser:
    """Ten, a minute apart, the oldest first; every third one was over a limit."""
    shim = operator.wire.platform.shim
    now_s = shim.clock.unix_s()
    made = [
        trace(
            number,
            now_s - 600 + 60 * number,
            status=429 if number % 3 == 0 else 200,
            outcome="rejected" if number % 3 == 0 else "stop",
            endpoint="/v1/completions" if number == 5 else "/v1/chat/completions",
            model="other/model" if number == 7 else "8080/taalas/llama3.1-8b-instruct",
            project="mine" if number == 2 else "default",
        )
        for number in range(10)
    ]
    keep(shim.store, *made)
    return operator


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ({}, [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]),
        ({"status": "429"}, [9, 6, 3, 0]),
        ({"outcome": "rejected", "request_id": "req_6"}, [6]),
        ({"endpoint": "/v1/completions"}, [5]),
        ({"model": "other/model"}, [7]),
        ({"project": "mine"}, [2]),
        ({"request_id": "req_4"}, [4]),
        ({"request_id": "eq_4"}, []),
        ({"status": "200", "model": "other/model", "unknown": "x"}, [7]),
    ],
)
def test_each_filter_leaves_those_that_fit(
    traced: Browser, query: dict[str, str], numbers: list[int]
) -> None:
    assert listed(traced, f"/dashboard/traces?{urlencode(query)}") == [f"req_{number}" for number in numbers]


def test_the_time_range_is_in_utc_and_takes_its_beginning_but_not_its_end(traced: Browser) -> None:
    page = traced.get("/dashboard/traces").body.decode()
    dates = re.findall(r">(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)\.\d{3}<", page)
    since, until = (dates[9 - number].replace(" ", "T") for number in (3, 6))
    path = f"/dashboard/traces?{urlencode({'since': since, 'until': until})}"
    assert listed(traced, path) == ["req_5", "req_4", "req_3"]


def test_what_is_no_filter_is_said_and_left_out(traced: Browser) -> None:
    for query in (
        {"status": "ok"},
        {"since": "yesterday"},
        {"until": "2026-02-31T00:00"},
        {"model": "x" * 999},
    ):
        reply = traced.get(f"/dashboard/traces?{urlencode(query | {'request_id': 'req_4'})}")
        assert reply.status == 200
        page = reply.body.decode()
        assert f"Left out of the filters: {next(iter(query))}" in page
        assert re.findall(r"<code>(req_\d+)</code>", page) == ["req_4"]


def test_pages_follow_each_other_and_keep_the_filters(operator: Browser) -> None:
    shim = operator.wire.platform.shim
    now_s = shim.clock.unix_s()
    total = 2 * PER_PAGE + 1
    keep(shim.store, *(trace(number, now_s - number, status=503) for number in range(total)))
    seen, path = [], "/dashboard/traces?status=503"
    while path:
        page = operator.get(path).body.decode()
        seen += re.findall(r"<code>(req_\d+)</code>", page)
        older = re.search(r'<a href="([^"]+)" rel="next">', page)
        path = older[1].replace("&amp;", "&") if older else ""
        assert not path or parse_qs(urlsplit(path).query)["status"] == ["503"]
    assert seen == [f"req_{number}" for number in range(total)]


@given(st.dictionaries(st.sampled_from(sorted(Filters.model_fields)), st.text(max_size=40)))
def test_any_filters_are_understood_or_said_to_be_wrong_and_survive_their_address(
    query: dict[str, str],
) -> None:
    filters, wrong = Filters.of(query)
    filters.wanted()
    assert len(wrong) <= len(query)
    again = {name: values[0] for name, values in parse_qs(urlsplit(filters.address()).query).items()}
    assert Filters.of(again) == (filters, [])


def test_a_trace_shows_its_spans_messages_and_bodies(traced: Browser) -> None:
    page = traced.get(f"/dashboard/traces/{4:032x}").body.decode()
    for text in (
        "prefill",
        "11\u00a0ms",
        "decode",
        "30\u00a0ms",
        "What is",
        "Request body",
        "max_tokens",
        "req_4",
    ):
        assert text in page
    assert len(re.findall(r'<rect class="phase phase-\w+" x="[\d.]+"', page)) == 6
