"""Those who run in a fast kernel, in admission order, and who of them loses his place first."""

from typing import TypeVar

from sim.node.work import Work

W = TypeVar("W", bound=Work)


class Batch(dict[W, None]):
    """A dict for its order. The one admitted last goes first."""

    __slots__ = ()

    def victim(self) -> W:
        return next(reversed(self))


class RankedBatch(Batch[W]):
    """The least urgent go first, and of those the one admitted last: vLLM's `max((priority, arrival))`."""

    __slots__ = ("_by_priority",)

    def __init__(self) -> None:
        super().__init__()
        self._by_priority: dict[int, Batch[W]] = {}
        """None of them is empty."""

    def __setitem__(self, work: W, value: None) -> None:
        super().__setitem__(work, value)
        self._by_priority.setdefault(work.sequence.priority, Batch())[work] = None

    def __delitem__(self, work: W) -> None:
        super().__delitem__(work)
        priority = work.sequence.priority
        equals = self._by_priority[priority]
        del equals[work]
        if not equals:
            del self._by_priority[priority]

    def clear(self) -> None:
        super().clear()
        self._by_priority.clear()

    def victim(self) -> W:
        return self._by_priority[max(self._by_priority)].victim()
