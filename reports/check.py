"""Whether a run is whole and unchanged, and whether its numbers are those that its tables give.

Files are held against the hashes in the manifest, every number of summary.json against the tables, and the
report against its seal. A finding is one sentence.
"""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from reports.digest import DIGEST, FILES, digest_of, is_whole, sha256_of
from reports.live import CLIENT_FILE, live_json, read_client
from reports.preemptions import preemptions_that_differ
from reports.run_directory import (
    MANIFEST,
    REPORT,
    SUMMARY,
    UNCERTAINTY,
    Run,
    RunDirectoryError,
    read,
    read_manifest,
    table_files,
)
from reports.summary import FORMAT, SCHEMA_VERSION, summarise
from reports.uncertainty import uncertainty_again
from reports.words import count, plural

SHOWN = 20
"""Numbers of a summary that are told one by one."""
SAME = 1e-9
"""Of the value: what another build of numpy may do to the last bits."""


class Checked(NamedTuple):
    findings: list[str]
    files: int
    numbers: int
    """Of the summary, made again from the tables."""


def checked(path: Path) -> Checked:
    """Raises RunDirectoryError where `path` is no directory of a run at all."""
    manifest = read_manifest(path)
    findings = [*_files(path, manifest), *_report(path, manifest)]
    numbers = 0
    try:
        run = read(path)
    except RunDirectoryError as error:
        findings.append(str(error).removeprefix(f"{path}/"))
    else:
        compared = list(_numbers(path, run))
        numbers = len(compared)
        findings += _few([one for one in compared if one], f"numbers of {SUMMARY} differ")
        findings += _few([*preemptions_that_differ(run.tables)], "totals of preemptions differ")
    return Checked(findings, len(manifest.get(FILES, ())), numbers)


def _files(path: Path, manifest: Mapping[str, Any]) -> Iterator[str]:
    """What the manifest says of files, and what lies there."""
    files = manifest.get(FILES)
    if files is None or DIGEST not in manifest:
        yield f"{MANIFEST} has no digest of the run: whether a file changed since cannot be told."
        return
    if manifest[DIGEST] != digest_of(manifest):
        yield f"{MANIFEST} has changed since it was written: it has another digest than {manifest[DIGEST]}."
    for name, digest in files.items():
        if not (path / name).is_file():
            yield f"{name} is missing."
        elif (found := sha256_of(path / name)) != digest:
            yield f"{name} has changed since it was written: its sha256 is {found}, not {digest}."
    for name in (*table_files(), UNCERTAINTY, CLIENT_FILE):
        if name not in files and (path / name).exists():
            yield f"{name} is not in {MANIFEST}: it joined the run after it was written."


def _report(path: Path, manifest: Mapping[str, Any]) -> Iterator[str]:
    """A run may have none."""
    if not (path / REPORT).exists():
        return
    page = (path / REPORT).read_bytes()
    if not is_whole(page):
        yield f"{REPORT} has changed since it was written, or an older version wrote it."
    elif manifest.get(DIGEST, "").encode() not in page:
        yield f"{REPORT} is of another run, or of this one before a file joined it: it shows another digest."


def _numbers(path: Path, run: Run) -> Iterator[str | None]:
    """For each number of the summary a sentence, or None where it is what the tables give."""
    stored = run.summary
    if stored is None:
        yield f"{SUMMARY} is missing."
    elif stored.get("format") != FORMAT:
        yield f"{SUMMARY} has format {stored.get('format')!r}; this version of e80sim makes format {FORMAT}."
    else:
        grown = stored.get("schema_version") != SCHEMA_VERSION
        yield from _differences("", stored, _again(path, run, stored), grown=grown)


def _again(path: Path, run: Run, stored: Mapping[str, Any]) -> dict[str, Any]:
    summary = summarise(run.tables, run.manifest)
    summary["schema_version"] = stored.get("schema_version")
    if "live" in run.manifest:
        file = path / CLIENT_FILE
        client = read_client(file) if file.exists() else []
        summary["live"] = live_json(run.manifest["live"], run.tables.requests if client else None, client)
    if run.uncertainty is not None and "uncertainty" in stored:
        summary["uncertainty"] = uncertainty_again(
            run.uncertainty, stored["uncertainty"], run.manifest["facts"]["variants"][0]["name"]
        )
    return summary


def _differences(place: str, stored: object, again: object, *, grown: bool) -> Iterator[str | None]:
    """`grown`: another version wrote the summary, with keys and words of its own, so that keys which only
    one of the two has and sentences are no finding.
    """
    if isinstance(stored, Mapping) and isinstance(again, Mapping):
        for key in {**stored, **again}:
            inner = f"{place}.{key}" if place else key
            if key in stored and key in again:
                yield from _differences(inner, stored[key], again[key], grown=grown)
            elif not grown:
                yield (
                    f"{SUMMARY} has {inner}, which the tables do not give."
                    if key in stored
                    else f"{SUMMARY} lacks {inner}, which the tables give."
                )
    elif isinstance(stored, list) and isinstance(again, list) and len(stored) == len(again):
        for index, (one, other) in enumerate(zip(stored, again, strict=True)):
            yield from _differences(f"{place}[{index}]", one, other, grown=grown)
    elif _same(stored, again) or (grown and _is_sentence(stored) and _is_sentence(again)):
        yield None
    else:
        yield f"{SUMMARY} says {place} is {_short(stored)}, and the tables give {_short(again)}."


def _is_sentence(value: object) -> bool:
    return isinstance(value, str) and value.endswith(".")


def _same(stored: object, again: object) -> bool:
    if isinstance(stored, float) and isinstance(again, int | float):
        return math.isclose(stored, again, rel_tol=SAME, abs_tol=0.0)
    return stored == again


def _short(value: object) -> str:
    if isinstance(value, list):
        return plural(len(value), "entry").replace("entrys", "entries")
    return f"{value!r}"[:60]


def _few(findings: list[str], what: str) -> list[str]:
    left = len(findings) - SHOWN
    return findings if left <= 0 else [*findings[:SHOWN], f"{count(left)} more {what}."]
