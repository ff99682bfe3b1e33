"""Judge a finished run by targets, or against a run of the same requests."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from e80sim.mistakes import UserError
from reports.compared.pairing import Difference, why_apart
from reports.compared.runs import ComparedRun, PairKey
from reports.run_directory import Run, read
from reports.summary import summary_of
from reports.targets import FAIL, INCONCLUSIVE, PASS, Answered, Judgement, Target, answers, judge

EXIT_STATUS = {PASS: 0, FAIL: 1, INCONCLUSIVE: 3}


def judged(run: Run, targets: Sequence[Target], baseline: Path | None = None) -> list[Judgement]:
    """Every target in every variant and source that it speaks of.

    Raises:
        UserError: a target speaks of nothing in the run; or needs a baseline and there is none; or the
            baseline saw other requests, so that a difference would not be of what changed.

    """
    summary = summary_of(run)
    compared = [target for target in targets if target.against_baseline]
    if compared and baseline is None:
        raise UserError(f"objective {compared[0].text!r}: --baseline DIR is to say which run that is")
    both = _Both(run, baseline) if baseline is not None and compared else None
    return [one for target in targets for one in _of_target(target, summary, both)]


def _of_target(target: Target, summary: Mapping[str, Any], both: "_Both | None") -> Iterator[Judgement]:
    for found in answers(target, summary):
        if both is None or not target.against_baseline:
            yield judge(target, found)
        else:
            answer, base = both.difference(target, found)
            yield judge(target, found._replace(answer=answer), base)


def worst(judgements: Sequence[Judgement]) -> str:
    """What the whole comes to: one miss is a miss, whatever else is undecided."""
    found = {one.verdict for one in judgements}
    return next(verdict for verdict in (FAIL, INCONCLUSIVE, PASS) if verdict in found or verdict == PASS)


class _Both:
    """The run and its baseline, of which every variant and source is in both."""

    def __init__(self, run: Run, baseline: Path) -> None:
        self._base = ComparedRun("A", baseline, read(baseline))
        self._run = ComparedRun("B", Path("this run"), run)
        self._summary = summary_of(self._base.run)
        why = why_apart(self._base, self._run)
        if why:
            raise UserError(f"--baseline {baseline}: {why}, so a difference would not be of what changed")
        self._path = baseline

    def difference(self, target: Target, found: Answered) -> tuple[Mapping[str, Any], float]:
        """From the baseline's value, paired by replication; and that value."""
        key = PairKey(found.variant, found.source or "")
        if key not in self._base.groups:
            raise UserError(f"--baseline {self._path} has no source {key.source} in variant {key.variant}")
        base = next(
            one
            for one in answers(target, self._summary)
            if (one.variant, one.source) == (key.variant, key.source)
        ).answer
        if "refused" in base:
            return base, 0.0
        first, second = self._base.groups[key], self._run.groups[key]
        less = Difference(first, second, target.metric, target.statistic, paired=True)
        return less.as_json(), base["value"]
