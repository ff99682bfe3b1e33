"""Progress on stderr: a line that rewrites itself on a terminal, an occasional line elsewhere."""

import sys
import time  # noqa: TID251 -- the run layer may look at the wall clock
from typing import TextIO

TERMINAL_EVERY_S = 0.1
LOG_EVERY_S = 10.0


class Progress:
    """`shares` of a whole done so far; `quiet` says nothing."""

    def __init__(self, what: str, *, quiet: bool, out: TextIO | None = None) -> None:
        self._what = what
        self._quiet = quiet
        self._out = out or sys.stderr
        self._live = self._out.isatty()
        self._began = self._told = time.monotonic()

    def __call__(self, done: float, note: str) -> None:
        """`done` is between 0 and 1."""
        now = time.monotonic()
        every = TERMINAL_EVERY_S if self._live else LOG_EVERY_S
        if self._quiet or now - self._told < every:
            return
        self._told = now
        left = f", {(now - self._began) * (1 - done) / done:.0f} s left" if done > 0.02 else ""
        self._write(f"{self._what}: {done:4.0%} {note}{left}")

    def finish(self, sentence: str) -> None:
        if not self._quiet:
            self._write(f"{sentence}\n" if self._live else sentence)

    def _write(self, text: str) -> None:
        try:
            self._out.write(f"\r\x1b[K{text}" if self._live else f"{text}\n")
            self._out.flush()
        except OSError:  # nobody listens any more, or the disk behind it is full: no reason to lose a run
            self._quiet = True
