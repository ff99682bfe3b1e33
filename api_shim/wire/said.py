"""What a request says in its headers, to be looked up without a search: ASGI has them as a list of bytes."""

from collections.abc import Mapping

from starlette.types import Scope

Said = Mapping[str, str]
"""By name, in small letters."""


def said_in(scope: Scope) -> Said:
    """Where a name comes more than once, the first counts."""
    headers = list(scope["headers"])
    headers.reverse()
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}
