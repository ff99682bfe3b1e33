"""tools/mutants.py [PATTERN]: break the rules one at a time, and name each break that no test notices.

mutmut makes the mutants of the files that `[tool.mutmut]` of pyproject.toml lists, and tries on each those of
the tests listed there that come by. A PATTERN such as `sim.platform.*` tries a part of them; the pattern
`survivors` tries those anew that no test has noticed so far. Without a pattern only those are tried that
never were, so that a run may be interrupted. Exit code 1 where more than LIMIT of what was tried survive.
Mutants that change nothing that anybody could notice stand in equivalent-mutants.toml beside this file.
"""

import os
import re
import subprocess
import sys
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

LIMIT = 0.05
NOTICED = {"killed", "timeout", "segfault"}
"""A test that would never end has noticed too."""
UNNOTICED = {"survived", "no tests"}
UNTRIED = "not checked"
REFUSED = "caught by type check"
"""No mutant that could be on a branch whose checks pass."""
WORDS = ("refused", "made", "equivalent", "survived")
EQUIVALENT = Path(__file__).with_name("equivalent-mutants.toml")
TEXT = re.compile(r"""f?(?P<quote>["']).*?(?P=quote)""")
NAME = re.compile(r"(?P<module>.*)\.x(?:_|ǁ(?P<owner>\w+)ǁ)(?P<function>\w+?)__mutmut_\d+")


class Mutant(NamedTuple):
    name: str
    status: str

    @property
    def file(self) -> str:
        return self._parts["module"].replace(".", "/") + ".py"

    @property
    def function(self) -> str:
        owner = self._parts["owner"]
        return (f"{owner}." if owner else "") + self._parts["function"]

    @property
    def _parts(self) -> re.Match[str]:
        found = NAME.fullmatch(self.name)
        assert found is not None, self.name
        return found


def main(patterns: Sequence[str]) -> int:
    if patterns == ["survivors"]:
        patterns = [mutant.name for mutant in results() if mutant.status in UNNOTICED]
    mutmut("run", "--max-children", str(os.cpu_count() or 2), *patterns, quiet=False)
    known = {
        (e["file"], e["function"], e["becomes"]) for e in tomllib.loads(EQUIVALENT.read_text())["mutant"]
    }
    by_file: dict[str, Counter[str]] = defaultdict(Counter)
    for mutant in results():
        if mutant.status == UNTRIED:
            continue
        by_file[mutant.file]["refused" if mutant.status == REFUSED else "made"] += 1
        if mutant.status in {REFUSED, *NOTICED}:
            continue
        diff = mutmut("show", mutant.name)
        if (mutant.file, mutant.function, becomes(diff)) in known or rewords_an_assertion(diff):
            by_file[mutant.file]["equivalent"] += 1
        else:
            by_file[mutant.file]["survived"] += 1
            print(f"\n{mutant.status}: {diff}")
    whole = sum(by_file.values(), Counter[str]())
    print(f"\n{'file':<34}{'by mypy':>9}{'mutants':>9}{'equivalent':>12}{'survived':>10}{'share':>9}")
    for file, counts in [*sorted(by_file.items()), ("all", whole)]:
        refused, made, equivalent, survived = (counts[word] for word in WORDS)
        print(f"{file:<34}{refused:>9}{made:>9}{equivalent:>12}{survived:>10}{surviving(counts):>9.1%}")
    return int(surviving(whole) > LIMIT)


def surviving(counts: Counter[str]) -> float:
    """Share of those that could be noticed."""
    return counts["survived"] / max(1, counts["made"] - counts["equivalent"])


def results() -> Iterator[Mutant]:
    for line in mutmut("results", "--all", "true").splitlines():
        name, colon, status = line.strip().rpartition(": ")
        if colon:
            yield Mutant(name, status)


def becomes(diff: str) -> str:
    """The changed lines as they are in the mutant, on one line."""
    return side(diff, "+")


def side(diff: str, sign: str) -> str:
    lines = diff.splitlines()
    return " ".join(line[1:].strip() for line in lines if line[:1] == sign and line[:3] != 3 * sign)


def rewords_an_assertion(diff: str) -> bool:
    """Whether only the words change with which an assertion of ours would fail, and it never does."""
    before, after = (TEXT.sub("", side(diff, sign)) for sign in "-+")
    return before == after and before.startswith(("assert ", "raise AssertionError("))


def mutmut(*arguments: str, quiet: bool = True) -> str:
    tools = Path(sys.executable).parent
    done = subprocess.run(  # noqa: S603 -- words of ours
        [tools / "mutmut", *arguments],
        stdout=subprocess.PIPE if quiet else None,
        text=True,
        check=True,
        env=os.environ | {"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"},  # for mypy
    )
    return done.stdout or ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
