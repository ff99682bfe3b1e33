"""What a run is recognised by: the sha256 of each of its files, and one digest over all of them.

The digest holds against damage and mix-ups, not against somebody who wants to deceive: there is no key.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FILES = "files"
"""In the manifest: the sha256 of each file that the run rests on, by name."""
DIGEST = "digest"
NOT_COVERED = ("build", "created", "wall_s", DIGEST)
"""When a run was made, by which build, and how long that took is no part of what came out."""
_SEAL = "<!-- sha256 of all above: "


def stamped(manifest: Mapping[str, Any], hashes: Mapping[str, str]) -> dict[str, Any]:
    """The manifest with the hashes of the files, by name, and the digest over both."""
    bare = {key: value for key, value in manifest.items() if key not in {FILES, DIGEST}}
    made = {**bare, FILES: dict(sorted(hashes.items()))}
    return {**made, DIGEST: digest_of(made)}


def digest_of(manifest: Mapping[str, Any]) -> str:
    """Over the manifest, which has the hashes of the files; equal for equal runs, whenever they are made."""
    covered = {key: value for key, value in manifest.items() if key not in NOT_COVERED}
    text = json.dumps(covered, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def sha256_of(file: Path) -> str:
    """Raises OSError."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sealed(*page: bytes) -> bytes:
    """A page, of these parts one behind the other, that can tell whether it is still what it was."""
    told = hashlib.sha256()
    for part in page:
        told.update(part)
    return b"".join([*page, f"{_SEAL}{told.hexdigest()} -->\n".encode()])


def is_whole(page: bytes) -> bool:
    """Whether `sealed` made it, and nobody changed it since."""
    body, seal, told = page.rpartition(_SEAL.encode())
    return bool(seal) and told == f"{hashlib.sha256(body).hexdigest()} -->\n".encode()
