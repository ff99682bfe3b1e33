"""`e80sim probe` on the command line: nothing is sent before a yes, and what was seen is shown."""

import json
from pathlib import Path

import pytest

from api_shim.probe.directory import write
from api_shim.probe.engine import Stopped
from api_shim.probe.fitted import page
from api_shim.probe.ledger import Ledger, Prices
from api_shim.probe.plan import Plan
from api_shim.probe.sitting import about
from api_shim.testing import VirtualPlatform
from sim.__main__ import main
from tests.support.live import LLAMA, scenario
from tests.support.probing import SMALL, probe_of

NOWHERE = ["probe", "--base-url", "http://127.0.0.1:9/v1", "--model", "m", "--out"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ([], "nobody is there to confirm this plan: give --yes, or run it in a terminal"),
        (["--spend", "0.1"], "--spend 0.1 cannot be kept without --price IN,OUT"),
        (["--price", "cheap"], "--price cheap: two prices in USD for a million tokens, such as 0.1,0.4"),
        (["--prompts", "10,x"], "--prompts 10,x: whole numbers from 1 to 2,000,000 with commas between"),
        (["--requests", "9"], "--requests 9 is too few: 2 rounds of this design take"),
        (["--variant", "a"], "--variant a is of a run: give --against, too"),
        (["--yes"], "--base-url http://127.0.0.1:9/v1: 127.0.0.1 does not answer on port 9"),
    ],
)
def test_a_slip_is_told_in_a_sentence_and_leaves_nothing(
    options: list[str],
    sentence: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    assert main([*NOWHERE, str(tmp_path / "p"), *options]) == 2
    assert sentence in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_plan_says_what_it_takes_at_most_before_anything_is_sent() -> None:
    ledger = Ledger(Prices(1.0, 2.0), None, 0.05)
    plan = Plan("http://x/v1", "m", 29, "", 2.0, 1, SMALL.expects, SMALL.at_most, "")
    told = "\n".join(plan.lines(ledger))
    assert "never more than 2 a second; 14 s at the least" in told
    prompt, output = SMALL.expects
    usd = (prompt + 2 * output) / 1e6
    assert f"about {usd:.3g} USD at 1 and 2 USD a million tokens; never more than 0.05 USD" in told


@pytest.mark.parametrize("answers", [0, 1])
def test_the_report_shows_what_was_found_or_why_there_is_nothing(answers: int, tmp_path: Path) -> None:
    plan = Plan("http://x/v1", LLAMA, 1, "", 1000, 1, SMALL.expects, SMALL.at_most, "")
    with VirtualPlatform(scenario()) as platform:
        probe = probe_of(platform)
        platform.run(probe.run(SMALL, 1) if answers else probe.one(SMALL.kinds[0]))
    probe.stopped = None if answers else Stopped("rate_limited", "the server answered 429: <b>wait</b>")
    found = about(probe, plan, Ledger(), {}, {"seed": 1})
    write(tmp_path / "p", found, probe.chats, probe.trips, page)
    text = (tmp_path / "p" / "report.html").read_text()
    assert json.loads((tmp_path / "p" / "probe.json").read_text())["sent"] == len(probe.chats) + len(
        probe.trips
    )
    if answers:
        assert "A lone request of 256 prompt tokens has its first token after 276" in text
        assert "nodes and places of a node cannot be told apart" in text
    else:
        assert "It stopped early: the server answered 429: &lt;b&gt;wait&lt;/b&gt;." in text
        assert "Nothing could be fitted" not in text.split("</h1>")[0]
