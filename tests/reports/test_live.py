"""Three columns: simulated, wall from the intended send, and the lag of each request."""

import json
from pathlib import Path
from typing import Any

import pytest

from reports.html import render
from reports.live import NEVER, VARIANT, ClientFileError, ClientRow, live_json, read_client
from reports.live_text import live_text
from reports.record import REQUEST_COLUMNS
from reports.summary import summarise
from reports.tables import RunTables, request_table
from tests.support.synthetic import synthetic_run

MS = 10**9
NS_PER_MS = 10**6
SERVER = {
    "speed": 1.0,
    "content": "synthetic",
    "paced": True,
    "why_not": None,
    "lateness": {"n": 4, "p50_s": 0.0002, "p99_s": 0.001, "max_s": 0.0009, "bins": [[0.0002, 3], [0.001, 1]]},
}


def requests(places: list[str], ttft_ms: int = 10, e2e_ms: int = 30) -> Any:
    """Request k is meant at k ms; every one of them completed."""
    n = len(places)
    names = sorted(set(places))
    values: dict[str, Any] = {column.name: [0] * n for column in REQUEST_COLUMNS}
    values |= {
        "number": list(range(n)),
        "intended_ps": [k * MS for k in range(n)],
        "first_seen_ps": [(k + ttft_ms) * MS for k in range(n)],
        "ended_ps": [(k + e2e_ms) * MS for k in range(n)],
        "source": [names.index(place) for place in places],
        "place": [names.index(place) for place in places],
        "stream": [1] * n,
    }
    labels = {"source": names, "place": names, "tenant": ["t"], "model": ["m"]}
    return request_table(VARIANT, 0, values, labels)


def row(number: int, first_ms: float, last_ms: float, **fields: Any) -> ClientRow:
    """Meant at `number` ms of the client's clock, sent half a millisecond later."""
    at = number * NS_PER_MS
    whole = ClientRow(
        number, 200, at, at + NS_PER_MS // 2, at + round(first_ms * 1e6), at + round(last_ms * 1e6), True
    )
    return whole._replace(**fields)


def p50(found: Any) -> Any:
    return {name: column["p50"]["value"] for name, column in found.items()}


def test_the_lag_is_taken_request_by_request_and_not_from_the_quantiles() -> None:
    """Wall E2E is 31 ms for half of them and 51 for the others, while the model says 30 for all."""
    rows = [row(k, 12, 31 if k % 2 else 51) for k in range(200)]
    found = live_json(SERVER, requests(["edge"] * 200), rows)
    (group,) = found["groups"]
    assert (group["source"], group["place"], group["requests"]) == ("edge", "edge", 200)
    assert p50(group["metrics"]["ttft"]) == pytest.approx({"simulated": 0.010, "wall": 0.012, "lag": 0.002})
    assert group["metrics"]["e2e"]["lag"]["p95"]["value"] == pytest.approx(0.021)
    assert group["metrics"]["e2e"]["simulated"]["p95"]["value"] == pytest.approx(0.030)
    assert group["metrics"]["e2e"]["lag"]["mean"]["value"] == pytest.approx(0.011)
    assert found["client"]["slip"]["p50"]["value"] == pytest.approx(0.0005)


def test_at_ten_times_the_speed_a_millisecond_on_the_wall_counts_as_ten() -> None:
    rows = [row(k, 1.5, 3.2) for k in range(20)]
    found = live_json({**SERVER, "speed": 10.0}, requests(["edge"] * 20), rows)
    metrics = found["groups"][0]["metrics"]
    assert p50(metrics["ttft"]) == pytest.approx({"simulated": 0.010, "wall": 0.015, "lag": 0.005})
    assert p50(metrics["e2e"]) == pytest.approx({"simulated": 0.030, "wall": 0.032, "lag": 0.002})


def test_places_stand_beside_each_other_and_whole_answers_have_no_ttft() -> None:
    places = ["edge", "home"] * 20
    rows = [row(k, 12, 31, stream=places[k] == "edge") for k in range(40)]
    edge, home = live_json(SERVER, requests(places), rows)["groups"]
    assert (edge["source"], edge["requests"]) == ("edge", 20)
    assert (home["source"], home["requests"]) == ("home", 20)
    assert "refused" in home["metrics"]["ttft"]["wall"]["p50"]
    assert home["metrics"]["e2e"]["wall"]["p50"]["value"] == pytest.approx(0.031)


def test_refused_lost_and_unknown_requests_are_counted_and_left_out_of_latencies() -> None:
    rows = [
        *(row(k, 12, 31) for k in range(20)),
        row(20, 1, 1, status=429),
        row(21, 1, 1, status=0, last_ns=NEVER)._replace(number=NEVER),
        row(22, 1, 1, status=200, last_ns=NEVER),
    ]
    found = live_json(SERVER, requests(["edge"] * 23), rows)
    told = {
        name: found["client"][name] for name in ("requests", "answered", "refused", "lost", "not_recorded")
    }
    assert told == {"requests": 23, "answered": 20, "refused": 1, "lost": 2, "not_recorded": 1}
    assert found["groups"][0]["requests"] == 20


def test_the_terminal_counts_refusals_apart_from_the_answers_whose_times_it_shows() -> None:
    """19 refusals after 1 ms beside one answer of 31 ms."""
    refused = [row(k, 1, 1, status=429) for k in range(1, 20)]
    found = live_json(SERVER, requests(["edge"] * 20), [row(0, 12, 31), *refused])
    assert live_text(found).startswith("Of the client's 20 requests 1 answered, 19 refused\n")
    assert found["groups"][0]["requests"] == 1


def test_a_server_that_answered_nothing_is_not_called_paced() -> None:
    nothing = live_json({**SERVER, "answered": 0})
    assert live_text(nothing) == "Nothing was answered.\n"
    tables, manifest = synthetic_run(100, variants=1, replications=1)
    summary = summarise(tables, manifest) | {"live": nothing}
    assert "Paced" not in render(summary, manifest=manifest)


def test_without_a_client_there_are_no_columns_but_what_the_server_knows_of_itself() -> None:
    found = live_json(SERVER)
    assert (found["client"], found["groups"]) == (None, [])
    assert (
        live_text(found)
        == "The server was 0.200 ms late at p50 and 1.00 ms at p99: paced, wall times can be trusted.\n"
    )


def test_the_terminal_shows_three_quantiles_in_each_column() -> None:
    rows = [row(k, 12, 31) for k in range(200)]
    text = live_text(live_json(SERVER, requests(["edge"] * 200), rows))
    assert "edge    TTFT  10.0 / 10.0 / -  12.0 / 12.0 / -  2.00 / 2.00 / -" in text
    assert "        E2E   30.0 / 30.0 / -  31.0 / 31.0 / -  1.00 / 1.00 / -" in text
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize("why_not", [None, "not paced: answers were 9 ms late at p99"])
def test_the_report_has_a_section_on_the_wall_clock_and_says_whether_to_trust_it(why_not: str | None) -> None:
    tables, manifest = synthetic_run(100, variants=1, replications=1)
    server = {**SERVER, "why_not": why_not, "paced": why_not is None}
    rows = [row(k, 12, 31) for k in range(20)]
    summary = summarise(RunTables(tables.requests, tables.nodes), manifest)
    page = render(summary | {"live": live_json(server, requests(["edge"] * 20), rows)}, manifest=manifest)
    assert 'id="live"' in page
    assert "e80sim replay ." in page
    assert ("Not paced: answers were 9" in page) == (why_not is not None)
    assert ("wall times can be trusted" in page) == (why_not is None)
    assert 'id="live"' not in render(summary, manifest=manifest)


def test_a_client_file_reads_back_and_a_bad_line_is_told(tmp_path: Path) -> None:
    file = tmp_path / "client.jsonl"
    good = row(3, 12, 31)
    file.write_text(json.dumps(good._asdict() | {"more": 1}) + "\n")
    assert read_client(file) == [good]
    file.write_text(json.dumps(good._asdict()) + "\n{}\n")
    with pytest.raises(ClientFileError, match=r"client\.jsonl line 2 is not a request of a load client"):
        read_client(file)
