"""What the numbers of a simulation depend on besides its scenario and seed: the code, and who draws."""

import hashlib
import platform
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as version_of
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("e80sim", "hwmodels", "reports", "sim", "traffic")
BESIDE = ("reports/html", "reports/assets", "sim/validation")
"""Parts that no number comes from."""
SUFFIXES = {".py", ".yaml", ".csv"}


@cache
def version() -> dict[str, str]:
    """Of the program, its code, and the libraries that draw and count."""
    return {"e80sim": _installed("e80sim"), "code": _digest(), "numpy": _installed("numpy")}


def versions() -> dict[str, str]:
    """What two machines must have in common to share the work of one study."""
    return {"python": platform.python_version(), **version()}


def _installed(name: str) -> str:
    try:
        return version_of(name)
    except PackageNotFoundError:  # a bare checkout
        return "not installed"


def _digest() -> str:
    """Of all files that a simulation may read, so that a change of any is another version."""
    total = hashlib.sha256()
    for path in _files():
        total.update(f"{path.relative_to(ROOT)}\0".encode())
        total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()[:16]


def _files() -> Iterator[Path]:
    beside = tuple(ROOT / part for part in BESIDE)
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*")):
            if path.suffix in SUFFIXES and not any(path.is_relative_to(part) for part in beside):
                yield path
