import base64
import hashlib
import json
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from reports.html import render
from reports.html.document import Section, sections_page
from reports.html.markup import Html, script_hash
from tests.support.summaries import (
    Json,
    band,
    counts,
    difference,
    edge_and_aws,
    estimate,
    group,
    refused,
    summary,
    variant,
)

VOID = {"br", "input", "link", "meta"}


@dataclass
class Element:
    tag: str
    attributes: dict[str, str | None]
    parent: "Element | None"
    content: list["Element | str"] = field(default_factory=list)

    def everything(self) -> list["Element"]:
        return [self, *(e for c in self.content if isinstance(c, Element) for e in c.everything())]

    def all(self, *tags: str) -> list["Element"]:
        return [element for element in self.everything() if element.tag in tags]

    def words(self) -> str:
        """With plain spaces, as a reader would type them."""
        text = "".join(c if isinstance(c, str) else c.words() for c in self.content)
        return text.replace("\u00a0", " ").replace("\u2060", "")


class Tree(HTMLParser):
    """Fails on elements that are closed out of order."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.root = self.here = Element("", {}, None)
        self.feed(source)
        self.close()
        assert self.here is self.root

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, dict(attrs), self.here)
        self.here.content.append(element)
        if tag not in VOID:
            self.here = element

    def handle_endtag(self, tag: str) -> None:
        assert self.here.tag == tag, (self.here.tag, tag)
        assert self.here.parent is not None
        self.here = self.here.parent

    def handle_data(self, data: str) -> None:
        self.here.content.append(data)


def tree(found: Json, manifest: Json | None = None) -> Element:
    return Tree(render(found, manifest=manifest)).root


def prose(root: Element) -> str:
    """What a reader sees."""
    return " ".join(e.words() for e in root.all("header", "main"))


def hostile(text: str) -> Json:
    """The text wherever a scenario can put one."""
    one = group(source=text, tenant=text, place=text, model=text, app=text, app_place=text)
    made = variant(one, why=text)
    made["nodes"][0]["model"] = made["itl"][0]["model"] = made["costs"][0]["model"] = text
    made["costs"][0]["facts"]["busy_w"] = {"value": 1, "confidence": text, "source": text}
    made["series"]["models"] = {text: made["series"]["models"]["llama"]}
    found = summary({"edge": made, text: made}, {text: [difference(estimate(0.01, 0.001), text)]})
    found |= {"title": text, "question": text, "scenario": text, "notes": [text]}
    found["facts"]["variants"] = [{"name": name, "title": text} for name in ("edge", text)]
    found["facts"]["places"] = {text: {"label": text, "kind": text, "rtt_ms": 1.0}}
    found["facts"]["models"] = {text: {"hardware": text}}
    found["facts"]["readings"][0] |= {"model": text, "used": text, "other": text}
    found["facts"]["assumed"] = [dict.fromkeys(("what", "value", "unit", "source", "model"), text)]
    one["metrics"]["felt"]["p99"] = refused(text)
    return found


def test_headings_step_down_one_level_at_a_time_from_a_single_h1() -> None:
    levels = [int(e.tag[1]) for e in tree(edge_and_aws()).all("h1", "h2", "h3", "h4")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_sections_stand_in_the_order_in_which_a_reader_asks() -> None:
    headings = [e.words() for e in tree(edge_and_aws()).all("h2")]
    assert headings == [
        "What users wait",
        "Against “On the Edge”",
        "Where the time goes, and what changes it",
        "The numbers",
        "Whether it kept up",
        "How latencies spread",
        "Who was served, and in time",
        "What the variants change",
        "How it went over time",
        "The nodes",
        "What it costs",
        "This answer rests on 1 assumed value",
        "What every number means",
        "Notes",
        "Take the data along",
        "How to reproduce it",
    ]


def test_every_figure_has_a_name_a_caption_and_its_data_as_a_table() -> None:
    figures = tree(edge_and_aws()).all("figure")
    assert len(figures) >= 4
    for figure in figures:
        assert figure.all("figcaption")[0].words().strip()
        assert figure.all("details")[0].all("table")
        plots = [e for e in figure.all("div") if e.attributes.get("class") in {"plot", "drawing"}]
        assert [bool(plot.attributes["aria-label"]) for plot in plots] == [True]


def test_every_table_has_a_caption_and_headers_with_a_scope() -> None:
    tables = tree(edge_and_aws()).all("table")
    assert tables
    for table in tables:
        assert table.all("caption")[0].words()
        assert all(e.attributes.get("scope") for e in table.all("th"))


def test_identities_are_unique_and_links_within_the_page_arrive() -> None:
    everything = tree(edge_and_aws()).everything()
    identities = [e.attributes["id"] for e in everything if "id" in e.attributes]
    assert len(set(identities)) == len(identities)
    links = [e.attributes for e in everything if e.tag == "a"]
    targets = {str(link["href"]) for link in links if "download" not in link}
    assert {target.removeprefix("#") for target in targets} <= set(identities)


def test_inputs_have_labels_and_icons_are_hidden_from_screen_readers() -> None:
    everything = tree(edge_and_aws()).everything()
    inputs = [e for e in everything if e.tag == "input"]
    assert inputs
    assert all(e.parent and e.parent.tag == "label" and e.parent.words().strip() for e in inputs)
    assert all(e.attributes.get("aria-hidden") == "true" for e in everything if e.tag == "svg")


def test_metrics_in_tables_link_to_their_definition() -> None:
    links = {e.attributes.get("href") for table in tree(edge_and_aws()).all("table") for e in table.all("a")}
    assert {"#def-felt", "#def-ttft", "#def-tpot", "#def-e2e", "#def-queue", "#def-goodput_per_s"} <= links


def test_nothing_is_fetched() -> None:
    everything = tree(edge_and_aws()).everything()
    assert not [
        e.tag for e in everything if e.attributes.keys() & {"src", "srcset", "data", "action", "ping"}
    ]
    assert not [e.tag for e in everything if e.tag in {"link", "iframe", "object", "embed", "base", "img"}]
    links = [str(e.attributes["href"]) for e in everything if "href" in e.attributes]
    assert all(link.startswith(("#", "data:text/csv;base64,")) for link in links)
    (style,) = (e for e in everything if e.tag == "style")
    assert "url(" not in style.words()
    assert "@import" not in style.words()


def test_the_policy_allows_exactly_the_three_scripts_of_the_page() -> None:
    root = tree(edge_and_aws())
    (policy,) = (
        str(e.attributes["content"])
        for e in root.all("meta")
        if e.attributes.get("http-equiv") == "Content-Security-Policy"
    )
    scripts = [e.words() for e in root.all("script") if "type" not in e.attributes]
    hashes = [base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in scripts]
    assert policy.startswith("default-src 'none'; ")
    assert re.findall(r"'sha256-([^']+)'", policy) == hashes
    assert len(hashes) == 3
    assert "script-src 'unsafe-inline'" not in policy


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "</script><script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "<!--<script>",
        "a & b 'c' \"d\" \u2028 \u00e9",
    ],
)
def test_text_from_a_scenario_stays_text(text: str) -> None:
    root = tree(hostile(text))
    everything = root.everything()
    title, sentence = root.all("title", "h1")
    assert title.words() == text
    assert text in sentence.words()
    assert sum(e.tag == "script" and "type" not in e.attributes for e in everything) == 3
    assert not [e for e in everything if e.tag == "img" or any(a.startswith("on") for a in e.attributes)]
    for script in root.all("script"):
        if "type" in script.attributes:
            json.loads(script.words())


def test_labels_in_charts_are_escaped_for_a_chart_that_reads_markup() -> None:
    root = tree(hostile("<b>x</b>"))
    scripts = [e for e in root.all("script") if str(e.attributes.get("id")).startswith("data-")]
    charts = [json.loads(script.words()) for script in scripts]
    for trace in (trace for chart in charts for trace in chart["data"]):
        trace["meta"].pop("series", None)  # an identity for the page's own script, never drawn
    assert "<b>" not in json.dumps(charts)
    assert "&lt;b&gt;x" in json.dumps(charts)


def test_sixty_groups_stay_below_3_mb() -> None:
    """What a summary holds does not depend on the number of requests: only groups make a report grow."""
    points = {"x_s": [0.0123456789 * 1.1**i for i in range(61)], "p": [i / 61 for i in range(61)]}
    groups = [group(f"source_{i:02}") for i in range(10)]
    for one in groups:
        one["cdf"] = dict.fromkeys(("ttft", "e2e", "felt"), points)
    variants = {f"variant_{i}": variant(*groups) for i in range(6)}
    values = band(*(1234.567 * 1.01**i for i in range(120)))
    for one in variants.values():
        every, model = one["series"]["all"], one["series"]["models"]["llama"]
        one["series"]["all"] = dict.fromkeys(every, values)
        one["series"]["models"] = {f"model_{i}": dict.fromkeys(model, values) for i in range(3)}
    told = {
        name: [difference(estimate(0.01, 0.001), g["source"]) for g in groups] for name in list(variants)[1:]
    }
    edges = [2.5 * i for i in range(121)]
    assert len(render(summary(variants, told, series_edges_s=edges)).encode()) < 3_000_000


def test_verdicts_have_a_shape_and_a_word_besides_their_colour() -> None:
    found = edge_and_aws()
    found["variants"]["aws"]["verdict"] = {"state": "overloaded", "why": "It carried 5 of 10 requests/s."}
    verdicts = [e for e in tree(found).all("li") if "verdict" in str(e.attributes.get("class"))]
    assert [e.words() for e in verdicts] == [
        "stableOn the Edge It carried 9.9 of 9.9 requests/s.in the system, up to 3.00",
        "overloadedIn aws:us-east-1 It carried 5 of 10 requests/s.in the system, up to 3.00",
    ]
    shapes = [str(e.all("path")[0].attributes["d"]) for e in verdicts]
    assert shapes[0] != shapes[1]


def test_an_interrupted_run_says_so_before_anything_else() -> None:
    root = tree(edge_and_aws(interrupted=True), {"replications_done": 3})
    said = prose(root)
    assert (
        "The run was interrupted after 3 of 10 replications. Read every number below as preliminary." in said
    )
    assert said.index("interrupted") < said.index("waits")
    assert "interrupted" not in prose(tree(edge_and_aws()))


def test_a_variant_that_never_ran_is_named() -> None:
    found = edge_and_aws(interrupted=True)
    del found["variants"]["aws"]
    found["differences"] = {}
    assert "In aws:us-east-1 did not run." in prose(tree(found))


def test_a_refused_value_is_a_dash_with_its_reason_read_out_and_printed_once() -> None:
    found = edge_and_aws()
    why = "A p99 needs at least 1,000 requests; there are 640."
    for one in found["variants"].values():
        one["groups"][0]["metrics"]["felt"]["p99"] = refused(why)
    (table,) = (
        t
        for t in tree(found).all("div")
        if t.attributes.get("aria-label") == "User-felt latency, p99, by variant and source"
    )
    cells = [e.words() for e in table.all("td") if "refused" in str(e.attributes.get("class"))]
    assert cells == [f"—1 no value: {why}"] * 2
    assert f" {why}" in prose(tree(found))


def test_reasons_that_differ_in_a_figure_share_a_footnote_with_its_range() -> None:
    found = edge_and_aws()
    for one, there in zip(found["variants"].values(), ("640", "1,829"), strict=True):
        why = f"A p99.9 needs at least 10,000 requests; there are {there}."
        one["groups"][0]["metrics"] = {
            metric: statistics | {"p99_9": refused(why)}
            for metric, statistics in one["groups"][0]["metrics"].items()
        }
    notes = [e.words() for e in tree(found).all("li") if str(e.attributes.get("id")).startswith("why-all")]
    assert notes == ["A p99.9 needs at least 10,000 requests; there are 640 to 1,829."]


def test_a_value_without_an_interval_says_why() -> None:
    found = edge_and_aws()
    why = "The interval of a p99 needs 3 replications."
    found["variants"]["edge"]["groups"][0]["metrics"]["felt"]["p99"] = estimate(0.0918, None, why)
    assert f"no interval: {why}" in prose(tree(found))


def test_replications_that_agree_to_the_last_bit_show_no_spread() -> None:
    found = edge_and_aws()
    found["variants"]["edge"]["groups"][0]["metrics"]["tpot"]["p50"] = estimate(0.0007, 1e-19)
    assert "700 µs no spread" in prose(tree(found))


def test_without_an_app_felt_and_end_to_end_are_one_row() -> None:
    said = prose(tree(summary({"edge": variant(group(app_place=None))})))
    assert ", equal to the end-to-end time: no app" in said
    assert "End-to-end time of a model call" not in said


def test_a_single_variant_has_no_section_on_differences() -> None:
    headings = [e.words() for e in tree(summary({"edge": variant(group())})).all("h2")]
    assert "What the variants change" not in headings


def test_assumed_values_are_shown_as_they_were_given() -> None:
    root = tree(edge_and_aws())
    (section,) = (e for e in root.all("section") if e.attributes.get("id") == "assumed")
    cells = [e.words() for e in section.all("tbody")[0].all("th", "td")]
    assert cells == ["gateway overhead", "llama", "1.0", "ms", "no measurement is public"]


def test_a_small_assumed_value_is_written_out() -> None:
    found = edge_and_aws()
    found["facts"]["assumed"] = [found["facts"]["assumed"][0] | {"value": 1e-05}]
    assert "0.00001" in prose(tree(found))


def test_an_answer_without_assumed_values_says_so() -> None:
    found = edge_and_aws()
    found["facts"]["assumed"] = []
    assert "This answer rests on no assumed value" in prose(tree(found))


def test_without_objectives_goodput_counts_every_completed_request() -> None:
    found = edge_and_aws()
    found["facts"]["slo"] = dict.fromkeys(("ttft_s", "tpot_s", "e2e_s", "felt_s"))
    assert "The scenario sets no objective, so every completed request counts as good." in prose(tree(found))


def test_objectives_that_differ_are_told_variant_by_variant() -> None:
    found = edge_and_aws()
    found["facts"]["slo_by_variant"] = {"edge": {"ttft_s": 0.25}, "aws": {}}
    said = prose(tree(found))
    assert "Objectives, which differ between the variants:" in said
    assert "TTFT ≤ 250 ms" in said
    assert ": none" in said


def test_objectives_and_rejections_are_told() -> None:
    found = edge_and_aws()
    found["variants"]["edge"]["groups"][0]["counts"] = counts(rejected_tokens_limit=24)
    said = prose(tree(found))
    assert "Objectives: TTFT ≤ 250 ms, user-felt latency ≤ 1 s." in said
    assert "Rejected: tokens per minute" in said
    assert "Every model request that was offered completed." in prose(tree(edge_and_aws()))


def test_hardware_is_named_only_for_the_variant_it_is_known_of() -> None:
    def hardware(found: Json) -> list[str]:
        (section,) = (e for e in tree(found).all("section") if e.attributes.get("id") == "nodes")
        return [row.all("td")[0].words() for row in section.all("tbody")[0].all("tr")]

    found = edge_and_aws()
    assert hardware(found) == ["hc1", ""]
    found["facts"]["models_by_variant"] = {
        "edge": {"llama": {"hardware": "hc1"}},
        "aws": {"llama": {"hardware": "h100"}},
    }
    assert hardware(found) == ["hc1", "h100"]


def test_littles_law_is_checked_in_a_sentence() -> None:
    said = prose(tree(summary({"edge": variant(group())})))
    assert "2.38 in the system on average, 2.37 by arrival rate times mean time, 0.4 % apart." in said


def test_the_page_tells_how_to_reproduce_it() -> None:
    manifest = {
        "commit": "abc1234",
        "versions": {"e80sim": "0.1.0"},
        "created": "2026-01-01T00:00:00Z",
        "wall_s": 4.2,
    }
    said = prose(tree(edge_and_aws(), manifest))
    assert "e80sim run scenario.yaml --seed 7 --replications 10 --horizon 300" in said
    assert "abc1234" in said
    assert "e80sim 0.1.0" in said


def test_a_run_that_was_stopped_before_its_first_replication_still_has_a_page() -> None:
    said = prose(tree(edge_and_aws(interrupted=True) | {"variants": {}, "differences": {}}))
    assert "Nothing ran, so there is no answer." in said


def test_a_page_is_the_same_every_time() -> None:
    assert render(edge_and_aws()) == render(edge_and_aws())


def test_a_page_is_hashed_once_and_its_scripts_once_in_all_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    hashed = list[int]()
    sha256 = hashlib.sha256

    class Counted:
        def __init__(self, content: bytes = b"") -> None:
            self._made = sha256()
            self.update(content)

        def update(self, content: bytes) -> None:
            hashed.append(len(content))
            self._made.update(content)

        def __getattr__(self, name: str) -> object:
            return getattr(self._made, name)

    monkeypatch.setattr(hashlib, "sha256", Counted)
    script_hash.cache_clear()
    page, sealed = render(edge_and_aws()).encode(), "<!-- sha256"
    scripts = sum(len(one) for one in re.findall(b"<script>(.*?)</script>", page, re.DOTALL))
    assert scripts > 1_000_000
    assert sum(hashed) == page.index(sealed.encode()) + scripts
    hashed.clear()
    assert render(edge_and_aws()).encode() == page
    assert sum(hashed) == page.index(sealed.encode())


OF_NO_METRIC = ("Sources and their routes", "What it rests on", "Assumed values", "Values and their ranges")
"""How the captions of tables begin that state what was given, not what came out."""


def test_every_figure_and_every_table_leads_to_the_definitions_of_what_it_shows() -> None:
    served = counts(rejected_tokens_limit=30, unfinished=5)
    few, many = group("few", calls=1, counts=served), group("many", calls=20)
    told = [difference(estimate(0.0143, 0.0004), name) for name in ("few", "many")]
    root = tree(summary({"edge": variant(few, many), "aws": variant(few, many)}, {"aws": told}))
    defined = {str(e.attributes["id"]) for e in root.all("dt") if "id" in e.attributes}
    assert defined
    figures = root.all("figure")
    inside = {id(table) for figure in figures for table in figure.all("table")}
    tables = [table for table in root.all("table") if id(table) not in inside]
    results = [t for t in tables if not t.all("caption")[0].words().startswith(OF_NO_METRIC)]
    assert (len(figures), len(results)) == (6, 6)
    captions = [figure.all("figcaption")[0] for figure in figures]
    for element in (*captions, *results):
        targets = {str(a.attributes["href"])[1:] for a in element.all("a")}
        assert targets & defined, element.words()
        assert targets <= defined


def test_power_and_price_stand_with_their_confidence_and_what_lacks_is_said() -> None:
    said = prose(tree(edge_and_aws()))
    assert "200 W published" in said
    assert "not stated" in said
    assert "The idle power is not stated." in said
    assert "The price is not stated." in said


def test_the_other_reading_of_a_chip_is_a_sentence() -> None:
    assert (
        "llama ran as hc1. As hc1_pipelined, the catalogue's other reading of the same chip, the first "
        "token of a lone request would come after 4.33 ms instead of 8.65 ms for 100, 26.1 ms instead of "
        "568 ms for 10,000 prompt tokens."
    ) in prose(tree(edge_and_aws()))


def test_a_summary_from_before_there_were_series_costs_and_gaps_still_makes_a_report() -> None:
    found = edge_and_aws()
    del found["series_edges_s"], found["facts"]["readings"]
    for one in found["variants"].values():
        del one["series"], one["costs"], one["itl"]
    headings = [e.words() for e in tree(found).all("h2")]
    assert not {"How it went over time", "What it costs"} & set(headings)


def test_limits_stand_once_for_the_variants_that_share_them() -> None:
    rung = {"title": "slots", "at_per_s": 30.0, "times": 3.0, "detail": "8 sequences for 200 ms each"}
    one = {"model": "llama", "nodes": 2, "offered_per_s": 10.0, "rungs": [rung]}
    other = {**one, "nodes": 4}
    found = summary({name: variant(group()) for name in ("edge", "aws", "gcp")})
    found["facts"]["ladders_by_variant"] = {"edge": [one], "aws": [other], "gcp": [one]}
    page = render(found).replace("\N{NO-BREAK SPACE}", " ")
    limits = page[page.index('id="limits"') : page.index('id="spread"')]
    assert limits.count("8 sequences for 200 ms each") == 2
    assert re.findall(r'name="view-limits" value="(\w+)"', limits) == ["edge", "aws"]
    assert "On the Edge and" in limits
    found["facts"]["ladders_by_variant"]["aws"] = [one]
    page = render(found).replace("\N{NO-BREAK SPACE}", " ")
    assert page.count("8 sequences for 200 ms each") == 1
    assert "All 3 variants have these limits." in page


def test_a_section_with_nothing_in_it_has_no_heading_and_no_link() -> None:
    empty, full = (
        Section("none", "None", "Nothing", Html("")),
        Section("some", "Some", "Things", Html("<p>x")),
    )
    page = sections_page("title", Html(""), Html(""), [empty, full]).decode()
    assert ('id="some"' in page, 'href="#some"' in page) == (True, True)
    assert "none" not in re.findall(r'(?:id="|href="#)(\w+)"', page)
