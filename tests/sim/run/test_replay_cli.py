"""`e80sim replay`: what it says of a live run that it cannot replay."""

from pathlib import Path

from reports.run_directory import Run, write
from tests.support.cli import e80sim
from tests.support.synthetic import synthetic_run


def test_a_server_that_nobody_asked_proves_nothing(tmp_path: Path) -> None:
    tables, manifest = synthetic_run(100, variants=1, replications=1, with_app=False)
    directory = tmp_path / "run"
    write(directory, Run(tables, manifest, "name: synthetic\n", None))
    (directory / "arrivals.jsonl").write_text("")
    result = e80sim("replay", [str(directory)])
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"e80sim: nothing came in to replay: {directory / 'arrivals.jsonl'} is empty\n"
