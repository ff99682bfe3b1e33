"""Which hop makes the difference between two variants: their mean latencies, compared part by part."""

from reports.answer.phrases import listed
from reports.rows import Row
from reports.words import duration

PARTS = {
    "the hop between user and app": ("user_set_up", "user_network_out", "user_return"),
    "waiting for the app": ("app_wait",),
    "the app itself": ("app_cpu",),
    "the sender's own delay": ("client_wait",),
    "the gateway": ("admission",),
    "the node's fixed overhead": ("overhead",),
    "queueing for a node": ("queue",),
    "prefill": ("prefill",),
    "decode": ("decode",),
}
NETWORK = ("set_up", "network_out", "return")
TELLING = 0.15
"""A part is told when it changes by at least this share of the part that changes most."""


def changed_hops(baseline: Row, row: Row) -> str:
    """A clause, or none where a phase was not measured. The parts add up to the change of the mean."""
    changes = _changes(baseline, row)
    largest = max(map(abs, changes.values()), default=0.0)
    if largest == 0.0:
        return ""
    told = sorted((c for c in changes.items() if abs(c[1]) >= TELLING * largest), key=lambda c: -abs(c[1]))
    return listed([_clause(part, change) for part, change in told])


def _changes(baseline: Row, row: Row) -> dict[str, float]:
    before, after = baseline.felt_phases(), row.felt_phases()
    if any(e.value is None for e in (*before.values(), *after.values())):
        return {}

    def change(names: tuple[str, ...]) -> float:
        gained = sum(after[n].value or 0.0 for n in names if n in after)
        return gained - sum(before[n].value or 0.0 for n in names if n in before)

    return {part: change(names) for part, names in {_network(row): NETWORK, **PARTS}.items()}


def _network(row: Row) -> str:
    if not row.has_app:
        return "the network between caller and model"
    if row.calls == 1:
        return "the hop between app and model"
    passed = "calls at once" if row.mode == "fan_out" else "calls in a row"
    return f"the hop between app and model ({row.calls} {passed})"


def _clause(part: str, change: float) -> str:
    return f"{part} {'adds' if change > 0 else 'saves'} {duration(abs(change))}"
