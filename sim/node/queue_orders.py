"""Who of those that wait at a node goes next, by name: a new order is a function or class, and a line."""

from collections.abc import Callable
from typing import Any

from sim.node.fair_queue import Fair
from sim.node.waiting_queue import FirstComeFirstServed, Sorted, WaitingQueue


def by_priority() -> Sorted[Any]:
    """The lower number first, as in vLLM; first come first served among equals."""
    return Sorted(lambda asked: asked.priority, ranked=True)


def shortest_first() -> Sorted[Any]:
    """By the prompt: how long an answer will be, nobody knows before."""
    return Sorted(lambda asked: asked.prompt_tokens)


QueueOrder = Callable[[], WaitingQueue[Any]]
"""Makes an empty queue."""
QUEUE_ORDERS: dict[str, QueueOrder] = {
    "fcfs": FirstComeFirstServed,
    "priority": by_priority,
    "shortest_first": shortest_first,
    "fair": Fair,
}
"""docs/extending.md"""
