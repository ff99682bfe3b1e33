"""Why a variant is slower or faster: the phases that changed, of two sources where the sign turns."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from reports.answer.changes import MEAN, Change, changes_of
from reports.answer.hops import changed_hops
from reports.answer.phrases import capital, where
from reports.estimate import ShownEstimate, read_estimate
from reports.rows import Row, Summary, rows_of, short_titles
from reports.words import count, plural


class Reason(NamedTuple):
    label: str
    text: str


def reasons(summary: Summary) -> list[Reason]:
    """One for each variant whose mean surely changes; variants with the same reason share it."""
    changes, titles = changes_of(summary, rows_of(summary)), short_titles(summary)
    several = len({change.row.source for change in changes}) > 1
    by_text: dict[str, list[str]] = {}
    for variant in dict.fromkeys(change.row.variant for change in changes):
        sure = [change for change in changes if change.row.variant == variant and change.sure(MEAN)]
        text = "; ".join(_told(sure, several=several))
        if text:
            by_text.setdefault(f"{text}.", []).append(capital(where(titles[variant])))
    return [Reason(" and ".join(names), text) for text, names in by_text.items()]


def _told(sure: Sequence[Change], *, several: bool) -> Iterator[str]:
    faster = [change for change in sure if (change.estimate(MEAN).value or 0.0) < 0]
    slower = [change for change in sure if change not in faster]
    for word, ones in (("faster", faster), ("slower", slower)):
        if not ones:
            continue
        one = max(ones, key=lambda change: abs(change.relative(MEAN).value or 0.0))
        if one.both:
            yield _selection(one, word)
            continue
        hops = changed_hops(one.baseline, one.row)
        if not hops:
            continue
        whose = f" for {source_of(one.row)}" if several else ""
        yield f"{_size(one.estimate(MEAN))} {word} on the mean{whose}: {hops}"


def _selection(one: Change, word: str) -> str:
    """Phases over what each served would compare different requests."""
    assert one.both is not None
    alike, each = one.estimate(MEAN), read_estimate(one.metrics["felt"].get(MEAN.statistic))
    requests = f"the {count(one.both['completed'])} requests that both completed"
    told = f"{_size(alike)} {word} on the mean for {one.row.source}, on {requests}"
    if each.value is None:
        return told
    against = "slower" if each.value > 0 else "faster"
    return f"{told}; over what each completed {_size(each)} {against}, since these are other requests"


def _size(estimate: ShownEstimate) -> str:
    return (estimate if (estimate.value or 0.0) >= 0 else estimate.negated()).with_error()


def source_of(row: Row) -> str:
    """By its calls where it makes several, since that is what tells such sources apart."""
    return f"{row.source} ({plural(row.calls, 'call')})" if row.has_app else row.source
