"""A trace file as a scenario names it."""

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from e80sim.choices import KeyOf
from traffic.spec import DataPath, Spec
from traffic.traces.words import AUTO

if TYPE_CHECKING:
    from traffic.traces.formats.table import TraceFormat
    from traffic.traces.recording import Recording
    from traffic.traces.trace import Trace


def _formats() -> "Mapping[str, TraceFormat]":
    from traffic.traces.formats.table import FORMATS  # noqa: PLC0415 -- only who replays a file needs readers

    return FORMATS


FORMAT_NAME = KeyOf(_formats, beside=(AUTO,))
FormatName = Annotated[str, FORMAT_NAME, Field(description="auto: as the first row tells")]
LimitRows = Annotated[
    int, Field(ge=1, le=1_000_000_000, description="read no more than so many rows from the start")
]


class TraceFile(Spec):
    path: DataPath = Field(description="the recorded trace; relative to the scenario's folder")
    format: FormatName = AUTO
    limit_rows: LimitRows | None = None

    @cached_property
    def trace(self) -> "Trace":
        """Read on first use; raises TraceError."""
        from traffic.traces.formats.table import read_trace  # noqa: PLC0415 -- as _formats

        return read_trace(self.path, self.format, self.limit_rows)


class RecordingFile(TraceFile):
    """The same of sessions, each of which is a row of its trace, with the sizes of its first turn."""

    @cached_property
    def recording(self) -> "Recording":
        """Read on first use; raises TraceError."""
        from traffic.traces.formats.table import read_recording  # noqa: PLC0415 -- as _formats

        return read_recording(self.path, self.format, self.limit_rows)

    @cached_property
    def trace(self) -> "Trace":
        return self.recording.firsts()

    @property
    def turns_per_session(self) -> float:
        return self.recording.turns / len(self.recording.sessions)
