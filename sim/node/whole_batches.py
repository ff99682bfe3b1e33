"""Batches that nobody joins once they are full: how inference was served before continuous batching."""

from collections.abc import Callable, Iterable

from sim.node.waiting_queue import Waiting


class WholeBatches:
    """The next batch forms when the one before is through, of those who wait, in the order of their queue.

    Its members enter as slots, tokens and KV blocks allow, so they need not start in one step. Who is
    preempted keeps his place in it.
    """

    __slots__ = ("_max_delay_ps", "_size", "due_ps", "places", "together")

    def __init__(self, size: int, max_delay_ps: int | None, *, together: bool) -> None:
        """A batch forms when `size` wait, or when somebody has waited for `max_delay_ps` (None: never)."""
        self._size = size
        self._max_delay_ps = max_delay_ps
        self.together = together
        """Who has his last token leaves with the last of his batch."""
        self.places = 0
        """How many of those who wait belong to the present batch."""
        self.due_ps: int | None = None
        """When to try again if nobody comes before, None for never."""

    def form(self, now_ps: int, waiting: int, queue: Iterable[Waiting]) -> bool:
        """Whether the next batch is complete, now that `waiting` wait."""
        self.due_ps = None
        self.places = min(waiting, self._size)
        if self.places == self._size:
            return True
        if self._max_delay_ps is not None and waiting:
            # Fewer than a batch wait, so looking at all of them is no work that grows.
            self.due_ps = min(work.arrived[0] for work in queue) + self._max_delay_ps
            if self.due_ps <= now_ps:
                return True
        self.places = 0
        return False


BatchAdmission = Callable[[int, int | None], WholeBatches | None]
"""From the size of a batch and the longest wait for it; None: whoever waits may enter at any step."""


def continuous(_size: int, _max_delay_ps: int | None) -> None:
    return None


def static(size: int, _max_delay_ps: int | None) -> WholeBatches:
    """As many as a batch holds, however long that takes; they leave together."""
    return WholeBatches(size, None, together=True)


def dynamic(size: int, max_delay_ps: int | None) -> WholeBatches:
    """As many as there are when the first has waited long enough; each leaves when it has its last token."""
    return WholeBatches(size, max_delay_ps, together=False)


ADMISSIONS: dict[str, BatchAdmission] = {"continuous": continuous, "static": static, "dynamic": dynamic}
"""When those who wait may enter the batch. A new one is a function and a line here."""
