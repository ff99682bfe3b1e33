"""What an engine, its queue and its KV pool know about one sequence inside a kernel."""

from sim.node.kernel import Sequence
from sim.node.waiting_queue import Arrival


class Work:
    __deletable__ = ("sequence",)
    __slots__ = ("arrived", "cached", "computed", "goal", "gone", "own_blocks", "sequence")

    own_blocks: int
    """What a pool that names blocks calls those of it alone; not there until one has looked at it."""

    def __init__(self, sequence: Sequence, arrived: Arrival, computed: int) -> None:
        self.sequence = sequence
        self.arrived = arrived
        self.computed = computed
        """Tokens whose cache comes with it from elsewhere, until a preemption takes them."""
        self.cached = 0
        """Tokens in the KV cache while it runs; the pool sets it on admission."""
        self.goal = sequence.prompt_tokens + sequence.generated
        """Tokens to have in the cache before it can make its first one after its arrival or preemption."""
        self.gone = False
        """It left the kernel."""

    @property
    def asked(self) -> Sequence:
        return self.sequence

    def start_over(self) -> None:
        """After a preemption: prompt and output so far are computed again."""
        self.cached = self.computed = 0
        self.goal = self.sequence.prompt_tokens + self.sequence.generated
        self.sequence.preemptions += 1
