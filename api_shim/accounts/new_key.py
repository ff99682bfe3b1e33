"""An API key that somebody asks for, on the command line or in the dashboard."""

import secrets

from pydantic import ValidationError

from api_shim.store.keys import FRESH_BYTES, Keys, StoredKey
from sim.scenario.schema import ApiKey

LONGEST_LABEL = 100


class NotAKeyError(Exception):
    """A sentence that begins with what is wrong, `project` or `label`."""


def check(project: str, label: str) -> None:
    """Raises NotAKeyError."""
    try:
        ApiKey(project=project)
    except ValidationError:
        raise NotAKeyError(
            f"project {project}: a name is small letters, digits, - and _, a letter or digit first"
        ) from None
    if len(label) > LONGEST_LABEL:
        raise NotAKeyError(f"label has {len(label)} characters: at most {LONGEST_LABEL} are taken")


def make_key(keys: Keys, project: str, label: str, now_s: float) -> tuple[str, StoredKey]:
    """The secret, which is kept nowhere, and what is. Raises NotAKeyError and TooManyKeysError."""
    check(project, label)
    secret = f"sk-{secrets.token_urlsafe(FRESH_BYTES)}"
    return secret, keys.add(secret, label, project, now_s)
