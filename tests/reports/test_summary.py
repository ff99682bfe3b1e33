import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.run_directory import json_text
from reports.summary import summarise
from reports.text import summary_table
from tests.support.records import Row, manifest, node, request, tables, user_request
from tests.support.synthetic import synthetic_run


def group(summary: dict[str, Any], variant: str = "edge") -> dict[str, Any]:
    found: dict[str, Any] = summary["variants"][variant]["groups"][0]
    return found


def one_replication(*rows: Row, **changes: Any) -> dict[str, Any]:
    return summarise(tables({("edge", 0): rows}), manifest(**changes))


def test_only_requests_meant_for_the_window_are_offered() -> None:
    rows = [request(second * 1000) for second in (0, 3, 4, 9, 10)]
    found = one_replication(*rows, warm_up_s=4.0)
    assert group(found)["counts"]["offered"] == 2
    assert found["variants"]["edge"]["rates"]["offered_per_s"]["value"] == pytest.approx(2 / 6)
    assert found["variants"]["edge"]["rates"]["carried_per_s"]["value"] == pytest.approx(2 / 6)


def test_whoever_is_left_at_the_horizon_is_counted_and_noted() -> None:
    """Three are in the system at the horizon of 10 s; two of them end in the drain."""
    left = request(9900, outcome="unfinished", last=None, ended=None, first_seen=None)
    found = one_replication(request(), request(10), request(9885), request(9890), left)
    assert group(found)["counts"]["unfinished"] == 1
    assert found["variants"]["edge"]["counts"]["in_system_at_end"] == 3
    assert group(found)["metrics"]["e2e"]["mean"]["n"] == 4
    assert any(
        note.startswith("20.0 % of the requests of chat in edge had not ended when the run did")
        for note in found["notes"]
    )


def test_attainment_counts_everything_but_success_as_missed() -> None:
    rows = [
        request(),
        request(10, first_seen=56),
        request(20, outcome="rejected_tokens_limit", started=None),
        request(30, outcome="timeout"),
    ]
    found = one_replication(*rows, slo={"ttft_s": 0.055})
    assert group(found)["attainment"]["value"] == 0.25
    rates = found["variants"]["edge"]["rates"]
    assert [rates[name]["value"] for name in ("goodput_per_s", "asked_per_s", "rejected_per_s")] == [
        pytest.approx(rate) for rate in (0.1, 0.4, 0.1)
    ]


def test_an_app_is_judged_by_its_user_requests_and_each_of_their_calls() -> None:
    users = [user_request(number=0), user_request(200, number=1), user_request(400, number=2, ended=160)]
    calls = [
        request(15, parent=0),
        request(215, parent=1, number=1, first_seen=60),
        request(415, parent=2, number=2),
    ]
    about = {"app": "helper", "app_place": "edge", "mode": "sequential"}
    found = summarise(
        tables({("edge", 0): calls}, {("edge", 0): users}),
        manifest(source=about, slo={"ttft_s": 0.055, "felt_s": 0.15}),
    )
    assert group(found)["attainment"]["value"] == pytest.approx(1 / 3)
    assert group(found)["metrics"]["felt"]["mean"]["value"] == pytest.approx((0.14 + 0.14 + 0.16) / 3)
    assert group(found)["metrics"]["e2e"]["mean"]["value"] == pytest.approx(0.115)
    assert group(found)["felt_phases"]["app_cpu"]["value"] == pytest.approx(0.01)


def test_each_variant_is_judged_by_its_own_objectives() -> None:
    rows = [request(), request(200, number=1, first_seen=70)]  # TTFT 55 and 70 ms
    about = manifest(variants=("base", "strict"), slo={"ttft_s": 0.1})
    about["facts"]["slo_by_variant"] = {"base": {"ttft_s": 0.1}, "strict": {"ttft_s": 0.06}}
    found = summarise(tables({(name, 0): rows for name in ("base", "strict")}), about)
    met = {name: one["groups"][0]["attainment"]["value"] for name, one in found["variants"].items()}
    assert met == {"base": 1.0, "strict": 0.5}
    assert found["variants"]["strict"]["rates"]["attainment"]["value"] == 0.5
    assert (
        "The variants are judged by objectives of their own: base: TTFT ≤ 100 ms; strict: TTFT ≤ 60 ms."
        in found["notes"]
    )


def test_an_objective_that_no_request_can_be_judged_by_is_not_met_but_not_judged() -> None:
    rows = [request(10 * k, number=k, stream=False) for k in range(9)]
    found = one_replication(
        *rows, request(95, number=9, outcome="timeout", stream=False), slo={"ttft_s": 0.1}
    )
    why = "Not judged: no answer has a number that the objectives limit (TTFT ≤ 100 ms)."
    assert group(found)["attainment"] == {"refused": why}
    rates = found["variants"]["edge"]["rates"]
    assert rates["attainment"] == rates["goodput_per_s"] == {"refused": why}
    assert (
        "Not judged for chat in edge, since no request has the number: TTFT (none is streamed)."
        in found["notes"]
    )
    assert "not judged" in summary_table(found)


def test_an_objective_that_judges_nobody_leaves_the_judgement_to_the_others_and_is_noted() -> None:
    rows = [request(10 * k, number=k, output_tokens=1, ended=100 + 10 * k) for k in range(4)]
    found = one_replication(*rows, slo={"tpot_s": 0.001, "e2e_s": 0.125})
    assert group(found)["attainment"]["value"] == 0.75
    assert any("TPOT (none is streamed with a second token)" in note for note in found["notes"])


def test_requests_that_nothing_judges_count_neither_way() -> None:
    # TPOT 20 ms, and twice one token alone; a failure might have had two.
    rows = [
        request(),
        request(10, output_tokens=1),
        request(20, output_tokens=1),
        request(30, outcome="timeout"),
    ]
    found = one_replication(*rows, slo={"tpot_s": 0.02})
    assert (group(found)["attainment"]["value"], group(found)["attainment"]["n"]) == (0.5, 2)
    assert found["variants"]["edge"]["rates"]["goodput_per_s"]["value"] == pytest.approx(0.1)


def test_littles_law_worked_by_hand() -> None:
    # four stays of 115 ms in 10 s
    found = one_replication(*(request(second * 1000) for second in (1, 2, 3, 4)))
    little = found["variants"]["edge"]["little"]
    assert little["in_system"] == pytest.approx(0.046)
    assert little["arrival_rate_times_time"] == pytest.approx(0.046)
    assert little["relative_difference"] == pytest.approx(0, abs=1e-12)


def test_a_stay_that_crosses_the_edges_counts_with_its_part_inside() -> None:
    crossing = request(0, ended=6000)
    found = one_replication(crossing, request(8000, outcome="unfinished", ended=None), warm_up_s=5.0)
    assert found["variants"]["edge"]["little"]["in_system"] == pytest.approx((1 + 2) / 5)


def test_nodes_worked_by_hand() -> None:
    second = 10**12
    nodes = [
        node(busy_ps=4 * second, sequence_s=8, preemptions=1),
        node(node=1, busy_ps=6 * second, sequence_s=21, sequence_rest_ps=second, preemptions=2),
    ]
    overlapping = [request(started=0, last=3000), request(started=2000, last=4000)]  # together 4 s
    other = request(node=1, started=1000, last=7000)
    rows = [*overlapping, other, request(node=1, started=9000, last=14_000)]  # 6 s, and 1 s to the horizon
    run = tables({("edge", 0): rows, ("edge", 1): rows}, nodes=nodes)
    found = summarise(run, manifest(replications=2))
    (row,) = found["variants"]["edge"]["nodes"]
    assert (row["model"], row["nodes"]) == ("llama", 2)
    assert [row[name]["value"] for name in ("utilisation", "batch", "preemptions")] == [0.55, 3.0, 3.0]
    assert row["busiest"]["value"] == 1.0  # two requests each


def test_the_busiest_node_is_told_against_the_mean_worked_by_hand() -> None:
    rows = [request(node=0), request(node=0), request(node=0), request(node=1)]
    run = tables({("edge", 0): rows}, nodes=[node(), node(node=1), node(node=2), node(node=3)])
    (row,) = summarise(run, manifest(replications=1))["variants"]["edge"]["nodes"]
    assert row["busiest"]["value"] == 3.0  # 3 requests, where 4 over 4 nodes are one each


def test_differences_are_the_variant_less_the_baseline() -> None:
    run = tables(
        {
            ("edge", 0): [request()],
            ("cloud", 0): [request(ended=135)],
            ("edge", 1): [request(ended=125)],
            ("cloud", 1): [request(ended=145)],
        }
    )
    found = summarise(run, manifest(["edge", "cloud"], 2))
    (entry,) = found["differences"]["cloud"]
    change = entry["metric"]["felt"]["mean"]
    assert change["value"] == pytest.approx(0.02)
    assert change["low"] == pytest.approx(0.02)
    assert "refused" in entry["metric"]["felt"]["p50"]
    assert list(found["differences"]) == ["cloud"]


def test_replayed_traces_carry_the_caveat_that_traffic_did_not_vary() -> None:
    run = tables({("edge", 0): [request()], ("edge", 1): [request()]})
    found = summarise(run, manifest(replications=2, source={"arrivals": "trace"}))
    assert any("replays the same arrivals (chat)" in note for note in found["notes"])
    assert not any("replays" in note for note in summarise(run, manifest(replications=2))["notes"])


def test_a_variant_that_an_interrupted_run_did_not_reach_is_left_out() -> None:
    found = summarise(tables({("edge", 0): [request()]}), manifest(["edge", "cloud"], interrupted=True))
    assert list(found["variants"]) == ["edge"]
    assert found["differences"] == {}


def test_a_run_in_which_nothing_completes_still_has_a_summary() -> None:
    found = one_replication(request(outcome="unfinished", first=None, last=None, first_seen=None, ended=None))
    assert "refused" in group(found)["metrics"]["felt"]["mean"]
    assert group(found)["cdf"]["e2e"] == {"x_s": [], "p": []}
    assert "No request of chat in edge completed: there are no latencies to show." in found["notes"]


def test_a_replication_without_requests_still_counts_in_the_rates() -> None:
    found = summarise(tables({("edge", 0): [request()], ("edge", 1): []}), manifest(replications=2))
    assert found["variants"]["edge"]["rates"]["offered_per_s"]["value"] == pytest.approx(0.05)


def test_a_summary_depends_on_nothing_but_its_run() -> None:
    run, about = synthetic_run(2000, variants=2, replications=3)
    assert json_text(summarise(run, about)) == json_text(summarise(run, about))


@settings(max_examples=10, deadline=None)
@given(replications=st.integers(1, 4), with_app=st.booleans(), overloaded=st.sampled_from([None, "edge"]))
def test_the_laws_of_a_summary(replications: int, with_app: bool, overloaded: str | None) -> None:
    run, about = synthetic_run(1500, 2, replications, with_app=with_app, overloaded=overloaded)
    found = json.loads(json_text(summarise(run, about)))
    for variant in found["variants"].values():
        assert sum(one["counts"]["offered"] for one in variant["groups"]) == variant["counts"]["offered"]
        for one in variant["groups"]:
            check_group(one)


def check_group(one: dict[str, Any]) -> None:
    counts = dict(one["counts"])
    assert counts.pop("offered") == sum(counts.values()) - counts["in_system_at_end"]
    metrics = one["metrics"]
    assert total(one["phases"]) == pytest.approx(metrics["e2e"]["mean"]["value"], rel=1e-9)
    if "felt_phases" in one:
        assert total(one["felt_phases"]) == pytest.approx(metrics["felt"]["mean"]["value"], rel=1e-9)
    for cdf in one["cdf"].values():
        assert cdf["x_s"] == sorted(cdf["x_s"])
        assert cdf["p"] == sorted(cdf["p"])


def total(phases: dict[str, Any]) -> float:
    return sum(float(phase["value"]) for phase in phases.values())
