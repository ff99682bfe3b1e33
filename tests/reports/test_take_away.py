import csv
import re
import shlex
from base64 import b64decode
from html import unescape
from pathlib import Path

import pytest

from reports.html import report_of
from reports.html.take_away import COLUMNS, EXPORTS, latencies_csv, take_away
from reports.run_directory import Run, write
from reports.summary import summarise
from tests.support.cli import e80sim
from tests.support.summaries import estimate, group, statistics, summary, variant
from tests.support.synthetic import synthetic_run


@pytest.mark.parametrize("variants", [1, 2])
def test_every_command_that_the_page_gives_writes_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variants: int
) -> None:
    tables, manifest = synthetic_run(200, variants=variants, replications=1)
    run = Run(tables, manifest, "name: synthetic\n", summarise(tables, manifest))
    write(tmp_path / "run", run, report_of)
    monkeypatch.chdir(tmp_path / "run")
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    commands = [unescape(one) for one in re.findall(r'<code id="copy-[^"]+">([^<]+)</code>', page)]
    assert len(commands) == len(EXPORTS)
    for command in commands:
        program, verb, *arguments = shlex.split(command)
        assert (program, verb) == ("e80sim", "export")
        done = e80sim(verb, arguments)
        assert done.exit_code == 0, done.output
        assert Path(arguments[1]).stat().st_size > 100
    assert all(Path(name).exists() for name in ("requests.csv", "llm-d-report.yaml", "requests.parquet"))


def test_the_table_in_the_page_has_every_latency_with_its_interval_or_why_there_is_none() -> None:
    one = group("chat, and more")
    one["metrics"]["ttft"] = statistics(estimate(0.25, 0.01))
    rows = list(csv.reader(latencies_csv(summary({"edge": variant(one)}))))
    assert tuple(rows[0]) == COLUMNS
    (p95,) = (row for row in rows if row[1:2] == ["chat, and more"] and row[3:5] == ["ttft", "p95"])
    assert p95[5:] == ["0.25", "0.24", "0.26", "1000", ""]
    (p99_9,) = (row for row in rows if row[3:5] == ["ttft", "p99_9"])
    assert p99_9[5:] == ["", "", "", "", "A p99.9 needs at least 10,000 requests; there are 1,000."]


def test_the_page_holds_the_table_as_a_file_of_its_own() -> None:
    told = summary({"edge": variant(group("chat"))})
    (held,) = re.findall(
        r'<a href="data:text/csv;base64,([^"]+)" download="edge-vs-cloud.csv">', str(take_away(told))
    )
    assert b64decode(held).decode() == "".join(latencies_csv(told))
