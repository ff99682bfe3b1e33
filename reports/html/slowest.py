"""Why the slowest requests were slow: points to choose from, and the chain of the one that is chosen.

Links and targets alone, so that it works from a keyboard, without scripts and on paper: a chain is shown
while the page's address names it, and the slowest of all while none is.
"""

from collections.abc import Iterator, Sequence

from reports.explained import Chain, Phase
from reports.explained.text import AWAY
from reports.explained.whole_run import Explained
from reports.explained.wording import span
from reports.html.bands import bands, folded, phase_legend
from reports.html.markup import Html, coordinate, join, link, tag
from reports.html.palette import css
from reports.html.phases import PHASES
from reports.record import PS_PER_S
from reports.rows import Row
from reports.words import in_seconds, share

UNFOLDED = 9
"""Fields that are shown at once."""
ROOM = 0.12
"""Of a field, above and below its points."""


def slowest(rows: Sequence[Row], found: Explained | None, horizon_s: float) -> Html | None:
    """None where there are no tables to read it from, or nothing completed."""
    if not found:
        return None
    fields = [
        (line, found[line.variant, line.source].slowest)
        for line in rows
        if (line.variant, line.source) in found and found[line.variant, line.source].slowest
    ]
    if not fields:
        return None
    every = [chain for _, chains in fields for chain in chains]
    names = {id(chain): f"chain-{place}" for place, chain in enumerate(every)}
    first = max(every, key=lambda chain: chain.lasted_ps)
    others = [chain for chain in every if chain is not first]
    drawn = [_field(line, chains, names, horizon_s) for line, chains in fields]
    return join(
        bands(rows, found),
        tag("h3", "Why these requests were slow"),
        tag("p", EXPLANATION, id="slowest-points"),
        phase_legend({chain.longest.name for chain in every}),
        tag("div", drawn[:UNFOLDED], class_="fields"),
        folded(drawn[UNFOLDED:], "fields"),
        tag("div", [_card(chain, names[id(chain)]) for chain in [*others, first]], class_="chains"),
    )


EXPLANATION = (
    "Each point is one of the slowest requests, by when it was meant and how long it took, in the colour of "
    "its longest phase. Choose one, and its chain opens below; e80sim explain tells that of any request."
)


def _field(line: Row, chains: Sequence[Chain], names: dict[int, str], horizon_s: float) -> Html:
    """Points of one row. The last of them in time come last for a keyboard, too."""
    took = [chain.lasted_ps for chain in chains]
    low, high = min(took), max(took)
    points = [
        _point(chain, names[id(chain)], _up(chain.lasted_ps, low, high), horizon_s)
        for chain in sorted(chains, key=lambda chain: chain.intended_ps)
    ]
    axis = tag(
        "div", tag("span", "0 s"), tag("span", in_seconds(horizon_s)), class_="ends", aria_hidden="true"
    )
    extent = f"{span(low)} to {span(high)}"
    head = tag("p", line.label, " ", tag("small", extent))
    return tag("div", head, tag("div", points, class_="field"), axis)


def _up(took: int, low: int, high: int) -> float:
    share = (took - low) / (high - low) if high > low else 0.5
    return ROOM + (1 - 2 * ROOM) * share


def _point(chain: Chain, name: str, up: float, horizon_s: float) -> Html:
    along = min(chain.intended_ps / PS_PER_S / horizon_s, 1.0)
    colour = f"--mark: {css(PHASES[chain.longest.name].role)}"
    longest = PHASES[chain.longest.name].label.lower()
    told = f"Request {chain.number}, {span(chain.lasted_ps)}, most of it {longest}"
    style = f"left: {coordinate(100 * along)}%; bottom: {coordinate(100 * up)}%; {colour}"
    return tag("a", href=f"#{name}", style=style, title=told, aria_label=told)


def cards(chains: Sequence[Chain]) -> Html:
    """All of them at once, without points to choose from."""
    shown = [_card(chain, f"chain-{place}", "h2", back="") for place, chain in enumerate(chains)]
    return tag("div", shown, class_="chains all")


def _card(chain: Chain, name: str, level: str = "h4", back: str = "slowest-points") -> Html:
    head = f"Request {chain.number} of {chain.source}: {span(chain.lasted_ps)}"
    where = f"Variant {chain.variant}, replication {chain.replication}. {' '.join(chain.of(''))}"
    return tag(
        "article",
        tag(level, head, id=f"{name}-title"),
        tag("p", where),
        tag("div", list(_bar(chain)), class_="chain-bar", aria_hidden="true"),
        _away(chain),
        _phases(chain),
        tag("p", link(back, "Back to the points")) if back else None,
        id=name,
        tabindex="-1",
        aria_labelledby=f"{name}-title",
    )


def _bar(chain: Chain) -> Iterator[Html]:
    for phase in chain.phases:
        look = PHASES[phase.name]
        grows = f"flex-grow: {coordinate(100 * _share(chain, phase))}"
        style = f"{grows}; background-color: {css(look.role)}"
        yield tag("i", style=style, title=f"{look.label} {span(phase.lasted_ps)}")
    yield from _absences(chain)


def _away(chain: Chain) -> Html | None:
    """What the hatching says."""
    if not chain.absences:
        return None
    swatch = tag(
        "span", class_="swatch hatched", style=f"background-color: {css('muted')}", aria_hidden="true"
    )
    told = f" {AWAY} {span(chain.away_ps)} in all, until it was in a step again"
    return tag("p", tag("b", swatch), told, class_="chain-away")


def _absences(chain: Chain) -> Iterator[Html]:
    """Marks over the phases: from when it was preempted until it was in a step again."""
    for one in chain.absences:
        since, lasted = one.lost_ps - chain.intended_ps, one.lasted_ps
        left, width = (coordinate(100 * ps / chain.lasted_ps) for ps in (since, lasted))
        style = f"left: {left}%; width: {width}%"
        told = f"Preempted after {span(since)}, for {span(lasted)}"
        yield tag("i", style=style, title=told, class_="away")


def _share(chain: Chain, phase: Phase) -> float:
    return phase.lasted_ps / chain.lasted_ps if chain.lasted_ps else 0.0


def _phases(chain: Chain) -> Html:
    return tag("ol", [_phase(chain, phase) for phase in chain.phases], class_="chain-phases")


def _phase(chain: Chain, phase: Phase) -> Html:
    look = PHASES[phase.name]
    colour = f"background-color: {css(look.role)}"
    since = f"after {span(phase.began_ps - chain.intended_ps)}"
    swatch = tag("span", class_="swatch", style=colour, aria_hidden="true")
    told = tag(
        "p", tag("b", swatch, look.label), f" {span(phase.lasted_ps)}, {share(_share(chain, phase))}, {since}"
    )
    why = chain.of(phase.name)
    return tag("li", told, tag("p", " ".join(why), class_="why") if why else None)
