"""Asks, their attempts and storms, in numbers that one can add up in the head."""

from typing import Any

import pytest

from reports.columns import by_variant
from reports.html.page import render
from reports.metrics import Window
from reports.retries import RetriedSources
from reports.summary import summarise
from reports.text import summary_table
from tests.support.records import Row, ask, manifest, request, tables

REFUSED = {
    "outcome": "rejected_max_num_queued_reqs",
    "finish_reason": "",
    "output_tokens": 0,
    **dict.fromkeys(("admitted", "overhead", "started", "first", "last", "first_seen"), None),
    "ended": 20,
}
LOST = {"outcome": "rejected_max_num_queued_reqs", "output_tokens": 0, "first_seen": None, "ended": 20}


def retried(at_ms: int, number: int, waited_ms: int = 500) -> tuple[list[Row], Row]:
    """An ask that was refused after 20 ms and answered by its second attempt: 115 ms after it was sent."""
    second = {"number": number + 1, "ask": number, "attempt": 1}
    sent = [
        request(at_ms, number=number, ask=number, **REFUSED),
        request(at_ms + waited_ms, **second),
    ]
    stamps = {"first_seen": waited_ms + 55, "ended": waited_ms + 115}
    return sent, ask(at_ms, number=number, attempts=2, answered_by=number + 1, **stamps)


def given_up(at_ms: int, number: int, attempts: int) -> tuple[list[Row], Row]:
    """Attempts 100 ms apart, all refused."""
    sent = [
        request(at_ms + 100 * k, number=number + k, ask=number, attempt=k, **REFUSED) for k in range(attempts)
    ]
    ended = {"ended": 100 * (attempts - 1) + 20}
    return sent, ask(at_ms, number=number, attempts=attempts, **(LOST | ended))


def summary_of(*stories: tuple[list[Row], Row], **slo: float) -> dict[str, Any]:
    requests = [row for sent, _ in stories for row in sent]
    run = tables({("edge", 0): requests}, asks={("edge", 0): [one for _, one in stories]})
    return summarise(run, manifest(source={"client": "openai-python"}, slo=slo))


def attempts_of(*stories: tuple[list[Row], Row], horizon_s: float = 10.0) -> RetriedSources:
    requests = [row for sent, _ in stories for row in sent]
    run = tables({("edge", 0): requests}, asks={("edge", 0): [one for _, one in stories]})
    assert run.asks is not None
    columns = by_variant(run.requests, ["edge"])["edge"], by_variant(run.asks, ["edge"])["edge"]
    found = RetriedSources.of(*columns, Window.of(0.0, horizon_s), [0])
    assert found is not None
    return found


def test_asks_and_attempts_are_counted_apart() -> None:
    found = summary_of(retried(0, 0), given_up(1000, 10, 3))["variants"]["edge"]
    told = found["retries"]
    counts = {name: told[name] for name in ("asks", "attempts", "hedges", "answered")}
    assert counts == {"asks": 2, "attempts": 5, "hedges": 0, "answered": 1}
    assert told["sources"] == [{"source": "chat", **counts, "storm": None}]
    assert told["amplification"]["value"] == 2.5
    assert told["asks_by_attempts"] == [0, 1, 1]
    assert found["counts"]["offered"] == 5
    assert found["rates"]["offered_per_s"]["value"] == pytest.approx(0.5)
    assert found["rates"]["asked_per_s"]["value"] == pytest.approx(0.2)


def test_an_ask_takes_from_its_first_attempt_to_its_last_byte() -> None:
    (group,) = summary_of(*(retried(at, 10 * at) for at in range(0, 2000, 100)))["variants"]["edge"]["groups"]
    assert group["metrics"]["e2e"]["mean"]["value"] == pytest.approx(0.615)
    assert group["metrics"]["ttft"]["mean"]["value"] == pytest.approx(0.555)
    assert group["metrics"]["tpot"]["mean"]["value"] == pytest.approx(0.020)
    assert group["metrics"]["queue"]["mean"]["value"] == pytest.approx(0.002)
    phases = {name: entry["value"] for name, entry in group["phases"].items()}
    assert phases["client_wait"] == pytest.approx(0.5)  # the first attempt and the wait after it
    assert sum(phases.values()) == pytest.approx(0.615)


@pytest.mark.parametrize(("limit_s", "met"), [(0.6, 0.0), (0.62, 0.5)])
def test_an_objective_is_one_on_the_whole_ask(limit_s: float, met: float) -> None:
    """Its answer came 115 ms after it was sent, and 615 ms after it was wanted."""
    found = summary_of(retried(0, 0), given_up(1000, 10, 3), e2e_s=limit_s)["variants"]["edge"]
    assert found["rates"]["attainment"]["value"] == met
    assert found["rates"]["goodput_per_s"]["value"] == pytest.approx(2 * met / 10)


def storm(first_ms: int, end_ms: int, attempts: int = 3) -> list[tuple[list[Row], Row]]:
    """An ask every 50 ms, each refused at once so many times."""
    return [given_up(at, 1000 * at, attempts) for at in range(first_ms, end_ms, 50)]


def calm(first_ms: int, end_ms: int) -> list[tuple[list[Row], Row]]:
    return [
        ([request(at, number=1000 * at + 7, ask=1000 * at + 7)], ask(at, number=1000 * at + 7, answered_by=1))
        for at in range(first_ms, end_ms, 50)
    ]


def test_a_storm_is_told_with_its_time() -> None:
    found = attempts_of(*calm(0, 4000), *storm(4000, 6000), *calm(6000, 10_000)).together.storm()
    assert found is not None
    assert found.began_s == pytest.approx(4.0, abs=0.5)
    assert found.ended_s == pytest.approx(6.2, abs=0.5)
    assert 2.0 <= found.per_ask <= 3.0
    assert found.failed > 0.5


@pytest.mark.parametrize(
    "stories",
    [
        calm(0, 10_000),
        [*calm(0, 4000), *storm(4000, 4200), *calm(4200, 10_000)],  # shorter than a twentieth
        storm(0, 10_000, attempts=1),  # everything fails, and nobody comes again
        [retried(at, 1000 * at, 10) for at in range(0, 10_000, 50)],  # two each, of which one answers
        [given_up(4000, 0, 15)],  # one alone
    ],
    ids=["calm", "short", "no retries", "answered", "alone"],
)
def test_no_storm_is_told_without_its_three_marks(stories: list[tuple[list[Row], Row]]) -> None:
    assert attempts_of(*stories).together.storm() is None


def test_the_verdict_opens_with_asks_and_storms() -> None:
    summary = summary_of(*calm(0, 4000), *storm(4000, 6000), *calm(6000, 10_000))
    why = summary["variants"]["edge"]["verdict"]["why"]
    assert why.startswith("200 asks made 280 requests (1.4 for each), and 80.0 % of the asks were answered.")
    assert "Retry storm: from " in why
    assert "42.9 % of the requests sent were refused." in why
    assert "Retry storm: from" in " ".join(summary_table(summary).split())
    page = render(summary)
    assert 'id="asks-and-attempts"' in page
    assert "What was asked, and what clients made of it" in page


def test_a_run_whose_clients_never_retry_says_nothing_of_it() -> None:
    summary = summarise(tables({("edge", 0): [request(0)]}), manifest())
    assert "retries" not in summary["variants"]["edge"]
    assert "asks made" not in summary["variants"]["edge"]["verdict"]["why"]
    assert "asks-and-attempts" not in render(summary)


def test_copies_are_told_beside_retries() -> None:
    winner = {"number": 1, "ask": 0, "attempt": 1}
    slow = request(0, number=0, ask=0, outcome="cancelled", finish_reason="", last=None, ended=555)
    sent = [slow, request(500, **winner)]
    stamps = {"first_seen": 555, "ended": 615}
    found = attempts_of((sent, ask(0, number=0, attempts=2, hedges=1, answered_by=1, **stamps)))
    (sentence,) = found.sentences()
    assert sentence.startswith("1 ask made 2 requests (1 of them copies, 2 for each)")


def test_a_storm_of_one_source_is_told_though_others_are_calm() -> None:
    """Together there are 1.5 requests for each ask in those two seconds."""
    stories = [*calm(0, 4000), *storm(4000, 6000), *calm(6000, 10_000)]
    others = [of_another(story, copy) for copy in range(3) for story in calm(0, 10_000)]
    (count, told) = attempts_of(*stories, *others).sentences()
    assert count.startswith("800 asks made 880 requests")
    assert told.startswith("Retry storm of chat: from 3.")
    assert attempts_of(*stories, *others).together.storm() is None


def of_another(story: tuple[list[Row], Row], copy: int) -> tuple[list[Row], Row]:
    sent, asked = story
    number = asked["number"] + 10_000_000 * (copy + 1)
    changes = {"number": number, "source": "calm"}
    return [{**row, **changes, "ask": number} for row in sent], {**asked, **changes}
