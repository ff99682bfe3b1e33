"""What the page rests on, at its end: the program, and the digest of the run."""

from collections.abc import Mapping
from typing import Any

from reports.digest import DIGEST
from reports.html.markup import Html, tag


def foot(manifest: Mapping[str, Any]) -> Html | None:
    """None where nothing is known of how the page came about."""
    program = " ".join(filter(None, ("e80sim", manifest.get("versions", {}).get("e80sim"))))
    commit, digest = manifest.get("commit"), manifest.get(DIGEST)
    if not digest:
        return None
    made = tag("p", f"Made by {program}", f", commit {commit}" if commit else None, ".")
    check = tag(
        "p",
        "Run ",
        tag("code", digest, class_="digest"),
        "; ",
        tag("code", "e80sim report DIR --check"),
        " says whether anything of it is missing or has changed.",
    )
    return tag("footer", made, check)
