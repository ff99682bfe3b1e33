"""`e80sim` in this process: what it answers, and where."""

from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from typing import NamedTuple

from sim.__main__ import main


class Done(NamedTuple):
    exit_code: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        return self.stdout + self.stderr


def e80sim(command: str, arguments: Sequence[str] = ()) -> Done:
    with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as err:
        status = main([command, *arguments])
    return Done(status, out.getvalue(), err.getvalue())
