from typing import Any

import pytest

from reports.columns import by_variant
from reports.itl import itl_json
from reports.tables import concat, gap_table
from tests.support.records import tables

MS = 10**9


def rows(*replications: dict[int, int]) -> list[dict[str, Any]]:
    """Of gaps by their length in ms, a replication each."""
    parts = []
    for number, gaps in enumerate(replications):
        lengths = [ms * MS for ms in gaps]
        bins = {"model": [0] * len(gaps), "from_ps": lengths, "to_ps": [ps + 1 for ps in lengths]}
        part = gap_table(
            "edge", number, {**bins, "mean_ps": lengths, "gaps": list(gaps.values())}, {"model": ["llama"]}
        )
        run = tables({("edge", number): []})
        parts.append(type(run)(run.requests, run.nodes, None, part))
    table = concat(parts).gaps
    assert table is not None
    return itl_json(by_variant(table, ["edge"])["edge"], range(len(replications)))


def test_quantiles_count_every_gap_once() -> None:
    (found,) = rows({10: 9_400, 20: 500, 300: 100})
    assert found["gaps"] == 10_000
    assert [found[name]["value"] for name in ("p50", "p95", "p99")] == [0.01, 0.02, 0.02]
    assert found["mean"]["value"] == pytest.approx(0.0134)
    assert (found["p50"]["low"], found["p50"]["note"]) == (
        None,
        "One replication: one value, and so no interval.",
    )


def test_replications_give_the_interval() -> None:
    """Medians of 10 and 14 ms: 12 ± 12.706 * 2, cut at zero."""
    (found,) = rows({10: 30}, {14: 30})
    assert found["p50"]["value"] == pytest.approx(0.012)
    assert (found["p50"]["low"], found["p50"]["high"]) == (0, pytest.approx(0.012 + 12.706 * 0.002, rel=1e-4))


def test_a_tail_that_the_gaps_cannot_carry_is_refused() -> None:
    (found,) = rows({10: 999})
    assert found["p99"] == {
        "refused": "A p99 of the gaps needs at least 1,000 gaps in each replication; there are 999 in all."
    }
    assert found["p95"]["value"] == 0.01


def test_a_run_without_second_tokens_has_no_itl() -> None:
    assert rows({}) == []
