"""How calls are told: as those of tools, or as that of a function was before there were tools."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class CallForm:
    new_id: Callable[[str], str]
    """Makes the ids of calls."""
    customs: frozenset[str] = frozenset()
    """The tools whose input is text, not JSON."""
    older: bool = False
    """`function_call` instead of `tool_calls`."""

    def in_message(self, calls: Iterable[tuple[str, str]]) -> Json:
        """What (name, arguments) of each add to a message."""
        if self.older:
            first = next(iter(calls), None)
            return {} if first is None else {"function_call": {"name": first[0], "arguments": first[1]}}
        told = [self._call(name, text) for name, text in calls]
        return {"tool_calls": told} if told else {}

    def first_delta(self, number: int, name: str, arguments: str) -> Json:
        """It alone has id and name."""
        if self.older:
            return {"function_call": {"name": name, "arguments": arguments}}
        return {"tool_calls": [{"index": number, **self._call(name, arguments)}]}

    def further_delta(self, number: int, name: str, arguments: str) -> Json:
        if self.older:
            return {"function_call": {"arguments": arguments}}
        kind, member = self._kind(name)
        return {"tool_calls": [{"index": number, kind: {member: arguments}}]}

    def finish_reason(self, reason: str) -> str:
        return "function_call" if self.older and reason == "tool_calls" else reason

    def _call(self, name: str, text: str) -> Json:
        kind, member = self._kind(name)
        return {"id": self.new_id("call_"), "type": kind, kind: {"name": name, member: text}}

    def _kind(self, name: str) -> tuple[str, str]:
        return ("custom", "input") if name in self.customs else ("function", "arguments")
