"""Values that remember which of them were read: a report lists what its answer rests on, and no more."""

from collections.abc import Iterable, Mapping

from e80sim.mistakes import UserError
from hwmodels.entry import DenseMs, Entry, load_entry, names
from hwmodels.value import Value


class Sheet:
    def __init__(
        self,
        entry: Entry,
        values: Mapping[str, Value],
        notes: tuple[str, ...] = (),
        dense_ms_by_tokens: DenseMs | None = None,
        timed_on: int | None = None,
        *,
        holds_communication: bool = False,
    ) -> None:
        """`timed_on` is how many GPUs shared the layers when the steps of its fit were timed."""
        self.timed_on = timed_on
        self.holds_communication = holds_communication
        self.notes = notes
        self.dense_ms_by_tokens = dense_ms_by_tokens
        self._entry = entry
        self._values = values
        self._read: dict[str, Value] = {}

    def get(self, name: str) -> float | None:
        """None where nobody states it."""
        value = self._values.get(name)
        if value is None:
            return None
        self._read[name] = value
        return value.value

    def __getitem__(self, name: str) -> float:
        value = self.get(name)
        if value is None:
            others = self._presets_with(name)
            raise UserError(f"{self._entry.name} has no {name}: state it, or choose another preset{others}")
        return value

    def add(self, values: Iterable[Value]) -> None:
        """As read, from another entry."""
        self._read |= {value.name: value for value in values}

    def is_stated(self, name: str) -> bool:
        return name in self._values

    @property
    def read(self) -> tuple[Value, ...]:
        return tuple(self._read.values())

    def _presets_with(self, name: str) -> str:
        """Such as ` (h100, h200)`."""
        entries = map(load_entry, names(self._entry.kind))
        able = [entry.name for entry in entries if any(value.name == name for value in entry.all_values())]
        return f" ({', '.join(able)})" if able else ""
