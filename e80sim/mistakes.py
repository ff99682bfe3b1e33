"""What went wrong outside of this program, in one sentence: any layer raises it, the command line prints it.

Rests on nothing, so that the leaves can use it too.
"""

import sys
from contextlib import suppress
from typing import NoReturn

FAILED = 1
USERS_MISTAKE = 2
INTERRUPTED = 130
"""Exit statuses, beside 0."""


class UserError(ValueError):
    """The user's mistake: one sentence with the value, where it stands, and what would be right.

    `e80sim` prints it and ends with USERS_MISTAKE; nobody need catch it for that.
    """


def say(line: str) -> None:
    """Diagnostics: to stderr, at once, and under the program's name."""
    with suppress(OSError):  # whoever listened is gone; that is no reason to lose what is under way
        sys.stderr.write(f"e80sim: {line}\n")
        sys.stderr.flush()


def stop(sentence: str, status: int) -> NoReturn:
    """End the command for a reason that is nobody's mistake."""
    say(sentence)
    raise SystemExit(status)
