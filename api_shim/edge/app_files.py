"""The files that a project has uploaded, in the folder `files` of its application's working folder.

The platform's documents say that files can be deployed for applications, not how: all of this is assumed.
"""

import json
import shutil
from pathlib import Path
from typing import get_args

from api_shim.store.files import Files, StoredFile, Wanted
from api_shim.wire.file_objects import Purpose

FOLDER = "files"
NOT_FOR_APPS = ("batch", "fine-tune", "vision")
PURPOSES = tuple(purpose for purpose in get_args(Purpose) if purpose not in NOT_FOR_APPS)
MOST_FILES = 1000
"""The newest."""
PLACED = ".placed.json"
"""Which of what lies there is ours: (name, id). What somebody else has put there is left alone."""


def place_files(files: Files, project: str | None, folder: Path, now_s: float) -> None:
    """Make `folder/files` what the project has uploaded; None: everybody. Takes as long as disks do."""
    wanted: dict[str, StoredFile] = {}
    for purpose in PURPOSES:
        for file in files.page(project, now_s, Wanted(MOST_FILES, purpose=purpose)).files:
            known = wanted.get(file.filename)
            if is_plain(file.filename) and (known is None or known.id < file.id):
                wanted[file.filename] = file
    target = folder / FOLDER
    placed: dict[str, str] = _placed(target)
    if not wanted and not placed:
        return
    target.mkdir(mode=0o755, exist_ok=True)
    for name in [name for name in placed if name not in wanted]:
        (target / name).unlink(missing_ok=True)
        del placed[name]
    for name, file in wanted.items():
        if placed.get(name) == file.id or (name not in placed and (target / name).exists()):
            continue
        if _copy(files, file, target):
            placed[name] = file.id
    (target / PLACED).write_text(json.dumps(placed), encoding="utf-8")


def is_plain(name: str) -> bool:
    """Whether a client's label is the name of a file in a folder, and nothing else."""
    return bool(name) and not name.startswith(".") and not any(letter in name for letter in "/\\\0")


def _placed(target: Path) -> dict[str, str]:
    try:
        found = json.loads((target / PLACED).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return {name: id_ for name, id_ in found.items() if is_plain(name)} if isinstance(found, dict) else {}


def _copy(files: Files, file: StoredFile, target: Path) -> bool:
    """Whole or not at all; False where it was deleted meanwhile."""
    content = files.open(file)
    if content is None:
        return False
    coming = target / f".{file.id}"
    with content, coming.open("wb") as written:
        shutil.copyfileobj(content, written)
    coming.chmod(0o644)
    coming.replace(target / file.filename)
    return True
