"""Prefill and decode on nodes of their own, and the way of the KV cache from the one to the other.

A prefill node makes the first token and keeps the prompt's KV blocks until the decode node has them, as vLLM
does with its NIXL connector. So where decode nodes are full, prefill nodes fill up too, and take nobody in.
"""

from collections.abc import Callable

from reports.record import STAGE_COLUMNS
from sim.node.kernel import NodeKernel
from sim.node.node import Node, NodeListener
from sim.node.queue_limits import QueueFull
from sim.node.waiting_queue import WaitingQueue
from sim.platform.loads import KvTokens, Places
from sim.platform.members import MakeNode, Members
from sim.platform.pool import ModelPool, Pool
from sim.platform.recorder import Recorder
from sim.platform.ticket import Ticket
from sim.time.timeline import Alarm, Timeline


class Handover:
    """A request between its two nodes. To the platform it is a node that answers a cancel at once."""

    __slots__ = ("_cancel", "_env", "alarm", "from_node", "index", "sent_ps", "since_ps")

    def __init__(self, env: Timeline, from_node: Node[Ticket], cancel: Callable[[Ticket], None]) -> None:
        self._env = env
        self._cancel = cancel
        self.from_node = from_node
        self.index = from_node.index
        """Of the decode node, once one has room."""
        self.since_ps = env.now
        self.sent_ps = -1
        """When its first byte goes to the decode node; until one has room it waits."""
        self.alarm: Alarm | None = None

    @property
    def kernel(self) -> NodeKernel:
        return self.from_node.kernel

    @property
    def due_ps(self) -> int:
        return self._env.now

    def cancel(self, ticket: Ticket, /) -> None:
        self._cancel(ticket)


class DisaggregatedPool(ModelPool):
    """The first nodes prefill, by the routing of `prefill`, and those behind them decode.

    A request gets to a decode node in the order of `queue` as soon as one has a free place and, by the tokens
    of those inside, room for its prompt: the one with the fewest tokens, or else that with the most places.
    A prefill node sends one KV cache after the other.
    """

    def __init__(
        self,
        env: Timeline,
        prefill: Pool,
        platform: NodeListener[Ticket],
        queue: WaitingQueue[Ticket],
        *,
        places: int,
        kv_tokens: int,
        transfer_ps: Callable[[int], int],
    ) -> None:
        """`places` and `kv_tokens` of a decode node; `transfer_ps` is how long so many tokens take alone."""
        self._env = env
        self._prefill = prefill
        self._platform = platform
        self._queue = queue
        self._kv_tokens = kv_tokens
        self._transfer_ps = transfer_ps
        self._decode = Members()
        self._kv = self._decode.watch(KvTokens(self._decode))
        self._places = self._decode.watch(Places(places))
        self._line_free_ps: dict[int, int] = {}
        """Of each prefill node."""
        self._started_ps: dict[int, list[int]] = {}
        """When the prefills of those that decode began, by number of the request."""
        self.stages = Recorder(STAGE_COLUMNS)
        self.prefills = Prefills(self, platform)
        """Whom prefill nodes tell."""

    def open(
        self, prefill_nodes: int, make_prefill: MakeNode, decode_nodes: int, make_decode: MakeNode
    ) -> None:
        """Each node is made when it gets its first request, with `prefills` as listener where it prefills."""
        self._prefill.open(prefill_nodes, make_prefill)
        self._decode.open(decode_nodes, make_decode, first=prefill_nodes)

    @property
    def size(self) -> int:
        return self._prefill.size + self._decode.ever

    @property
    def nodes(self) -> list[Node[Ticket]]:
        return [*self._prefill.nodes, *self._decode.made.values()]

    def node(self, index: int) -> Node[Ticket]:
        return self._prefill.node(index) if index < self._prefill.size else self._decode.node(index)

    def takes(self, index: int) -> bool:
        """None of them: to serve a request takes two, and the way from the one to the other."""
        del index
        return False

    # What the platform says

    def serve(self, ticket: Ticket) -> None:
        self._prefill.serve(ticket)

    def abandoned(self, ticket: Ticket) -> None:
        self._prefill.abandoned(ticket)

    def left(self, ticket: Ticket) -> None:
        """It is out of the pool: complete, or cancelled at whatever stage."""
        node = ticket.node
        assert node is not None
        if isinstance(node, Handover):
            self._note_between(ticket, node, self._env.now)
            if node.sent_ps < 0:
                return
        elif node.index < self._prefill.size:
            self._note_prefill(ticket, node.index)
            self._prefill.left(ticket)
            return
        else:
            self._note_decode(ticket, self._env.now)
        for note in self._decode.left:
            note(ticket)
        self._let_in()

    def prefilled(self, ticket: Ticket) -> None:
        """It left its prefill node, or was cancelled there."""
        node, sequences = ticket.node, ticket.sequences
        assert isinstance(node, Node)
        goes_on = all(0 < sequence.generated < sequence.output_tokens for sequence in sequences)
        if not sequences or not goes_on or ticket.outcome or ticket.leaving:
            node.release(ticket)
            self._platform.left_node(ticket)
            return
        self._note_prefill(ticket, node.index)
        self._prefill.left(ticket)
        ticket.node = Handover(self._env, node, self._cancelled)
        for sequence in sequences:
            sequence.last_ps = -1  # its last token is still to come
        self._queue.push(ticket)
        self._let_in()

    # From node to node

    def _let_in(self) -> None:
        """As long as a decode node has room for the head of the queue. Nobody passes it."""
        while (head := self._queue.head()) is not None:
            index = self._roomy(head)
            if index is None:
                return
            self._send(self._queue.pop(), index)

    def _roomy(self, ticket: Ticket) -> int | None:
        request = ticket.request
        tokens = request.prompt_tokens + request.samples
        most_places = self._places.roomy(request.samples)
        if most_places is None:
            return None
        for index in (self._kv.least(), most_places):
            if self._places.has_room(index, request.samples) and self._kv[index] + tokens <= self._kv_tokens:
                return index
        return None

    def _send(self, ticket: Ticket, index: int) -> None:
        handover, now = ticket.node, self._env.now
        assert isinstance(handover, Handover)
        self._decode.node(index)  # from now on it has something to come
        sender = handover.from_node.index
        handover.index = index
        handover.sent_ps = max(now, self._line_free_ps.get(sender, 0))
        arrives_ps = handover.sent_ps + self._transfer_ps(ticket.request.prompt_tokens)
        self._line_free_ps[sender] = arrives_ps
        for note in self._decode.entered:
            note(ticket)
        handover.alarm = Alarm(self._env, arrives_ps, self._arrived, ticket)

    def _arrived(self, alarm: Alarm) -> None:
        ticket: Ticket = alarm.subject
        handover = ticket.node
        assert isinstance(handover, Handover)
        handover.from_node.release(ticket)
        self._note_between(ticket, handover, self._env.now)
        self._started_ps[ticket.request.number] = [sequence.started_ps for sequence in ticket.sequences]
        self._decode.node(handover.index).submit(ticket)

    def _cancelled(self, ticket: Ticket) -> None:
        """Between the nodes. What is on the line is sent to its end all the same."""
        handover = ticket.node
        assert isinstance(handover, Handover)
        handover.from_node.release(ticket)
        for sequence in ticket.sequences:
            sequence.last_ps = self._env.now
        if handover.alarm is None:
            self._queue.drop(ticket)
        else:
            self._env.cancel(handover.alarm)
        Alarm(self._env, self._env.now, self._left_between, ticket)

    def _left_between(self, alarm: Alarm) -> None:
        self._platform.left_node(alarm.subject)

    # The record

    def note_unfinished(self, ticket: Ticket) -> None:
        """The run is over while `ticket` is in this pool."""
        node = ticket.node
        if isinstance(node, Handover):
            self._note_between(ticket, node, -1)
        elif node is not None and node.index < self._prefill.size:
            self._note_prefill(ticket, node.index)
        elif node is not None:
            self._note_decode(ticket, -1)

    def _note_prefill(self, ticket: Ticket, index: int) -> None:
        began_ps = min((s.started_ps for s in ticket.sequences if s.started_ps >= 0), default=-1)
        if began_ps >= 0:
            left = [s.last_ps for s in ticket.sequences]
            self._note(ticket, "prefill", index, began_ps, -1 if min(left) < 0 else max(left))

    def _note_between(self, ticket: Ticket, handover: Handover, until_ps: int) -> None:
        sent_ps = handover.sent_ps
        not_sent = sent_ps < 0 or 0 <= until_ps < sent_ps
        waited_until_ps = until_ps if not_sent else sent_ps
        self._note(ticket, "handover", handover.from_node.index, handover.since_ps, waited_until_ps)
        if not not_sent:
            self._note(ticket, "transfer", handover.index, sent_ps, until_ps)

    def _note_decode(self, ticket: Ticket, until_ps: int) -> None:
        """And puts back when its prefill began, which is when the request did."""
        began_ps = min((s.started_ps for s in ticket.sequences if s.started_ps >= 0), default=-1)
        assert ticket.node is not None
        if began_ps >= 0:
            self._note(ticket, "decode", ticket.node.index, began_ps, until_ps)
        started_ps = self._started_ps.pop(ticket.request.number)
        for sequence, at_ps in zip(ticket.sequences, started_ps, strict=True):
            sequence.started_ps = at_ps

    def _note(self, ticket: Ticket, stage: str, node: int, began_ps: int, ended_ps: int) -> None:
        request = ticket.request
        labels = self.stages.labels.codes(model=request.model, stage=stage)
        self.stages.add((request.number, *labels, node, began_ps, ended_ps))


class Prefills(NodeListener[Ticket]):
    """Tells the platform what prefill nodes say, and the pool who has left them."""

    def __init__(self, pool: DisaggregatedPool, platform: NodeListener[Ticket]) -> None:
        self._pool = pool
        self._platform = platform

    def first_token(self, ticket: Ticket) -> None:
        self._platform.first_token(ticket)

    def refused(self, ticket: Ticket, full: QueueFull) -> None:
        self._platform.refused(ticket, full)

    def left_node(self, ticket: Ticket) -> None:
        self._pool.prefilled(ticket)
