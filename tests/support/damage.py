"""Harm to files."""

from pathlib import Path


def flip(file: Path, at: int) -> None:
    """Two bytes, from `at` on; a file shorter than that loses what there is."""
    content = bytearray(file.read_bytes())
    for place in range(at, min(at + 2, len(content))):
        content[place] ^= 0xFF
    file.write_bytes(content)
