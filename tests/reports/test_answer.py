"""The sentence and the verdict of a run, from summaries worked by hand."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.answer import answer, facts
from reports.answer.phrases import per_cent, where
from reports.answer.reasons import reasons
from reports.estimate import ShownEstimate
from reports.rows import short_titles
from tests.support.summaries import (
    Json,
    counts,
    difference,
    edge_and_aws,
    estimate,
    group,
    phases,
    refused,
    summary,
    user_phases,
    variant,
)


def said(found: Json) -> str:
    return answer(found).sentence


def apart(p95: Json, source: str = "agent") -> Json:
    return difference(p95, source)


def places(**of_twenty: Json) -> Json:
    """One call takes 100 ms and twenty 500 ms on the Edge; elsewhere one call takes 4 ± 1 ms more."""
    one, twenty = group("one", estimate(0.1, 0.001), calls=1), group("twenty", estimate(0.5, 0.005), calls=20)
    variants = {"edge": variant(one, twenty)} | {name: variant(one, twenty) for name in of_twenty}
    told = {
        name: [apart(estimate(0.004, 0.001), "one"), apart(more, "twenty")]
        for name, more in of_twenty.items()
    }
    found = summary(variants, told)
    titles = {"edge": "on the Edge", "home": "at home, by fibre"}
    found["facts"]["variants"] = [
        {"name": name, "title": titles.get(name, f"in {name}")} for name in variants
    ]
    return found


def test_a_clear_difference_is_told_in_per_cent_of_the_baseline() -> None:
    # 14.3 of 61.2 ms is 23.4 %, and its interval of 0.4 ms 0.7 points.
    assert said(edge_and_aws()) == (
        "The whole answer takes 61.2 ms on the Edge (p95); 23 % more in aws:us-east-1."
    )


def test_a_faster_variant_is_told_as_less() -> None:
    assert said(edge_and_aws(estimate(-0.0143, 0.0004))).endswith("; 23 % less in aws:us-east-1.")


def test_an_interval_across_zero_is_no_difference() -> None:
    told = said(edge_and_aws(estimate(0.0004, 0.0016)))
    assert told.endswith("; no difference told from chance in aws:us-east-1.")


def test_a_variant_that_changes_nothing_takes_exactly_as_long() -> None:
    assert said(edge_and_aws(estimate(0.0, 0.0))).endswith("; exactly as long in aws:us-east-1.")


def test_a_difference_without_an_interval_is_none() -> None:
    told = said(edge_and_aws(estimate(0.0143, None, "One replication.")))
    # Without any interval of a difference the levels are told.
    assert told.endswith("; 75.5 ms in aws:us-east-1, with no interval for the difference.")


def test_without_an_interval_for_the_p95_the_median_is_told() -> None:
    one = group(p95=estimate(0.0612, None, "The interval of a p95 needs 3 replications."), app_place=None)
    assert said(summary({"edge": variant(one)})) == "The whole answer takes 36.7 ms (median)."


def test_a_question_about_first_tokens_is_answered_by_them() -> None:
    found = edge_and_aws(question="How long do people wait for a first token?")
    found["differences"]["aws"][0]["metric"]["ttft"]["p95"] = estimate(0.0021, 0.0001)
    # 2.1 of 2.1 ms, and its interval of 0.1 ms 5 points.
    assert said(found) == "The first token takes 2.10 ms on the Edge (p95); 100 % more in aws:us-east-1."
    both = edge_and_aws(question="What does it do to the first token, and to whole answers?")
    assert said(both).startswith("The whole answer takes 61.2 ms")


def test_levels_without_any_interval_say_so() -> None:
    bare = {name: estimate(0.0612, None, "One replication.") for name in ("mean", "p50", "p95", "p99")}
    one = group(app_place=None)
    one["metrics"]["felt"] = bare
    assert said(summary({"edge": variant(one)})) == "The whole answer takes 61.2 ms (p95, without intervals)."


def test_what_cannot_be_given_is_not_made_up() -> None:
    one = group()
    one["metrics"]["felt"] = dict.fromkeys(("mean", "p50", "p95", "p99"), refused("There are 12."))
    assert said(summary({"edge": variant(one)})) == (
        "The whole answer takes a time that cannot be given (p95, without intervals)."
    )


def test_of_many_sources_of_one_variant_the_least_and_the_most_are_told() -> None:
    both = variant(*(group(f"s{i}", estimate(0.01 * (i + 1), 0.0001), app_place=None) for i in range(5)))
    assert said(summary({"edge": both})) == (
        "The whole answer takes from 10.00 ms for s0 to 50.00 ms for s4, of 5 sources (p95)."
    )


def test_the_largest_changes_of_many_variants_are_told() -> None:
    variants = {name: variant(group()) for name in ("edge", "a", "b", "c", "d")}
    sizes = {"a": 0.03, "b": 0.001, "c": -0.02, "d": 0.01}
    told = {name: [apart(estimate(size, 0.0001))] for name, size in sizes.items()}
    assert said(summary(variants, told)) == (
        "The whole answer takes 61.2 ms on the Edge (p95); 49 % more with a; 33 % less with c; 16 % more "
        "with d; 1 other variant changes it less."
    )


def test_sources_that_all_change_alike_are_told_as_a_span() -> None:
    names = ("one", "two", "three")
    both = variant(*(group(name, estimate(0.1, 0.001), app_place=None) for name in names))
    told = [apart(estimate(size, 0.001), name) for size, name in zip((0.01, 0.02, 0.03), names, strict=True)]
    found = said(summary({"edge": both, "aws": both}, {"aws": told}))
    # 10 - 1 to 30 + 1 of 100 ms.
    assert found.endswith("; 9 to 31 % more for every source in aws:us-east-1.")


def test_few_and_many_calls_are_told_and_who_stays_near() -> None:
    told = said(places(**{"aws:x": estimate(0.02, 0.002), "home": estimate(0.3, 0.01)}))
    # One call: 4 + 1 of 100 ms at most. Twenty: 20 + 2 of 500 ms is near, 300 of 500 ms is not.
    assert told == (
        "1 call takes 100.0 ms on the Edge (p95), within 5 % of that everywhere; "
        "20 calls take 60 % more at home."
    )


def test_calls_that_differ_nowhere_are_told_by_their_bound() -> None:
    told = said(places(home=estimate(0.02, 0.002)))
    assert told.endswith("within 5 % of that at home; 20 calls 5 % more or less.")


def test_calls_without_a_second_variant_are_told_as_levels() -> None:
    found = summary({"edge": variant(group("one", estimate(0.1, 0.001), calls=1), group("twenty", calls=20))})
    assert said(found) == "1 call takes 100.0 ms, 20 take 61.2 ms (p95)."


def not_served(**shares: Json) -> list[Json]:
    return [{"source": source, "share": share} for source, share in shares.items()]


def limited(question: str = "How much do the limits refuse?", **shares: Json) -> Json:
    """`chat` is refused by the tokens limit: 20 of 1,000 by `edge`, 200 by `aws`."""
    few, many = counts(rejected_tokens_limit=20), counts(rejected_tokens_limit=200)
    one, other = group("chat", counts=few, app_place=None), group("chat", counts=many, app_place=None)
    found = summary({"edge": variant(one), "aws": variant(other)}, question=question)
    found["not_served"] = {name: not_served(chat=share) for name, share in shares.items()}
    return found


def test_refusals_lead_with_their_cause_and_their_ends() -> None:
    found = limited(edge=estimate(0.02, 0.002), aws=estimate(0.2, 0.04))
    # 0.04 of 0.2 is a fair interval, not a sharp one: about.
    assert said(found) == (
        "The tokens limit refuses 2.0 % of what chat asks on the Edge, about 20 % in aws:us-east-1."
    )
    assert answer(found).kind == "refusals"


def test_refusals_that_overlap_are_not_told_apart() -> None:
    found = limited(edge=estimate(0.18, 0.03), aws=estimate(0.2, 0.04))
    assert said(found) == (
        "The tokens limit refuses at most 24 % of what chat asks, and no variant surely more than another."
    )


def test_few_refusals_do_not_lead_where_the_question_is_another() -> None:
    few = limited("What do users wait?", edge=estimate(0.0, 0.0), aws=estimate(0.03, 0.002))
    assert answer(few).kind == "waits"
    many = limited("What do users wait?", edge=estimate(0.0, 0.0), aws=estimate(0.06, 0.002))
    assert answer(many).kind == "refusals"


def test_whoever_is_refused_gets_no_tick() -> None:
    found = facts(limited(edge=estimate(0.02, 0.002), aws=estimate(0.24, 0.02)))
    assert (found[0].sign, found[0].head) == ("warn", "chat: 2.0 to 24.0 % refused")
    assert "Stable in both variants" not in [fact.head for fact in found]
    assert ("good", "The nodes keep up with what is let in") in [(fact.sign, fact.head) for fact in found]


def test_a_stable_run_that_meets_its_objectives_gets_ticks_and_its_unknown() -> None:
    found = edge_and_aws()
    for one in found["variants"].values():
        one["rates"]["attainment"] = estimate(0.995, 0.002)
    assert [(fact.sign, fact.head) for fact in facts(found)] == [
        ("good", "Stable in both variants"),
        ("good", "Objective met: 99.5 % or more"),
        ("open", "No interval covers the prefill of hc1"),
    ]


def test_a_missed_objective_gets_a_triangle_with_the_worst_first() -> None:
    found = edge_and_aws()
    for one, met in zip(found["variants"].values(), (0.984, 0.64), strict=True):
        one["rates"]["attainment"] = estimate(met, 0.004)
    missed = facts(found)[1]
    assert (missed.sign, missed.head) == (
        "warn",
        "Objective missed: In aws:us-east-1 36.0 % and On the Edge 1.6 %",
    )
    assert missed.detail == "TTFT ≤ 250 ms, user-felt latency ≤ 1 s"


def test_an_overloaded_variant_is_named_and_not_compared() -> None:
    found = edge_and_aws()
    found["variants"]["aws"]["verdict"] = {"state": "overloaded", "why": "It carried 5 of 10 requests/s."}
    assert said(found).endswith("; overloaded in aws:us-east-1.")
    assert "%" not in said(found)
    assert (facts(found)[0].sign, facts(found)[0].head) == ("bad", "Overloaded: In aws:us-east-1")


def test_nothing_is_compared_with_an_overloaded_baseline() -> None:
    found = edge_and_aws()
    found["variants"]["edge"]["verdict"] = {"state": "overloaded", "why": "It carried 5 of 10 requests/s."}
    assert said(found) == (
        "The whole answer takes 61.2 ms on the Edge (p95, overloaded); 75.5 ms in aws:us-east-1."
    )


def test_where_nothing_keeps_up_the_best_is_told() -> None:
    found = edge_and_aws()
    for one, carried in zip(found["variants"].values(), (4.0, 6.0), strict=True):
        one["verdict"] = {"state": "overloaded", "why": "It carried less."}
        one["rates"]["carried_per_s"] = estimate(carried, 0.1)
    assert said(found) == (
        "Every variant is overloaded: the best carries 6.00 of 10.0 requests/s, in aws:us-east-1."
    )


def test_a_run_of_nothing_has_no_answer() -> None:
    empty = edge_and_aws() | {"variants": {}, "differences": {}}
    assert said(empty) == "Nothing ran, so there is no answer."
    assert facts(empty) == []
    idle = summary({"edge": variant(group(counts=counts(0)))})
    assert said(idle) == "Nobody asked for anything in the measured time, so there is no answer."


def test_differences_of_variants_that_served_others_are_of_what_both_served() -> None:
    found = edge_and_aws(estimate(0.0143, 0.0004))
    alike = {"felt": dict.fromkeys(("mean", "p50", "p95", "p99"), estimate(0.0003, 0.001))}
    found["differences"]["aws"][0]["both"] = {
        "completed": 700,
        "only_baseline": 300,
        "only_variant": 20,
        "metric": alike,
    }
    assert said(found).endswith("; no difference told from chance in aws:us-east-1.")


def test_the_reason_names_the_hops_and_both_sides_where_the_sign_turns() -> None:
    """One call: the user's hop is 8 ms shorter, the model's 1 ms longer. Twenty: 20 ms longer."""
    near = [group("one", calls=1), group("twenty", calls=20)]
    far = [
        group("one", calls=1, felt_phases=user_phases(user_return=-0.003 + 0.0, network_out=0.0013)),
        group("twenty", calls=20, felt_phases=user_phases(user_return=0.001, network_out=0.0203)),
    ]
    told = {"aws": [apart(estimate(-0.007, 0.001), "one"), apart(estimate(0.016, 0.001), "twenty")]}
    (reason,) = reasons(summary({"edge": variant(*near), "aws": variant(*far)}, told))
    assert reason.label == "In aws:us-east-1"
    assert reason.text == (
        "7.0 ± 1.0 ms faster on the mean for one (1 call): the hop between user and app saves 8.00 ms; "
        "16.0 ± 1.0 ms slower on the mean for twenty (20 calls): the hop between app and model "
        "(20 calls in a row) adds 20.0 ms and the hop between user and app saves 4.00 ms."
    )


def test_more_nodes_are_told_by_the_queue_they_save() -> None:
    before, after = group(app_place=None), group(app_place=None, phases=phases(queue=0.001))
    told = {"more": [apart(estimate(-0.01, 0.001))]}
    (reason,) = reasons(summary({"edge": variant(before), "more": variant(after)}, told))
    assert reason.text.endswith("faster on the mean: queueing for a node saves 4.00 ms.")


def test_variants_for_the_same_reason_share_it() -> None:
    slow = group(felt_phases=user_phases(queue=0.009))
    told = {name: [apart(estimate(0.004, 0.001))] for name in ("a", "b")}
    (reason,) = reasons(summary({"edge": variant(group()), "a": variant(slow), "b": variant(slow)}, told))
    assert reason.label == "With a and With b"


@pytest.mark.parametrize(
    ("half", "told"),
    [
        (0.02, "61 %"),
        (0.1, "about 61 %"),
        (0.3, "31 to 91 %"),
        (0.7, "0 to 131 %"),
        (None, "61 % (no interval)"),
    ],
)
def test_a_percentage_is_no_sharper_than_its_interval(half: float | None, told: str) -> None:
    low, high = (None, None) if half is None else (0.61 - half, 0.61 + half)
    assert per_cent(ShownEstimate(0.61, low, high)) == told


@pytest.mark.parametrize(
    ("title", "told"),
    [
        ("On the Edge", "on the Edge"),
        ("2 H100", "with 2 H100"),
        ("in aws", "in aws"),
        ("Indigo", "with Indigo"),
    ],
)
def test_a_title_reads_as_a_place_or_as_a_thing(title: str, told: str) -> None:
    assert where(title) == told


def test_titles_are_cut_only_where_that_tells_them_apart() -> None:
    found = summary({"a": variant(), "b": variant()})
    found["facts"]["variants"] = [{"name": "a", "title": "2 HC1, old"}, {"name": "b", "title": "2 HC1, new"}]
    assert short_titles(found) == {"a": "2 HC1, old", "b": "2 HC1, new"}
    found["facts"]["variants"][1]["title"] = "4 HC1, new"
    assert short_titles(found) == {"a": "2 HC1", "b": "4 HC1"}


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.floats(-0.06, 0.2), st.floats(0.0001, 0.1)), min_size=1, max_size=4),
    st.booleans(),
)
def test_a_sentence_never_claims_more_than_its_interval(
    changes: list[tuple[float, float]], with_calls: bool
) -> None:
    """It says more or less only where the interval excludes none, and on its side."""
    if with_calls:
        found = places(**{f"x{i}": estimate(*one) for i, one in enumerate(changes)})
    else:
        names = [f"x{i}" for i in range(len(changes))]
        told = {name: [apart(estimate(*one))] for name, one in zip(names, changes, strict=True)}
        found = summary({"edge": variant(group())} | {name: variant(group()) for name in names}, told)
        found["facts"]["variants"] = [{"name": n, "title": f"in {n}"} for n in ("edge", *names)]
    sentence: str = answer(found).sentence.partition("; ")[2]
    for index, (value, half) in enumerate(changes):
        for word, holds in (("more", value > half), ("less", value < -half)):
            claim: Any = f" {word} in x{index}"
            assert claim not in sentence or holds


def test_callers_who_left_by_themselves_were_not_turned_away() -> None:
    left = variant(group("few", counts=counts(cancelled=300)))
    assert "turned away" not in said(summary({"edge": left}))
    assert "cancel" not in said(summary({"edge": left}))
