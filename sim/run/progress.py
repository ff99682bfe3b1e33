"""Progress on stderr: rich's bar on a terminal, an occasional line elsewhere."""

import math
import sys
import time  # noqa: TID251 -- the run layer may look at the wall clock
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

TERMINAL_EVERY_S = 0.1
LOG_EVERY_S = 10.0


class Progress:
    """A context manager, which leaves no bar behind. `quiet` says nothing."""

    def __init__(self, what: str, *, quiet: bool, out: TextIO | None = None) -> None:
        self._what = what
        self.quiet = quiet
        self._out = out or sys.stderr
        self._live = self._out.isatty()
        self._bar: Bar | None = None
        self._began = self._told = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            with suppress(OSError):  # as below
                self._bar.stop()

    def __call__(self, done: float, note: str) -> None:
        """`done` is between 0 and 1."""
        now = time.monotonic()
        every = TERMINAL_EVERY_S if self._live else LOG_EVERY_S
        if self.quiet or now - self._told < every:
            return
        self._told = now
        try:
            if self._live:
                self._draw(done, note)
            else:
                left = f", {(now - self._began) * (1 - done) / done:.0f} s left" if done > 0.02 else ""
                self._write(f"{self._what}: {done:4.0%} {note}{left}")
        except OSError:  # nobody listens any more, or the disk behind it is full: no reason to lose a run
            self.quiet = True

    def stage(self, note: str) -> None:
        """Nothing more is simulated: a bar tells at once what is done now."""
        if self._live:
            self._told = -math.inf
        self(1.0, note)

    def finish(self, sentence: str) -> None:
        if not self.quiet:
            with suppress(OSError):  # as above
                self._write(sentence)

    def _write(self, line: str) -> None:
        self._out.write(f"{line}\n")
        self._out.flush()

    def _draw(self, done: float, note: str) -> None:
        if self._bar is None:
            self._bar = _bar(self._out)
            self._bar.add_task(self._what, total=1.0, note=note)
            self._bar.start()
        self._bar.update(self._bar.task_ids[0], completed=done, note=note, refresh=True)


def _bar(out: TextIO) -> "Bar":
    """Drawn when it is told to and by nobody else: a thread of its own would be forked into the workers."""
    from rich import progress  # noqa: PLC0415 -- 40 ms, for who looks at a terminal
    from rich.console import Console  # noqa: PLC0415 -- as above

    return progress.Progress(
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.TaskProgressColumn(),
        progress.TextColumn("{task.fields[note]}"),
        progress.TimeRemainingColumn(),
        console=Console(file=out),
        auto_refresh=False,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
