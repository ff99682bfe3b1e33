"""A trace file as a scenario names it."""

from functools import cached_property
from typing import Annotated

from pydantic import Field

from e80sim.choices import KeyOf
from traffic.spec import DataPath, Spec
from traffic.traces.formats.table import AUTO, FORMATS, read_recording, read_trace
from traffic.traces.recording import Recording
from traffic.traces.trace import Trace

FORMAT_NAME = KeyOf(FORMATS, beside=(AUTO,))
FormatName = Annotated[str, FORMAT_NAME, Field(description="auto: as the first row tells")]
LimitRows = Annotated[
    int, Field(ge=1, le=1_000_000_000, description="read no more than so many rows from the start")
]


class TraceFile(Spec):
    path: DataPath = Field(description="the recorded trace; relative to the scenario's folder")
    format: FormatName = AUTO
    limit_rows: LimitRows | None = None

    @cached_property
    def trace(self) -> Trace:
        """Read on first use; raises TraceError."""
        return read_trace(self.path, self.format, self.limit_rows)


class RecordingFile(TraceFile):
    """The same of sessions, each of which is a row of its trace, with the sizes of its first turn."""

    @cached_property
    def recording(self) -> Recording:
        """Read on first use; raises TraceError."""
        return read_recording(self.path, self.format, self.limit_rows)

    @cached_property
    def trace(self) -> Trace:
        return self.recording.firsts()

    @property
    def turns_per_session(self) -> float:
        return self.recording.turns / len(self.recording.sessions)
