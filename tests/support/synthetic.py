"""Made-up runs of any size for tests of reports: plausible stamps in order, nothing simulated."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reports.record import OUTCOMES, REQUEST_COLUMNS, USER_REQUEST_COLUMNS
from reports.tables import RunTables, concat, node_table, request_table, user_request_table

Ints = NDArray[np.int64]
Manifest = dict[str, Any]

VARIANTS = ("edge", "aws_same_metro", "gcp_us_east", "public_internet")
APP_RTT_S = (0.0003, 0.0018, 0.078, 0.031)
USER_RTT_S = 0.024
MODEL = "llama"


@dataclass(frozen=True)
class Source:
    name: str
    tenant: str
    share: float
    calls: int
    mode: str | None
    app: str | None


WITH_APP = (
    Source("assistant", "acme", 0.5, 3, "sequential", "helper"),
    Source("research", "acme", 0.4, 8, "fan_out", "searcher"),
    Source("direct", "globex", 0.1, 1, None, None),
)
WITHOUT_APP = (Source("chat", "acme", 0.7, 1, None, None), Source("direct", "globex", 0.3, 1, None, None))


def synthetic_run(
    requests: int = 10_000,
    variants: int = 3,
    replications: int = 10,
    *,
    with_app: bool = True,
    overloaded: str | None = None,
    per_second: float = 20.0,
) -> tuple[RunTables, Manifest]:
    """About `requests` model requests in all, with random numbers that the variants share.

    The variant named in `overloaded` has a queue that grows without end.
    """
    sources = WITH_APP if with_app else WITHOUT_APP
    names = [VARIANTS[i] if i < len(VARIANTS) else f"variant_{i}" for i in range(variants)]
    horizon_s = requests / (variants * replications * per_second)
    parts = []
    for index, name in enumerate(names):
        rtt_s = APP_RTT_S[index % len(APP_RTT_S)]
        for replication in range(replications):
            growth = 0.2 if name == overloaded else 0.0
            maker = _Maker(name, replication, rtt_s, horizon_s, growth)
            parts.append(maker.tables(sources, per_second))
    return concat(parts), _manifest(names, sources, replications, horizon_s)


def _ps(seconds: NDArray[np.float64]) -> Ints:
    return np.rint(seconds * 1e12).astype(np.int64)


def _coded(
    rows: Any, fields: Sequence[str], labels: Mapping[str, list[str]]
) -> tuple[dict[str, Ints], dict[str, list[str]]]:
    """Columns and labels in which no label is there twice, as one per source would be."""
    columns = {name: rows[name] for name in fields}
    for name, names in labels.items():
        if name in columns:
            once = list(dict.fromkeys(names))
            columns[name] = np.array([once.index(one) for one in names])[rows[name]]
    return columns, {name: list(dict.fromkeys(names)) for name, names in labels.items()}


class _Maker:
    def __init__(
        self, variant: str, replication: int, app_rtt_s: float, horizon_s: float, growth: float
    ) -> None:
        self.variant, self.replication = variant, replication
        self.app_rtt_s, self.horizon_s, self.growth = app_rtt_s, horizon_s, growth
        self.random = np.random.default_rng([20, replication])

    def tables(self, sources: tuple[Source, ...], per_second: float) -> RunTables:
        calls, users = [], []
        for number, source in enumerate(sources):
            count = int(per_second * source.share / source.calls * self.horizon_s * 1.3) + 40
            gaps = self.random.exponential(source.calls / (per_second * source.share), count)
            intended = _ps(np.cumsum(gaps))
            kept = intended < int(self.horizon_s * 1e12)
            if source.app is None:
                calls.append(self._calls(number, np.full(count, -1), intended, USER_RTT_S, 0.0)[kept])
                continue
            made, user = self._user_requests(number, source, intended)
            calls.append(made[np.tile(kept, source.calls)])
            users.append(user[kept])
        return self._assemble(sources, np.concatenate(calls), np.concatenate(users) if users else None)

    def _user_requests(self, number: int, source: Source, intended: Ints) -> tuple[Any, Any]:
        count = len(intended)
        user = np.zeros(count, [(name, np.int64) for name in _USER_FIELDS])
        for name in ("source", "tenant", "place", "app", "app_place"):
            user[name] = number
        user["number"] = np.arange(count) + number * 10**7
        user["calls"], user["intended_ps"] = source.calls, intended
        user["cold"] = self.random.random(count) < 0.2
        user["connected_ps"] = intended + user["cold"] * _ps(np.full(count, 2 * USER_RTT_S))
        user["arrived_ps"] = user["connected_ps"] + _ps(np.full(count, USER_RTT_S / 2))
        cpu = _ps(self.random.gamma(4.0, 0.002, count))
        user["cpu_ps"] = cpu * source.calls if source.mode == "sequential" else cpu
        at, made = user["arrived_ps"], []
        for _ in range(source.calls):
            made.append(self._calls(number, user["number"], at + cpu, self.app_rtt_s, 0.05))
            if source.mode == "sequential":
                at = made[-1]["ended_ps"]
        user["left_ps"] = np.max([call["ended_ps"] for call in made], axis=0)
        user["ended_ps"] = user["left_ps"] + _ps(np.full(count, USER_RTT_S / 2))
        for call in made:
            user["outcome"] = np.where(user["outcome"], user["outcome"], call["outcome"])
        return np.concatenate(made), user

    def _calls(self, source: int, parent: Ints, sent: Ints, rtt_s: float, cold_share: float) -> Any:
        count, random = len(sent), self.random
        call = np.zeros(count, [(name, np.int64) for name in _CALL_FIELDS])
        call["source"], call["tenant"], call["place"], call["parent"] = source, source, source, parent
        call["node"] = random.integers(0, 2, count)
        call["stream"], call["finish_reason"], call["samples"] = 1, 1, 1
        call["prompt_tokens"] = 1 + random.lognormal(6, 1, count).astype(np.int64)
        call["output_tokens"] = 1 + random.lognormal(4.5, 0.8, count).astype(np.int64)
        call["cold"] = random.random(count) < cold_share
        call["intended_ps"] = call["sent_ps"] = sent
        call["connected_ps"] = sent + call["cold"] * _ps(np.full(count, 2 * rtt_s))
        call["arrived_ps"] = call["connected_ps"] + _ps(rtt_s / 2 + random.gamma(2, rtt_s / 40, count))
        call["admitted_ps"] = call["arrived_ps"] + _ps(0.001 + random.exponential(0.0003, count))
        call["overhead_ps"] = 500_000_000
        waiting = random.exponential(0.03, count) * (random.random(count) < 0.6) + self.growth * sent / 1e12
        call["started_ps"] = call["admitted_ps"] + call["overhead_ps"] + _ps(waiting)
        call["first_ps"] = call["started_ps"] + call["prompt_tokens"] * 20_000_000
        call["last_ps"] = call["first_ps"] + (call["output_tokens"] - 1) * 700_000_000
        back = _ps(np.full(count, rtt_s / 2))
        call["first_seen_ps"], call["ended_ps"] = call["first_ps"] + back, call["last_ps"] + back
        rejected = random.random(count) < 0.02
        call["outcome"][rejected] = OUTCOMES.index("rejected_requests_limit")
        call["finish_reason"][rejected], call["output_tokens"][rejected] = 0, 0
        for name in ("overhead_ps", "started_ps", "first_ps", "last_ps", "first_seen_ps", "node"):
            call[name][rejected] = -1
        call["ended_ps"][rejected] = (call["admitted_ps"] + back)[rejected]
        return call

    def _assemble(self, sources: tuple[Source, ...], calls: Any, users: Any) -> RunTables:
        horizon = int(self.horizon_s * 1e12)
        calls = _cut(calls[calls["intended_ps"] < horizon], horizon, "started_ps", "first_ps", "last_ps")
        calls = calls[np.argsort(calls["intended_ps"], kind="stable")]
        calls["number"] = np.arange(len(calls))
        tenants = [source.tenant for source in sources]
        labels = {"source": [source.name for source in sources], "tenant": tenants, "model": [MODEL]}
        places = ["internet" if source.app is None else self.variant for source in sources]
        requests = request_table(
            self.variant, self.replication, *_coded(calls, _CALL_FIELDS, {**labels, "place": places})
        )
        if users is None:
            return RunTables(requests, self._nodes(horizon))
        users = _cut(users, horizon, "left_ps")
        labels |= {"place": ["internet"] * len(sources), "app": [source.app or "" for source in sources]}
        labels |= {"app_place": [self.variant] * len(sources)}
        return RunTables(
            requests,
            self._nodes(horizon),
            user_request_table(self.variant, self.replication, *_coded(users, _USER_FIELDS, labels)),
        )

    def _nodes(self, horizon: int) -> Any:
        busy = (horizon * self.random.uniform(0.6, 0.7, 2)).astype(np.int64)
        columns = {
            "model": np.zeros(2),
            "node": np.arange(2),
            "steps": busy // 10**9,
            "busy_ps": busy,
            "sequence_s": busy * 5 // 10**12,
            "sequence_rest_ps": busy * 5 % 10**12,
            "preemptions": self.random.integers(0, 4, 2),
            "prompt_tokens": busy // 10**8,
            "output_tokens": busy // 10**9,
            "kv_blocks": np.full(2, 4096),
        }
        return node_table(self.variant, self.replication, columns, {"model": [MODEL]})


def _cut(rows: Any, horizon: int, *stamps: str) -> Any:
    """What the record looks like when the run stops at the horizon."""
    late = rows["ended_ps"] >= horizon
    rows["outcome"][late] = OUTCOMES.index("unfinished")
    if "finish_reason" in rows.dtype.names:
        rows["finish_reason"][late] = 0
        stamps = (*stamps, "first_seen_ps")
    for name in (*stamps, "ended_ps"):
        rows[name][rows[name] >= horizon] = -1
    return rows


_CALL_FIELDS = [column.name for column in REQUEST_COLUMNS]
_USER_FIELDS = [column.name for column in USER_REQUEST_COLUMNS]


def _manifest(
    variants: list[str], sources: tuple[Source, ...], replications: int, horizon_s: float
) -> Manifest:
    def rows(variant: str) -> list[dict[str, Any]]:
        return [
            {
                "name": source.name,
                "tenant": source.tenant,
                "place": "internet",
                "place_label": "home fibre, Paris",
                "model": MODEL,
                "app": source.app,
                "app_place": variant if source.app else None,
                "calls": source.calls,
                "mode": source.mode,
                "arrivals": "poisson",
            }
            for source in sources
        ]

    places: dict[str, dict[str, Any]] = {
        name: {"label": name.replace("_", " "), "kind": "region", "rtt_ms": rtt * 1e3}
        for name, rtt in zip(VARIANTS, APP_RTT_S, strict=True)
    }
    places["edge"]["kind"] = "edge"
    places["internet"] = {"label": "home fibre, Paris", "kind": "internet", "rtt_ms": USER_RTT_S * 1e3}
    model = {"id": "llama-3.1-8b", "hardware": "hc1", "nodes": 2, "context_tokens": 6144}
    assumed = {
        "what": "gateway overhead",
        "value": 1.0,
        "unit": "ms",
        "source": "no measurement is public",
        "confidence": "assumed",
        "model": MODEL,
    }
    return {
        "format": 2,
        "scenario": "synthetic",
        "title": "Where should the assistant run?",
        "question": "What does a user feel when the app moves away from the model?",
        "seed": 20,
        "replications": replications,
        "replications_done": replications,
        "horizon_s": horizon_s,
        "warm_up_s": horizon_s / 10,
        "interrupted": False,
        "notes": [],
        "created": "2026-01-01T00:00:00Z",
        "commit": "0" * 40,
        "versions": {"e80sim": "0.1.0"},
        "wall_s": 1.0,
        "facts": {
            "variants": [{"name": name, "title": name.replace("_", " ")} for name in variants],
            "sources": rows(variants[0]),
            "sources_by_variant": {name: rows(name) for name in variants},
            "places": places,
            "models": {MODEL: model},
            "slo": {"ttft_s": 0.25, "tpot_s": 0.002, "e2e_s": None, "felt_s": 1.0},
            "assumed": [assumed],
        },
    }
