"""What this process prefers in its environment, where its user says nothing, and what the user's own is.

Libraries read such preferences when they load, so they have to be there before. Programs of the user's that
are started from here are not to have them.
"""

import os
from collections.abc import Mapping

_PREFERRED = dict[str, str]()


def prefer(variables: Mapping[str, str]) -> None:
    """Set those that are not there."""
    unstated = {name: value for name, value in variables.items() if name not in os.environ}
    os.environ.update(unstated)
    _PREFERRED.update(unstated)


def users_own() -> dict[str, str]:
    """The environment without what was preferred here."""
    return {name: value for name, value in os.environ.items() if _PREFERRED.get(name) != value}
