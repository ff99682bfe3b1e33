"""Chains in a terminal: a bar for each phase where it lay in the request's time, and what was waited for."""

from collections.abc import Iterator, Sequence
from textwrap import wrap

from reports import words
from reports.explained.chain import Chain
from reports.explained.wording import span
from reports.metrics import PHASES
from reports.terminal import INDENT, WIDTH, columns

BAR = 40
"""Characters for the whole time of a request."""
AWAY = "Preempted"
TITLES = {phase.name: phase.title for phase in PHASES}


def chain_text(chain: Chain) -> str:
    return "\n".join(_lines(chain))


def _lines(chain: Chain) -> Iterator[str]:
    lasted = span(chain.lasted_ps)
    yield (
        f"Request {chain.number} of {chain.source} in {chain.variant}, replication {chain.replication}: "
        f"{lasted}, {chain.outcome}"
    )
    for sentence in chain.of(""):
        yield from wrap(sentence, WIDTH, initial_indent=INDENT, subsequent_indent=INDENT)
    yield ""
    yield from chart(chain)
    for phase in chain.phases:
        said = chain.of(phase.name)
        if said:
            head = f"{TITLES[phase.name]}, {span(phase.lasted_ps)}: "
            yield from wrap(head + " ".join(said), WIDTH, subsequent_indent=INDENT)


def chart(chain: Chain) -> list[str]:
    """A line for each phase: its name, its length, its share, and a bar where it lay.

    And one for the time away after preemptions, which is a part of them.
    """
    rows = [
        (TITLES[phase.name], span(phase.lasted_ps), share(chain, phase.lasted_ps), _bar(chain, index))
        for index, phase in enumerate(chain.phases)
    ]
    if chain.absences:
        rows.append((AWAY, span(chain.away_ps), share(chain, chain.away_ps), _marks(chain)))
    wide = [max(len(row[column]) for row in rows) for column in range(3)]
    return [
        f"{INDENT}{name:<{wide[0]}}  {lasted:>{wide[1]}}  {of:>{wide[2]}}  {bar}".rstrip()
        for name, lasted, of, bar in rows
    ]


def _bar(chain: Chain, index: int) -> str:
    """At least a thin mark, however short the phase."""
    whole = chain.lasted_ps
    if not whole:
        return ""
    before = sum(phase.lasted_ps for phase in chain.phases[:index])
    begin = BAR * before // whole
    end = -(-BAR * (before + chain.phases[index].lasted_ps) // whole)
    solid = BAR * chain.phases[index].lasted_ps >= whole
    return " " * min(begin, BAR - 1) + ("█" * (end - begin) if solid else "▏")


def _marks(chain: Chain) -> str:
    """Where it was preempted and until when, in characters of the bar."""
    marks = [" "] * BAR
    for one in chain.absences:
        first, last = (
            min(BAR - 1, BAR * (at_ps - chain.intended_ps) // max(1, chain.lasted_ps))
            for at_ps in (one.lost_ps, max(one.lost_ps, one.back_ps))
        )
        marks[max(0, first) : last + 1] = "▒" * (last + 1 - max(0, first))
    return "".join(marks)


def share(chain: Chain, ps: int) -> str:
    """Of the whole."""
    return words.share(ps / chain.lasted_ps if chain.lasted_ps else 0.0)


def list_text(chains: Sequence[Chain]) -> str:
    """A line for each: how long it took, which phase took most of it, and what for."""
    rows = [("Request", "Source", "Took", "Longest phase", "Share", "")]
    for chain in chains:
        longest = chain.longest
        why = next(iter(told(chain, longest.name)), "")
        rows.append(
            (
                f"{chain.replication}/{chain.number}",
                chain.source,
                span(chain.lasted_ps),
                TITLES[longest.name],
                share(chain, longest.lasted_ps),
                why,
            )
        )
    return "\n".join(columns(rows, 6, shrinking={5}))


def told(chain: Chain, phase: str) -> list[str]:
    """What says most of a phase: whom it shared its steps with, before what its sizes were."""
    said = chain.of(phase)
    return sorted(
        said, key=lambda sentence: not sentence.startswith(("Ahead", "It shared", "It was", "Segments"))
    )
