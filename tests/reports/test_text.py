import pytest

from reports.summary import summarise
from reports.terminal import WIDTH
from reports.text import milliseconds, summary_table
from tests.support.records import manifest, request, tables
from tests.support.summaries import edge_and_aws, estimate
from tests.support.synthetic import synthetic_run


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0123456, "12.3"),
        (0.000012345, "0.0123"),
        (1.2345, "1,234"),
        (0.9996, "1,000"),
        (0.1, "100"),
        (0.0, "0"),
    ],
)
def test_milliseconds_have_three_significant_digits_and_a_whole_part(seconds: float, text: str) -> None:
    assert milliseconds(seconds) == text


@pytest.mark.parametrize("with_app", [True, False])
def test_no_line_is_wider_than_a_terminal(with_app: bool) -> None:
    run, about = synthetic_run(9000, variants=3, replications=2, with_app=with_app, overloaded="gcp_us_east")
    for sources in about["facts"]["sources_by_variant"].values():
        for source in sources:
            source["place"] = "a_place_whose_name_nobody_shortened_before_it_came_to_us"
    lines = summary_table(summarise(run, about)).splitlines()
    assert max(len(line) for line in lines) <= WIDTH
    assert any(line.startswith("gcp_us_east: overloaded. ") for line in lines)


def test_the_table_of_a_run_worked_by_hand() -> None:
    rows = {("edge", n): [request(i * 100, ended=115 + n) for i in range(40)] for n in range(2)}
    cloud = {("cloud", n): [request(i * 100, ended=135 + n) for i in range(40)] for n in range(2)}
    text = summary_table(summarise(tables({**rows, **cloud}), manifest(["edge", "cloud"], 2)))
    # Half of 80 took 115 ms and half 116, too few for the interval of a median; the mean differs by 20 +- 0.
    assert "E2E    116    -    -" in text
    assert "  cloud, chat: mean +20.0 ±0.0, p50 (+20.0)\n" in text
    assert "  The whole answer takes 116 ms with edge (mean); 17 % more with cloud.\n" in text
    assert "160 model requests measured, 2 replications of 0 to 10 s; times in ms" in text


def test_what_did_not_change_is_said_in_a_word() -> None:
    rows = {(variant, n): [request()] for variant in ("edge", "cloud") for n in range(2)}
    text = summary_table(summarise(tables(rows), manifest(["edge", "cloud"], 2)))
    assert "  cloud, chat: unchanged" in text


def test_what_is_sure_looks_different_from_what_is_not_and_selection_is_named() -> None:
    found = edge_and_aws(estimate(0.0143, 0.0004))
    felt = found["differences"]["aws"][0]["metric"]["felt"]
    felt |= {"p50": estimate(0.0004, 0.0016), "p99": estimate(0.02)}
    both = dict.fromkeys(("mean", "p50", "p95", "p99"), estimate(0.0003, 0.001))
    found["differences"]["aws"][0]["both"] = {
        "completed": 700,
        "only_baseline": 300,
        "only_variant": 20,
        "metric": {"felt": both},
    }
    text = " ".join(summary_table(found).split())
    assert "aws, agent: mean +14.3 ±0.4, p50 ≈ 0 (+0.4 ±1.6), p95 +14.3 ±0.4, p99 (+20.0)" in text
    assert "on the 700 that both completed (300 and 20 were completed by one alone): mean ≈ 0" in text
