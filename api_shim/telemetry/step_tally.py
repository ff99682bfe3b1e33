"""What vLLM counts of an engine's steps: of one node, or of all of a model's together."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from struct import Struct

from api_shim.clocks.histogram import Histogram
from api_shim.telemetry.kinds import OF_STEPS
from sim.node.gaps import COLUMNS
from sim.node.kernel import Boundary, UnderWay
from sim.node.queue_limits import QueueFull
from traffic.request import Request

MOST_KEPT = 4096
"""Rows of gaps, and steps that differ, until they are counted: to do so at once costs each stretch more."""
_unpacked = Struct(f"={COLUMNS}q").iter_unpack


class StepTally:
    """A `sim.node.watch.NodeWatch`."""

    def __init__(self) -> None:
        self.queries = 0
        """Prompt tokens looked for in the prefix cache when a sequence was first admitted."""
        self.hits = 0
        """Those found."""
        self._tokens = _histogram("iteration_tokens_total")
        self._gaps = _histogram("inter_token_latency_seconds")
        self._rows: list[bytes] = []
        self._steps: defaultdict[int, int] = defaultdict(int)
        """How many computed so many tokens."""

    def stepped(self, steps: int, tokens: int) -> None:
        self._steps[tokens] += steps
        if len(self._steps) == MOST_KEPT:
            self._count_kept()

    def gaps(self, row: bytes) -> None:
        self._rows.append(row)
        if len(self._rows) == MOST_KEPT:
            self._count_kept()

    def looked_up(self, tokens: int, found: int) -> None:
        self.queries += tokens
        self.hits += found

    def refused(self, full: QueueFull) -> None: ...

    def never_started(self, request: Request) -> None: ...

    def passed(self, boundary: Boundary) -> None: ...

    def add_to(self, histograms: Mapping[str, Histogram]) -> None:
        """What was told counts there too, by vLLM's names."""
        self._count_kept()
        histograms["iteration_tokens_total"].merge(self._tokens)
        histograms["inter_token_latency_seconds"].merge(self._gaps)

    def _count_kept(self) -> None:
        _count(self._gaps, self._rows)
        self._rows.clear()
        for tokens, steps in self._steps.items():
            self._tokens.observe_steps(tokens, 0, steps)
        self._steps.clear()


def merged(tallies: Iterable[StepTally], under_way: Iterable[UnderWay]) -> dict[str, Histogram]:
    """Of several engines seen as one, at this moment: what was told, and what is `under_way` in them."""
    histograms = {name: _histogram(name) for name in OF_STEPS}
    for tally in tallies:
        tally.add_to(histograms)
    for one in under_way:
        if one.steps:
            histograms["iteration_tokens_total"].observe_steps(one.tokens, 0, one.steps)
            _count(histograms["inter_token_latency_seconds"], one.gaps)
    return histograms


def _histogram(name: str) -> Histogram:
    return Histogram(OF_STEPS[name].bounds)


def _count(gaps: Histogram, rows: Iterable[bytes]) -> None:
    for _, steps, first_ps, slope_ps, each in _unpacked(b"".join(rows)):
        gaps.observe_steps(first_ps, slope_ps, steps, each)
