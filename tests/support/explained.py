"""What a report explains of a run, written by hand."""

from reports.explained import Chain, Phase, Said
from reports.explained.bands import Band
from reports.explained.over_time import LatencyCourse
from reports.explained.whole_run import ExplainedSource

S = 10**12


def explained_source(source: str, variant: str) -> ExplainedSource:
    """Two slow requests, which waited; a p99 request waits ten times as long as a p50 request."""
    bands = {name: Band(100, 0.02 + queue, {"queue": queue, "decode": 0.02}, {}) for name, queue in QUEUES}
    values: dict[str, list[float | None]] = {"p50": [0.1, 0.2], "p95": [0.2, None], "p99": [None, None]}
    course = LatencyCourse(source, "llama", [0.0, 150.0, 300.0], values, 400)
    return ExplainedSource(bands, [chain(source, variant, number) for number in (7, 8)], course)


QUEUES = (("p50", 0.01), ("p90", 0.05), ("p99", 0.1))


def chain(source: str, variant: str, number: int) -> Chain:
    began = number * 20 * S
    phases = [Phase("queue", began, 3 * S), Phase("decode", began + 3 * S, number * S)]
    says = [Said("", "Of tenant acme."), Said("queue", "Ahead of it in the queue of node 0 was request 6.")]
    return Chain(number, variant, 0, source, "completed", began, began + (3 + number) * S, phases, says)
