"""Did the platform keep up? Overloaded, backlogged or stable, model by model; the worst one tells.

What counts is waiting: a load that rises on a platform without a queue is no overload, however much more is
in the system at the end. The noise comes from the replications, or with fewer than five from the steps of
the line.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from reports.arrays import distinct
from reports.busy import Busy, left_node
from reports.causes import CAUSES, FAILED
from reports.columns import Columns, Floats, Mask
from reports.metrics import REJECTED, Window
from reports.record import PS_PER_S
from reports.statistics import LEVEL, quantiles
from reports.student_t import t_quantile
from reports.waiting_line import LAST_QUARTER, MIDDLE, POINTS, Stays, WaitingLine
from reports.words import duration, number, share

STATES = ("stable", "backlogged", "overloaded")
STEADY = ("constant", "poisson", "gamma")
"""Kinds of arrivals whose rate stays the same, so that what holds for the run holds for a longer one."""
STEPS = 10
"""Of the second half, whose spread is the noise where there are few replications. Shorter ones would mostly
see how an age falls whenever one is served and climbs until the next."""
OF_A_WALK = 1.5
"""The means of two neighbouring steps of a random walk differ by 2/3 of the variance of a step."""
SAWTOOTH = -0.4
"""Covariance of neighbouring steps, in variances of one: of a walk it is 1/4, of independent levels -1/2. A
batch that lets in many at once, and then nobody for a while, makes the age go up and down like these."""
OF_A_SAWTOOTH = 0.25
"""Such steps take each other back: the noise of 2 levels is left, of 2 in each of STEPS, and some room."""
FEW_REPLICATIONS = 5
"""With fewer, Student's t over replications is too blunt to see a clear overload."""
HANDFUL = 5
"""Growth by fewer requests is no backlog, unless they are a large part of what was asked."""
PAIR = 2
"""Then it takes so many."""
MATERIAL = 0.01
"""Shortfall, as a share of what was asked: a smaller one cannot be told from a line that still settles."""
LARGE = 0.1
"""A shortfall that no settling explains."""
ALL_THE_TIME = 0.9
"""A line that is empty more often than the rest of the time catches up again."""
GREW = 1.1
"""From quarter to quarter of the window, by this factor at least."""
MATERIAL_REFUSALS = 0.05
"""Share of refused or failed requests from which a verdict opens with it."""
SILENCE = 0.05
"""Part of the window: traffic that ended longer than this before its end is judged while it came."""


class Opinion(NamedTuple):
    """On one model, or on the gateway."""

    state: str
    why: str
    shortfall: float = 0.0
    """Share of what was asked that it fell behind by, to tell the worst of several."""

    @property
    def rank(self) -> tuple[int, float]:
        return STATES.index(self.state), self.shortfall


@dataclass(frozen=True, slots=True)
class Verdict:
    state: str
    why: str
    models: Mapping[str, str]
    """The state of each; a gateway that falls behind holds up all of them."""

    def as_json(self) -> dict[str, Any]:
        return {"state": self.state, "why": self.why, "models": dict(self.models)}


def verdict(
    requests: Columns,
    busy: Busy,
    pools: Mapping[str, int | Floats],
    arrivals: Mapping[str, str],
    window: Window,
    replications: Sequence[int],
    of_asks: Sequence[str] = (),
) -> Verdict:
    """Of one variant: `pools` are each model's nodes in the second half, `arrivals` the kind for each source.

    `of_asks` tells what became of asks that may take several requests, and goes before the rest.
    """
    offered = requests.take(window.offered(requests))
    if not len(offered):
        return Verdict(
            "stable", "No request was offered in the measured window.", dict.fromkeys(pools, "stable")
        )
    asked = [model for model in pools if offered.labelled("model", model).any()]
    steady = all(arrivals.get(name) in STEADY for name in _sources(requests))
    opinions = {
        model: _of_model(requests, busy, model, pools[model], arrivals, window, replications)
        for model in asked
    }
    gateway = _of_gateway(requests, window, replications, steady=steady)
    if gateway is not None:
        opinions["the gateway"] = gateway
    held_up = "stable" if gateway is None else gateway.state
    states = {m: _worse(opinions[m].state if m in opinions else "stable", held_up) for m in pools}
    worst = max(opinions, key=lambda name: opinions[name].rank)
    what = "the requests sent" if of_asks else "what was asked"
    why = " ".join([*of_asks, *_lead(offered, what), *_told(opinions, worst), *_fates(offered)])
    return Verdict(opinions[worst].state, why, states)


def _worse(one: str, other: str) -> str:
    return max(one, other, key=STATES.index)


def _sources(requests: Columns) -> list[str]:
    found = set[int]()
    for part in requests.parts("source"):
        found.update(distinct(part["source"]).tolist())
    return [requests.names["source"][code] for code in sorted(found)]


def _told(opinions: Mapping[str, Opinion], worst: str) -> Iterator[str]:
    """The worst one, then in a word what the others are."""
    if len(opinions) == 1:
        yield opinions[worst].why
        return
    yield f"{_capital(worst)}: {opinions[worst].why}"
    for state in reversed(STATES):
        others = [name for name, one in opinions.items() if one.state == state and name != worst]
        if others:
            yield f"{_capital(state)}{' too' if state == opinions[worst].state else ''}: {', '.join(others)}."


def _of_gateway(
    requests: Columns, window: Window, replications: Sequence[int], *, steady: bool
) -> Opinion | None:
    """None where nobody waits for it."""
    stays = Stays.for_the_gateway(requests)
    if stays.mean_s(window) == 0.0:
        return None
    judged = window if steady else _while_it_came(stays, window)
    line = WaitingLine.of(stays, judged, replications)
    found = _Waiting(line, "the gateway", steady=steady)
    if found.state == "stable":
        return None
    passed = line.in_second_half(line.left - line.gave_up).mean() / line.half_s
    asked = line.in_second_half(line.joined).mean() / line.half_s
    flow = f"It let {number(passed)} of {number(asked)} requests/s pass over {_half_named(judged, window)}."
    return Opinion(found.state, " ".join([flow, *found.sentences()]), found.shortfall)


def _of_model(
    requests: Columns,
    busy: Busy,
    model: str,
    nodes: int | Floats,
    arrivals: Mapping[str, str],
    window: Window,
    replications: Sequence[int],
) -> Opinion:
    mine = requests.take(requests.labelled("model", model))
    stays = Stays.for_a_node(mine)
    if not len(stays.joined_ps):
        return Opinion("stable", "No request was let in.")
    kinds = sorted({arrivals.get(name, "unknown") for name in _sources(mine)} - set(STEADY))
    judged = _while_it_came(stays, window) if kinds else window
    line, waits = WaitingLine.of(stays, judged, replications), _waits(stays, window)
    del stays
    signs: list[_Waiting | _Slowing] = [_Waiting(line, "a node", steady=not kinds)]
    if not kinds:
        signs.append(_Slowing(mine, judged, replications))
    found = max(signs, key=lambda sign: STATES.index(sign.state))
    half = judged.second_half
    at_work = float(busy.share(model, nodes, half, replications).mean())
    whose = "Its nodes were" if np.mean(nodes) > 1 else "Its node was"
    sentences = [
        f"It {_carried(mine, half, replications)} over {_half_named(judged, window)}.",
        *found.sentences(),
        *([] if found.state != "stable" else [waits]),
        f"{whose} at work {share(at_work)} of that time.",
        *_what_was_judged(kinds, line, judged, window, found.state),
    ]
    return Opinion(found.state, " ".join(sentences), found.shortfall)


class _Waiting:
    """Of a line in which requests wait."""

    def __init__(self, line: WaitingLine, awaited: str, *, steady: bool) -> None:
        """`steady`: the rate stays the same, so that nothing but chance happens at the end alone."""
        self._line, self._awaited = line, awaited
        asked = line.in_second_half(line.joined).mean()
        self._given_up = line.in_second_half(line.gave_up).mean() / asked if asked else 0.0
        growth = _per_half(line.age_s, line.half_s)
        self._growth = max(float(growth.mean()), 0.0)
        self.shortfall = self._growth + self._given_up
        grew = self._growth >= MATERIAL and _beyond_noise(growth, line.age_s, line.half_s)
        behind = grew and _more_than_a_few(line, large=self._growth >= LARGE)
        left = self._given_up >= MATERIAL and _is_many(line.in_second_half(line.gave_up))
        if line.occupied >= ALL_THE_TIME and (behind or left):
            self.state = "overloaded"
        else:
            growing = _still_growing(line) or (not steady and _grew_fast_at_the_end(line))
            self.state = "backlogged" if growing else "stable"

    def sentences(self) -> Iterator[str]:
        if self.state == "stable":
            return
        ages = ", ".join(duration(age) for age in self._line.quarters(self._line.age_s).mean(axis=0))
        numbers = self._line.quarters(self._line.waiting).mean(axis=0)
        still = "" if self.state == "overloaded" else " still"
        yield (
            f"Waiting for {self._awaited}{still} grew: by quarter, the next in line had waited {ages}, "
            f"with {', '.join(number(one) for one in numbers)} in line."
        )
        if self._given_up >= MATERIAL:
            yield f"{share(self._given_up)} of those let in gave up, having waited."


class _Slowing:
    """Of a batch with room left: it takes everybody in at once, and each token takes longer and longer.

    Only where the rate is steady: with one that rises a fuller batch is no sign of falling behind.
    """

    def __init__(self, requests: Columns, window: Window, replications: Sequence[int]) -> None:
        line = WaitingLine.of(Stays.in_the_batch(requests), window, replications)
        self.shortfall = max(float(_per_half(line.age_s, line.half_s).mean()), 0.0)
        self._batch = line.quarters(line.waiting).mean(axis=0)
        self._pace_s = _pace_s(requests, window)
        self.state = "stable"
        slower = self._pace_s[3] > GREW * self._pace_s[2]
        if not (slower and all(self._pace_s[1:])) or not _still_growing(line):
            return
        growth, before = self._batch[3] - self._batch[2], self._batch[2] - self._batch[1]
        unabated = growth > before / 2 and self._pace_s[3] > GREW * GREW * self._pace_s[1]
        self.state = "overloaded" if unabated and self.shortfall >= LARGE else "backlogged"

    def sentences(self) -> Iterator[str]:
        if self.state == "stable":
            return
        batch = ", ".join(number(one) for one in self._batch)
        paces = ", ".join(duration(pace) for pace in self._pace_s)
        yield f"The batch still grew: by quarter, it held {batch} requests and took {paces} for each token."


def _per_half(ages_s: Floats, half_s: float) -> Floats:
    """By how much of the time that passes a line gets older in the second half, per replication.

    A server that carries c of a requests per second adds 1 - c/a to the age of its line in every second.
    """
    growth: Floats = (ages_s[:, -1] - ages_s[:, MIDDLE]) / half_s
    return growth


def _beyond_noise(growth: Floats, ages_s: Floats, half_s: float) -> bool:
    """The interval of the growth excludes none."""
    if len(growth) >= FEW_REPLICATIONS:
        return float(growth.mean()) > _half_width(growth)
    means = ages_s[:, MIDDLE + 1 :].reshape(len(ages_s), STEPS, -1).mean(axis=2)
    steps = np.diff(means, axis=1) / half_s
    steps -= steps.mean(axis=1, keepdims=True)
    freedom = len(steps) * (STEPS - 2)
    of_a_step = float((steps * steps).sum()) / freedom
    of_neighbours = float((steps[:, 1:] * steps[:, :-1]).sum()) / freedom
    factor = OF_A_SAWTOOTH if of_neighbours < SAWTOOTH * of_a_step else OF_A_WALK
    variance = STEPS * factor * of_a_step / len(steps)
    return float(growth.mean()) > t_quantile(LEVEL, freedom) * math.sqrt(variance)


def _more_than_a_few(line: WaitingLine, *, large: bool) -> bool:
    """In the second half; a large shortfall may count from the first quarter on."""
    waiting = line.waiting
    quarters = line.quarters(waiting)
    if large and float((quarters[:, 3] - quarters[:, 0]).mean()) > max(PAIR, _natural(quarters[:, 0])):
        return True
    grew = float((waiting[:, -1] - waiting[:, MIDDLE]).mean())
    return grew > max(HANDFUL, _natural(quarters[:, 1]))


def _is_many(counts: Floats) -> bool:
    return float(counts.mean()) >= max(PAIR, _natural(np.zeros(len(counts))))


def _still_growing(line: WaitingLine) -> bool:
    """More in line and an older line, from quarter to quarter of the window."""
    ages, numbers = line.quarters(line.age_s), line.quarters(line.waiting)
    age, number = ages.mean(axis=0), numbers.mean(axis=0)
    if len(ages) < FEW_REPLICATIONS:
        steady = bool((np.diff(age) > 0).all() and (np.diff(number) > 0).all())
        grew = float(number[3] - number[0])
        return steady and age[3] > 1.5 * age[0] and grew > max(HANDFUL, _natural(numbers[:, 0]))
    last, older = numbers[:, 3] - numbers[:, 2], ages[:, 3] - ages[:, 2]
    return (
        float(last.mean()) > max(HANDFUL, _natural(numbers[:, 2]), _half_width(last))
        and float(older.mean()) > _half_width(older)
        and age[3] > GREW * age[2]
    )


def _grew_fast_at_the_end(line: WaitingLine) -> bool:
    """In the last quarter, however it was before: with few replications the quarters must rise one by one."""
    ages, waiting = line.age_s[:, LAST_QUARTER:], line.waiting[:, LAST_QUARTER:].astype(np.float64)
    older = float((ages[:, -1] - ages[:, 0]).mean()) / (line.half_s / 2)
    more = float((waiting[:, -1] - waiting[:, 0]).mean())
    return older >= LARGE and more > max(HANDFUL, _natural(waiting[:, 0]))


def _natural(numbers: Floats) -> float:
    """Three standard deviations of a mean of Poisson numbers: what a system that keeps up shows anyway."""
    return 3 * math.sqrt((float(numbers.mean()) + 1) / len(numbers))


def _half_width(values: Floats) -> float:
    return t_quantile(LEVEL, len(values) - 1) * float(values.std(ddof=1)) / math.sqrt(len(values))


def _pace_s(requests: Columns, window: Window) -> list[float]:
    """By quarter, the median time between two tokens of those who left the batch in it; 0 without any."""
    edges = np.linspace(window.start_ps, window.end_ps, 5)

    def of(part: Columns) -> tuple[Floats, NDArray[np.int8]]:
        gaps, first = part["output_tokens"] / part["samples"].clip(1) - 1, part["first_ps"]
        left = left_node(part)
        told = (gaps > 0) & (first >= 0) & (left > first)
        quarter = np.searchsorted(edges, left[told], side="right") - 1
        return (left - first)[told] / gaps[told] / PS_PER_S, quarter.astype(np.int8)

    pace, quarter = requests.all_of(of, "output_tokens", "samples", "first_ps", "last_ps", "ended_ps")
    return [_median(pace[quarter == q]) if (quarter == q).any() else 0.0 for q in range(4)]


def _median(values: Floats) -> float:
    return float(quantiles(values, [0.5])[0])


def _while_it_came(stays: Stays, window: Window) -> Window:
    """Traffic of a changing rate may end before the window does, and not just pause: then up to its end."""
    inside = stays.joined_ps[(stays.joined_ps >= window.start_ps) & (stays.joined_ps < window.end_ps)]
    if len(inside) < 2:
        return window
    last_ps = int(inside.max()) + 1
    longest_gap_ps = int(np.diff(np.sort(inside)).max())
    silence_ps = window.end_ps - last_ps
    ended = silence_ps > max(SILENCE * (window.end_ps - window.start_ps), 2 * longest_gap_ps)
    return Window(window.start_ps, last_ps) if ended else window


def _half_named(judged: Window, window: Window) -> str:
    if judged == window:
        return "the second half"
    middle_s = (judged.start_ps + judged.end_ps) / 2 / PS_PER_S
    return f"{number(middle_s)} to {number(judged.end_ps / PS_PER_S)} s"


def _what_was_judged(
    kinds: Sequence[str], line: WaitingLine, judged: Window, window: Window, state: str
) -> Iterator[str]:
    """Where the rate changes, that nothing follows for a longer run, and how bad it got."""
    if not kinds:
        return
    if judged != window:
        last = f"{number(judged.end_ps / PS_PER_S)} s"
        yield f"No request came after {last}, so only the time before is judged."
    changes = f"The rate changes by itself ({', '.join(kinds)})"
    if state != "stable":
        yield f"{changes}: this is about the time judged, not about a steady load."
        return
    worst_s, point = line.age_at_worst
    at_s = (judged.start_ps + (judged.end_ps - judged.start_ps) * point / (POINTS - 1)) / PS_PER_S
    worst = (
        f"; at worst, at {number(at_s)} s, the next in line had waited {duration(worst_s)}" if worst_s else ""
    )
    yield f"{changes}, so stable says no more than that waiting did not grow to the end{worst}."


def _waits(stays: Stays, window: Window) -> str:
    mean_s = stays.mean_s(window)
    return (
        f"Requests waited {duration(mean_s)} for a node on average."
        if mean_s
        else "No request waited for a node."
    )


def _carried(requests: Columns, half: Window, replications: Sequence[int]) -> str:
    """Completed of asked per second; asked are those neither refused nor cancelled."""
    refused = _any_of(requests, REJECTED)
    asked = half.offered(requests) & ~refused & ~requests.outcome("cancelled")
    done = requests.outcome("completed") & half.inside(requests, "ended_ps")
    seconds = half.length_s * len(replications)
    let_in = " that were let in" if refused.any() else ""
    return f"carried {number(done.sum() / seconds)} of {number(asked.sum() / seconds)} requests/s{let_in}"


def _any_of(columns: Columns, outcomes: Sequence[str]) -> Mask:
    found: Mask = np.zeros(len(columns), np.bool_)
    for name in outcomes:
        found |= columns.outcome(name)
    return found


def _lead(offered: Columns, asked: str) -> Iterator[str]:
    """Limits that refuse keep a platform stable, which is no comfort to those refused: they come first."""
    for what, outcomes in (("refused", REJECTED), ("not answered in the end", FAILED)):
        part = float(_any_of(offered, outcomes).mean())
        if part >= MATERIAL_REFUSALS:
            yield f"{share(part)} of {asked} {'was' if asked.startswith('what') else 'were'} {what}."


def _fates(offered: Columns) -> Iterator[str]:
    """What became of those that were turned away or lost; nothing where there were none."""
    counts = ((int(offered.outcome(name).sum()), cause.fate) for name, cause in CAUSES.items() if cause.fate)
    parts = [f"{share(count / len(offered))} {words}" for count, words in counts if count]
    if parts:
        yield f"{', '.join(parts)}."


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
