"""The matrix of numbers: what is sure, what is not, and what says nothing."""

from reports.html.matrix import matrix
from reports.rows import rows_of
from tests.reports.test_html_page import Element, Tree
from tests.support.summaries import (
    Json,
    counts,
    difference,
    edge_and_aws,
    estimate,
    group,
    statistics,
    summary,
    variant,
)


def drawn(found: Json) -> Element:
    return Tree(matrix(found, rows_of(found), {})).root


def cells(root: Element, caption: str) -> list[str]:
    (table,) = (t for t in root.all("table") if t.all("caption")[0].words().startswith(caption))
    return [cell.words().strip() for cell in table.all("tbody")[0].all("th", "td")]


def tabs(root: Element) -> list[str]:
    return [label.words() for label in root.all("label")]


def test_a_sure_difference_is_bold_and_another_is_not_told_from_chance() -> None:
    found = edge_and_aws(estimate(0.0143, 0.0004))
    found["differences"]["aws"][0]["metric"]["felt"]["p50"] = estimate(0.0004, 0.0016)
    root = drawn(found)
    assert cells(root, "User-felt latency, p95") == [
        *("On the Edge", "61.2 60.8–61.6", ""),  # noqa: RUF001 -- an en dash
        *("In aws:us-east-1", "75.5 74.9–76.1", "+23 %"),  # noqa: RUF001 -- an en dash
    ]
    assert cells(root, "User-felt latency, p50")[-1] == "≈ 0"
    sure = [e.words() for e in root.all("td") if "sure" in str(e.attributes.get("class")).split()]
    assert all(told.startswith("+") for told in sure)


def test_a_difference_without_an_interval_stands_in_brackets() -> None:
    root = drawn(edge_and_aws(estimate(0.0143, None)))
    assert cells(root, "User-felt latency, p95")[-1] == "(+23 %)"


def test_metrics_that_are_alike_everywhere_become_a_line() -> None:
    root = drawn(edge_and_aws())
    assert "TPOT p50" not in tabs(root)
    assert "Felt p95" in tabs(root)
    assert "Alike everywhere:" in root.words()
    assert "TPOT p50, 504 µs" in root.words()


def limited(limits: Json) -> Json:
    few, many = counts(rejected_tokens_limit=20), counts(rejected_tokens_limit=200)
    one = group(counts=few, app_place=None, attainment=estimate(0.98, 0.01))
    other = group(counts=many, app_place=None, attainment=estimate(0.8, 0.02))
    found = summary({"edge": variant(one), "aws": variant(other)})
    shares = {"edge": estimate(0.02, 0.01), "aws": estimate(0.2, 0.03)}
    found["not_served"] = {name: [{"source": "agent", "share": share}] for name, share in shares.items()}
    found["facts"]["slo_by_variant"] = limits
    return found


def test_shares_are_subtracted_in_points_where_they_are_under_one_objective() -> None:
    one = {"edge": {"ttft_s": 0.25}, "aws": {"ttft_s": 0.25}}
    root = drawn(limited(one))
    assert cells(root, "Share of what is asked that was refused")[-1] == "+18.0 pp"
    assert cells(root, "Share of what is asked that met every")[-1] == "−18.0 pp"  # noqa: RUF001 -- a minus sign


def test_shares_under_different_objectives_are_not_subtracted() -> None:
    root = drawn(limited({"edge": {"ttft_s": 0.25}, "aws": {"ttft_s": 0.5}}))
    assert cells(root, "Share of what is asked that met every objective of its variant")[-1].startswith("80")


def test_where_refusals_are_the_answer_their_tab_is_open() -> None:
    (shown,) = (e for e in drawn(limited({})).all("input") if "checked" in e.attributes)
    assert shown.attributes["value"] == "rejected_per_s"


def test_differences_on_what_both_completed_say_so() -> None:
    found = edge_and_aws(estimate(0.0143, 0.0004))
    both = {"completed": 700, "only_baseline": 300, "only_variant": 20}
    both["metric"] = {"felt": {"p95": estimate(0.0001, 0.001)}}  # type: ignore[assignment]
    found["differences"]["aws"][0]["both"] = both
    root = drawn(found)
    assert cells(root, "User-felt latency, p95")[-1].startswith("≈ 0")
    assert "on the 700 requests that both completed" in root.words()


def test_many_sources_stand_below_each_other_and_forty_rows_are_all_there() -> None:
    groups = [
        group(f"s{i}", app_place=None, metrics={"felt": statistics(estimate(0.01 * (i + 1), 0.001))})
        for i in range(10)
    ]
    variants = {f"v{j}": variant(*groups) for j in range(4)}
    told = {
        name: [difference(estimate(0.001, 0.0001), g["source"]) for g in groups]
        for name in list(variants)[1:]
    }
    root = drawn(summary(variants, told))
    table = root.all("table")[0]
    rows = [row for body in table.all("tbody") for row in body.all("tr") if row.all("td")]
    assert len(rows) == 40
    assert [row.words() for row in table.all("th") if row.attributes["scope"] == "rowgroup"] == [
        f"s{i}" for i in range(10)
    ]
