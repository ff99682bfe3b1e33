"""What may not lie readable on the disk: AES-256-GCM under a key that is not in the database."""

import binascii
import os
from base64 import b64decode, b64encode
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from secrets import token_bytes
from tempfile import NamedTemporaryFile

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from e80sim.mistakes import UserError

KEY_FILE = "secrets.key"
KEY_VARIABLE = "E80SIM_SECRETS_KEY"
KEY_BYTES = 32
NONCE_BYTES = 12
"""Drawn at random: some 2^32 values may be sealed before two are likely to share one (NIST SP 800-38D)."""


class WrongSealError(Exception):
    """Sealed with another key, or for something else, or not by us."""


class Seal:
    """Its key: the environment's, else that of a file of the directory, made when it is first needed."""

    def __init__(self, directory: Path | None) -> None:
        """None: a key that goes with the process. Raises UserError for a key that is none."""
        self._file = None if directory is None else directory / KEY_FILE
        given = os.environ.get(KEY_VARIABLE)
        self._given = None if given is None else _key(given, KEY_VARIABLE)

    def seal(self, plain: bytes, purpose: str) -> bytes:
        """Only who names the same purpose can open it. Raises OSError, and UserError, for the key's file."""
        nonce = token_bytes(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, plain, purpose.encode())

    def open(self, sealed: bytes, purpose: str) -> bytes:
        """Raises WrongSealError; and OSError, and UserError, for the key's file."""
        try:
            return self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], purpose.encode())
        except InvalidTag:
            raise WrongSealError from None

    @cached_property
    def _cipher(self) -> AESGCM:
        return AESGCM(self._given or self._kept())

    def _kept(self) -> bytes:
        """Whole from the instant at which it is there, whoever is killed meanwhile, or makes one as well."""
        if self._file is None:
            return token_bytes(KEY_BYTES)
        if not self._file.exists():
            with NamedTemporaryFile(dir=self._file.parent, prefix=KEY_FILE) as file:  # 0600
                file.write(b64encode(token_bytes(KEY_BYTES)) + b"\n")
                file.flush()
                os.fsync(file.fileno())
                with suppress(FileExistsError):
                    self._file.hardlink_to(file.name)
        return _key(self._file.read_text(encoding="ascii", errors="replace"), str(self._file))


def _key(text: str, origin: str) -> bytes:
    try:
        key = b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise UserError(
            f"{origin} has to hold {KEY_BYTES} bytes in base64, as `openssl rand -base64 32` does"
        )
    return key
