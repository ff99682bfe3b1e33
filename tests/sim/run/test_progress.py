"""What stands on stderr while a run goes on."""

import io

import pytest

from sim.run import progress as module
from sim.run.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Broken(Terminal):
    def write(self, text: str, /) -> int:
        del text
        raise OSError


@pytest.fixture(autouse=True)
def _always_due(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    for name in ("TERMINAL_EVERY_S", "LOG_EVERY_S"):
        monkeypatch.setattr(module, name, 0.0)


def test_a_log_has_a_line_now_and_then() -> None:
    out = io.StringIO()
    with Progress("queue", quiet=False, out=out) as progress:
        progress(0.01, "base")
        progress(0.5, "base")
    progress.finish("queue: done")
    first, second, last = out.getvalue().splitlines()
    assert first == "queue:   1% base"
    assert second.startswith("queue:  50% base, ")
    assert last == "queue: done"


def test_a_terminal_has_a_bar_that_is_gone_in_the_end_and_the_cursor_is_back() -> None:
    out = Terminal()
    with Progress("queue", quiet=False, out=out) as progress:
        progress(0.25, "base")
        progress(0.5, "other")
    drawn = out.getvalue()
    assert "25%" in drawn
    assert "other" in drawn
    assert drawn.rindex("\x1b[?25h") > drawn.rindex("\x1b[?25l")
    assert drawn.endswith("\x1b[2K")  # the line is cleared
    progress.finish("queue: done")
    assert out.getvalue() == f"{drawn}queue: done\n"


def test_a_bar_tells_at_once_what_comes_after_the_simulation_and_a_log_only_when_it_is_due(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("TERMINAL_EVERY_S", "LOG_EVERY_S"):
        monkeypatch.setattr(module, name, 1000.0)
    terminal, log = Terminal(), io.StringIO()
    for out in (terminal, log):
        with Progress("queue", quiet=False, out=out) as progress:
            progress(0.5, "base")
            progress.stage("summing up")
    assert "summing up" in terminal.getvalue()
    assert "base" not in terminal.getvalue()
    assert log.getvalue() == ""


def test_the_bar_goes_when_the_run_does() -> None:
    out = Terminal()

    def interrupted() -> None:
        with Progress("queue", quiet=False, out=out) as progress:
            progress(0.25, "base")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert out.getvalue().endswith("\x1b[2K")


def test_quiet_is_quiet_and_a_broken_terminal_no_reason_to_end() -> None:
    out = Terminal()
    with Progress("queue", quiet=True, out=out) as progress:
        progress(0.5, "base")
    progress.finish("done")
    assert out.getvalue() == ""
    with Progress("queue", quiet=False, out=Broken()) as progress:
        progress(0.5, "base")
        progress(0.6, "base")
    progress.finish("done")
