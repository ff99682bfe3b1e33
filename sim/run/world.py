"""A scenario wired up: one platform and its traffic. One replication lives and dies in one world."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from hwmodels.llm import load_llm
from hwmodels.node_hardware import NodeHardware
from hwmodels.step_time import AffineStepTime
from reports.record import (
    GAP_COLUMNS,
    LIFETIME_COLUMNS,
    NODE_COLUMNS,
    PREEMPTION_COLUMNS,
    PREFIX_COLUMNS,
)
from reports.spool import Spool
from reports.stored import Table, stacked
from reports.tables import RunTables, table_of
from sim.callers.origin import copies
from sim.callers.sources import Numbers
from sim.callers.starts import add
from sim.callers.traffic import Traffic
from sim.faults.breakage import Breakage
from sim.faults.ground import Ground
from sim.faults.scaler import MOST_DRAINING, Outlook, Scaler
from sim.network import Link, Network
from sim.node.cache_log import CacheLog, found_by_prefix
from sim.node.gaps import GapCounts
from sim.node.kernel import BatchLimits, NodeKernel, Stepped
from sim.node.lockstep import LockstepKernel, Planned, Rank
from sim.node.node import Node
from sim.node.preemption_log import Preemption, PreemptionLog
from sim.node.prefills import ASYNCHRONOUS, PREFILLS
from sim.node.prefix_pool import kv_pool
from sim.node.queue_limits import QueueLimits
from sim.node.queue_orders import QUEUE_ORDERS
from sim.node.watch import NodeWatch, WatchedGaps
from sim.node.whole_batches import ADMISSIONS
from sim.platform.disaggregated import DisaggregatedPool
from sim.platform.flow_control import FlowControl
from sim.platform.gateway import Admission
from sim.platform.loads import Late
from sim.platform.members import AffinityLimit, MakeNode, Members, Signal
from sim.platform.platform import Platform
from sim.platform.pool import Pool
from sim.platform.recorder import Blocks, RecentBlocks, Recorder
from sim.platform.routing import ROUTING
from sim.platform.ticket import Ticket
from sim.scenario.schema import Batching, Disaggregated, LoadSignals, Model, Scenario
from sim.time.streams import Streams
from sim.time.timeline import Timeline
from sim.time.units import PS_PER_S, ps_of_ms, ps_of_s
from traffic.request import is_key

if TYPE_CHECKING:
    from sim.faults.scaling import Scaling
    from sim.scenario.flow_control import FlowControlSection

KEY_BLOCK = 2
"""Draws at a time for an API key, of which there may be many that ask once."""


class World:
    """`env` stands at 0 with the first arrivals pending; `platform` takes further requests at any time."""

    def __init__(
        self,
        scenario: Scenario,
        seed: int,
        replication: int,
        *,
        engine: str = "step",
        keep_schedule: bool = False,
        sources: bool = True,
        env: Timeline | None = None,
        blocks: Blocks | None = None,
    ) -> None:
        """Without `sources` nobody sends but who calls `platform.submit`; `env` is a timeline to live on.

        `blocks` is where the records of requests go; by default into memory.
        """
        self.scenario = scenario
        self.env = env or Timeline()
        self.numbers = Numbers()
        self._replication = replication
        # Strangers come and go in a world without sources, and it may live for months: it keeps no stream.
        self.streams = Streams(seed, replication, kept=sources)
        self._engine, self._keep_schedule = engine, keep_schedule
        self.network = Network(scenario.network)
        self.kv_blocks: dict[str, int] = {}
        """Of each node, by model."""
        self._pool_blocks: dict[str, int] = {}
        """Of each pool: a node has one for each of its ranks."""
        self.watch: Callable[[str, int], NodeWatch] | None = None
        """Who watches a node, by model and index; asked when the node gets its first request, if at all."""
        self._laws: dict[str, AffineStepTime] = {}
        self.scalers: dict[str, Scaler] = {}
        self._gaps: dict[str, GapCounts] = {}
        self._cache_logs: dict[str, list[CacheLog]] | None = {} if sources or blocks is not None else None
        """Of the nodes of models that cache prefixes; None where nobody will make a report of it."""
        # Those of a server that nobody asked to record would pile up.
        self._preemptions = Recorder(
            PREEMPTION_COLUMNS, RecentBlocks() if isinstance(blocks, RecentBlocks) else None
        )
        self._spools: dict[Recorder, Spool] = {}
        gateway = scenario.gateway
        self.platform = Platform(
            self.env, self._link_to_gateway, ps_of_ms(gateway.overhead_ms), gateway.concurrency, blocks
        )
        for name, model in scenario.models.items():
            self._add_pool(name, model)
        self.traffic = Traffic(scenario, self.env, self.platform, self.network, self.streams, self.numbers)
        self.breakage = Breakage(
            self.env,
            Ground(self.platform, self._laws, self.network, [*scenario.network.places], self.streams.stream),
            scenario.faults,
            self.streams.stream,
            lambda model: scenario.models[model].nodes,
        )
        for name, source in scenario.traffic.items() if sources else ():
            add(self.traffic, name, source)

    def run_to(self, at_ps: int) -> None:
        """Let everything happen that is due before `at_ps`."""
        self.env.run_before(at_ps)
        self.tidy()

    def tidy(self) -> None:
        """To be called now and then, so that what is only counted does not pile up."""
        for gaps in self._gaps.values():
            gaps.tidy()

    def keep_in(self, folder: Path, variant: str) -> None:
        """Rows of long tables go into `folder` as they come, which is made for the first of them.

        To be asked for before anything happens.
        """
        longs = {
            "requests": self.platform.records,
            "user_requests": self.traffic.visits.records,
            "sessions": self.traffic.sessions.records,
            "asks": self.traffic.asks.records,
            "agent_steps": self.traffic.agent_steps,
        }
        splits = ((n, p) for n, p in self.platform.pools.items() if isinstance(p, DisaggregatedPool))
        longs |= {f"stages.{quote(n, safe='')}": p.stages for n, p in splits}
        key = (variant, self._replication)
        for name, recorder in longs.items():
            self._spools[recorder] = Spool(folder, name, key, recorder.columns, recorder.labels.vocabulary)
        self._spools[self._preemptions] = Spool(
            folder,
            "preemptions",
            key,
            PREEMPTION_COLUMNS,
            self._preemptions.labels.vocabulary,
            order_by="lost_ps",
        )
        for recorder, spool in self._spools.items():
            recorder.keep_in(spool)

    def tables(self, variant: str) -> RunTables:
        """The records of this world, whose life is over: what has not ended is recorded as unfinished."""
        stages = self._stages(variant)
        faults = self._faults(variant)
        self.traffic.send_rest()
        self.platform.record_unfinished()
        self.traffic.record_unfinished()
        sources = self.scenario.traffic.values()
        talks = any(source.callers_kind is not None for source in sources)
        steps = any(app.steps is not None for app in self.scenario.apps.values())
        prefixes = self._prefix_records()

        def table(recorder: Recorder, order_by: str = "number") -> Table:
            return self._table(variant, recorder, order_by)

        return RunTables(
            requests=table(self.platform.records),
            nodes=table(self._node_records(), "node"),
            user_requests=table(self.traffic.visits.records) if self.scenario.apps else None,
            gaps=table(self._gap_records(), "from_ps"),
            prefixes=None if prefixes is None else table(prefixes, "prefix"),
            stages=stages,
            sessions=table(self.traffic.sessions.records) if talks else None,
            faults=faults,
            lifetimes=self._lifetimes(variant),
            asks=self._asks(variant),
            agent_steps=table(self.traffic.agent_steps) if steps else None,
            preemptions=self._preempted(variant),
        )

    def _table(self, variant: str, recorder: Recorder, order_by: str = "number") -> Table:
        spool = self._spools.get(recorder)
        if spool is not None and spool.on_disk:
            return spool.finish(recorder.held())
        columns, names = recorder.arrays(order_by), recorder.labels.vocabulary()
        return table_of(recorder.columns, variant, self._replication, columns, names)

    def _preempted(self, variant: str) -> Table | None:
        found = self._table(variant, self._preemptions, "lost_ps")
        return found if found.num_rows else None

    def _asks(self, variant: str) -> Table | None:
        """None: a request is an ask."""
        asks = self.traffic.asks
        return self._table(variant, asks.records) if asks.used else None

    def stop(self) -> None:
        """Nothing breaks any more, and no node comes or goes; else a timeline would never come to an end."""
        self.breakage.stop()
        for scaler in self.scalers.values():
            scaler.stop()

    def _lifetimes(self, variant: str) -> Table | None:
        if not self.scalers:
            return None
        records = Recorder(LIFETIME_COLUMNS)
        for scaler in self.scalers.values():
            scaler.record(records)
        return self._table(variant, records, "ordered_ps")

    def _faults(self, variant: str) -> Table | None:
        """None: nothing was to break, and nothing did."""
        records = self.breakage.records()
        found = self._table(variant, records)
        return found if self.scenario.faults or found.num_rows else None

    def _stages(self, variant: str) -> Table | None:
        """Where requests were, of the models whose nodes divide the work. None: there are none."""
        pools = {n: p for n, p in self.platform.pools.items() if isinstance(p, DisaggregatedPool)}
        if not pools:
            return None
        for ticket in self.platform.inside.values():
            if ticket.request.model in pools:
                pools[ticket.request.model].note_unfinished(ticket)
        return stacked([self._table(variant, pool.stages) for pool in pools.values()])

    # Pools

    def _add_pool(self, name: str, model: Model) -> None:
        hardware = model.build_hardware()
        self._laws[name] = hardware.step_time
        blocks = hardware.kv_pool_tokens // model.block_size
        limits = BatchLimits(
            model.batching.max_num_active_seqs or hardware.max_num_seqs,
            hardware.max_num_batched_tokens,
            model.block_size,
            blocks,
            int(blocks * model.batching.watermark),
        )
        run = self.scenario.run
        gaps = GapCounts(ps_of_s(run.stated_warm_up_s), ps_of_s(run.horizon_s))
        self._gaps[name] = gaps
        self._pool_blocks[name] = limits.kv_blocks
        self.kv_blocks[name] = limits.kv_blocks * hardware.ranks
        affinity = model.affinity
        pool = Pool(
            ROUTING[model.routing],
            self.streams.stream(f"routing/{name}"),
            Members(
                weights=model.node_weights,
                places=hardware.max_num_seqs * hardware.ranks,
                affinity=None
                if affinity is None
                else AffinityLimit(affinity.most_ahead, affinity.most_ratio),
                as_seen=None if model.load_signals is None else self._late(model.load_signals),
            ),
            QUEUE_ORDERS[model.batching.queue](),
        )
        # Of nodes that scaling adds, as many as there can be with those that still drain.
        most_nodes = model.nodes if model.scaling is None else MOST_DRAINING * model.scaling.max_nodes
        first_order = self.env.boundary_orders(most_nodes)

        def make(index: int, batching: Batching = model.batching, *, decodes: bool = False) -> Node[Ticket]:
            order = first_order + index
            return self._make_node(
                index,
                order,
                hardware,
                limits,
                gaps,
                batching,
                lambda: self._cache_log(name, batching),
                self._preemption_log(name, index),
                None if self.watch is None else self.watch(name, index),
                decodes=decodes,
            )

        if model.disaggregated is None:
            pool.open(model.nodes, make)
            self.platform.pools[name] = pool
            if model.scaling is not None:
                places = limits.max_num_seqs * hardware.ranks
                self.scalers[name] = self._scaler(name, model, model.scaling, pool, make, places)
        else:
            kv_bytes = hardware.kv_bytes_per_token or load_llm(model.llm).kv_bytes_per_token()
            self.platform.pools[name] = self._split(
                model.batching, model.disaggregated, pool, limits, make, model.nodes, kv_bytes
            )
        self.platform.gateway.admissions[name] = Admission(
            context_tokens=model.context_tokens,
            budgets=None if model.limits is None else model.limits.budgets(),
            flow=None if model.flow_control is None else self._flow(model.flow_control, pool),
        )

    def _scaler(
        self, name: str, model: Model, policy: "Scaling", pool: Pool, make: MakeNode, places: int
    ) -> Scaler:
        def waiting() -> int:
            flow, inside = self.platform.gateway.admissions[name].flow, self.platform.inside.values()
            mine = (ticket for ticket in inside if ticket.request.model == name and ticket.admitted_ps >= 0)
            begun = (any(s.started_ps >= 0 for s in ticket.sequences) for ticket in mine)
            return sum(not one for one in begun) + (0 if flow is None else flow.waiting)

        def joined() -> None:
            flow = self.platform.gateway.admissions[name].flow
            if flow is not None:
                flow.more_room()

        outlook = Outlook(waiting, places, joined)
        return Scaler(self.env, name, pool, model.nodes, policy, make, outlook)

    def _flow(self, section: "FlowControlSection", pool: Pool) -> FlowControl:
        gateway = self.platform.gateway
        return FlowControl(
            self.env, section.settings(), gateway.let_pass, gateway.refuse, lambda: pool.taking
        )

    def _split(
        self,
        batching: Batching,
        split: Disaggregated,
        prefill: Pool,
        limits: BatchLimits,
        make: Callable[..., Any],
        nodes: int,
        kv_bytes_per_token: int,
    ) -> DisaggregatedPool:
        """Nodes that decode compute no prompts, refuse nobody, and find no prefixes."""
        decoding = batching.model_copy(
            update={
                "prefill": "chunked",
                "enable_prefix_caching": False,
                "max_num_queued_reqs": None,
                "max_num_queued_tokens": None,
            }
        )
        pool = DisaggregatedPool(
            self.env,
            prefill,
            self.platform,
            QUEUE_ORDERS[batching.queue](),
            places=limits.max_num_seqs,
            kv_tokens=limits.kv_blocks * limits.block_size,
            transfer_ps=self.network.kv_transfer(kv_bytes_per_token),
        )

        def prefills(index: int) -> Node[Ticket]:
            node: Node[Ticket] = make(index)
            node.progress, node.hands_over = pool.prefills, True
            return node

        def decodes(index: int) -> Node[Ticket]:
            node: Node[Ticket] = make(index, decoding, decodes=True)
            return node

        pool.open(split.prefill_nodes, prefills, nodes - split.prefill_nodes, decodes)
        return pool

    def _late(self, signals: LoadSignals) -> Callable[[Signal], Signal]:
        interval_ps = 0 if signals.interval_ms is None else ps_of_ms(signals.interval_ms)
        return lambda signal: Late(self.env, signal, interval_ps, ps_of_ms(signals.delay_ms))

    def _make_node(
        self,
        index: int,
        boundary_order: int,
        hardware: NodeHardware,
        limits: BatchLimits,
        gaps: GapCounts,
        batching: Batching,
        new_log: Callable[[], CacheLog | None],
        preemption_log: PreemptionLog,
        watch: NodeWatch | None,
        *,
        decodes: bool,
    ) -> Node[Ticket]:
        order = QUEUE_ORDERS[batching.queue]
        kernel = self._kernel(hardware, limits, gaps, batching, new_log, preemption_log, watch)
        slots = limits.max_num_seqs if hardware.overhead_holds_slot and not decodes else None
        return Node(
            self.env,
            index,
            kernel,
            self.platform,
            hardware.request_overhead_ps,
            slots,
            None if slots is None else order(),
            boundary_order,
            _queue_limits(batching),
            watch,
        )

    def _kernel(
        self,
        hardware: NodeHardware,
        limits: BatchLimits,
        gaps: GapCounts,
        batching: Batching,
        new_log: Callable[[], CacheLog | None],
        preemption_log: PreemptionLog,
        watch: NodeWatch | None,
    ) -> NodeKernel:
        def parts(stepped: Stepped | None) -> dict[str, Any]:
            """Of a kernel, or of each rank of one: what no two may share."""
            return {
                "keep_schedule": self._keep_schedule,
                "gaps": gaps if watch is None else WatchedGaps(gaps, watch.gaps),
                "stepped": stepped,
                "preemption_log": preemption_log,
                "queue": QUEUE_ORDERS[batching.queue](),
                "pool": kv_pool(
                    limits,
                    enable_prefix_caching=batching.enable_prefix_caching,
                    log=new_log(),
                    looked_up=None if watch is None else watch.looked_up,
                ),
                "preempt": batching.preempt,
                "batches": ADMISSIONS[batching.admission](
                    hardware.max_num_seqs,
                    None if batching.max_queue_delay_ms is None else ps_of_ms(batching.max_queue_delay_ms),
                ),
            }

        law, stepped = hardware.step_time, None if watch is None else watch.stepped
        if hardware.ranks > 1:
            return LockstepKernel(
                law,
                hardware.ranks,
                lambda told: Rank(limits, Planned(), **parts(told)),
                stepped,
                hardware.launch_ps,
            )
        engines = ASYNCHRONOUS if batching.schedules_ahead(hardware) else PREFILLS[batching.prefill]
        return engines[self._engine](limits, law, launch_ps=hardware.launch_ps, **parts(stepped))

    # Connections

    def _link_to_gateway(self, caller: str, place: str) -> Link:
        """Connections are as a source or an app states them. Each copy of an app has its own."""
        if is_key(caller):
            forgotten = (
                self.platform.links.forgotten
            )  # perhaps this key: its draws must not repeat themselves
            rng = self.streams.stream(f"network/{caller}/{place}" + (f"/{forgotten}" if forgotten else ""))
            return self.network.link(place, None, rng, block=KEY_BLOCK)
        rng = self.streams.stream(f"network/{caller}/{place}")
        kind, _, name = caller.partition("/")
        if kind == "inside":
            return self.network.link(None, None, rng)
        if kind == "source":
            source = self.scenario.traffic[name]
            return self.network.link(place, None, rng, connections=source.connections, users=source.people)
        app, users = self.scenario.apps.get(name), copies(self.scenario, name, place)
        connections = "pooled" if app is None else app.connections  # whoever else calls keeps them, too
        return self.network.link(place, None, rng, connections=connections, users=users)

    # Records

    def _node_records(self) -> Recorder:
        recorder = Recorder(NODE_COLUMNS)
        for model, pool in self.platform.pools.items():
            (code,) = recorder.labels.codes(model=model)
            blocks, made = self.kv_blocks[model], {node.index: node.kernel for node in pool.nodes}
            for index in range(pool.size):
                kernel = made.get(index)
                if kernel is None:  # it never had a request
                    recorder.add((code, index, 0, 0, 0, 0, 0, 0, 0, blocks))
                else:
                    recorder.add(
                        (
                            code,
                            index,
                            kernel.steps,
                            kernel.busy_ps,
                            *divmod(kernel.sequence_ps, PS_PER_S),
                            kernel.preemptions,
                            kernel.prompt_tokens_done,
                            kernel.output_tokens_done,
                            blocks,
                        )
                    )
        return recorder

    def _cache_log(self, model: str, batching: Batching) -> CacheLog | None:
        if self._cache_logs is None or not batching.enable_prefix_caching:
            return None
        log = CacheLog()
        self._cache_logs.setdefault(model, []).append(log)
        return log

    def _preemption_log(self, model: str, node: int) -> PreemptionLog:
        recorder = self._preemptions

        def tell(one: Preemption) -> None:
            (code,) = recorder.labels.codes(model=model)
            recorder.add(
                (
                    one.number,
                    code,
                    node,
                    int(one.pushed_out),
                    one.by,
                    one.held_tokens,
                    one.found_tokens,
                    one.lost_ps,
                    one.back_ps,
                )
            )

        return PreemptionLog(tell)

    def _prefix_records(self) -> Recorder | None:
        if not self._cache_logs:
            return None
        recorder = Recorder(PREFIX_COLUMNS)
        for model, logs in self._cache_logs.items():
            block_size = self.scenario.models[model].block_size
            for name, counts in found_by_prefix(logs, self._pool_blocks[model], block_size).items():
                recorder.add((*recorder.labels.codes(model=model, prefix=name), *counts))
        return recorder

    def _gap_records(self) -> Recorder:
        recorder = Recorder(GAP_COLUMNS)
        for model, gaps in self._gaps.items():
            (code,) = recorder.labels.codes(model=model)
            for row in zip(*(column.tolist() for column in gaps.bins()), strict=True):
                recorder.add((code, *row))
        return recorder


def _queue_limits(batching: Batching) -> QueueLimits | None:
    reqs, tokens = batching.max_num_queued_reqs, batching.max_num_queued_tokens
    return None if reqs is None and tokens is None else QueueLimits(reqs, tokens)
