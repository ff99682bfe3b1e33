"""`docs/formats.md`: the files of others that are read and written, from the tables that read them."""

from e80sim.measured import FORMATS as MEASURED
from reports.exports.table import EXPORTS
from traffic.traces import FORMATS as TRACES
from traffic.traces.formats.table import TraceFormat

HEAD = """# Formats

Written from the tables of formats; `make docs` renews it. Recorded traffic, its sessions and its prefix
blocks have a page of their own: [traces.md](traces.md).
"""

MEASURED_HEAD = """## Measured requests

What a load tool or an engine measured, request by request: `e80sim validate FILE` replays it, and
`e80sim compare RUN --measured FILE` holds a run against it ([compare.md](compare.md)). The format is
told by columns or keys; `--format` overrules it. Whatever the tool calls them, the times of a
request count from when it was sent, and the time per output token leaves the first token out: it is
(last token - first token) / (tokens - 1). Requests that failed are counted, and not replayed.

| format | file | what is read |
|---|---|---|"""


EXPORTS_HEAD = """## A run in the files of others

`e80sim export RUN FILE --format F` writes the requests of one variant and replication, as a load tool
at the callers' places would have measured them: times count from when the caller sent. What a format
has no place for is told. Formats of recorded traffic, below, are written too, from what was sent.
`e80sim trace export RUN --perfetto FILE` writes a trace for ui.perfetto.dev: a process per node and per
place of callers, requests with their phases and preemptions, and queue, batch and KV tokens over time.
Of more than `--most-requests` the slowest and some of the others are drawn; counters are of all requests,
and a peak stays where it was. `make test-clients` has Perfetto's own trace processor read one, and asks it
for every slice, its depth, and every value of every counter.

| format | file |
|---|---|"""

TRACES_HEAD = """## Recorded traffic

| format | told by | or any of | times | written |
|---|---|---|---|---|"""


def render() -> str:
    measured = [f"| `{name}` | {known.title} | {known.fields} |" for name, known in MEASURED.items()]
    exports = [f"| `{name}` | {known.title} |" for name, known in EXPORTS.items()]
    traces = [_trace(name, known) for name, known in TRACES.items()]
    parts = [HEAD, MEASURED_HEAD, *measured, "", EXPORTS_HEAD, *exports, "", TRACES_HEAD, *traces, ""]
    return "\n".join(parts)


def _trace(name: str, known: TraceFormat) -> str:
    written = "traces" if known.lines else "sessions" if known.session_lines else "no"
    return f"| `{name}` | {_words(known.names)} | {_words(known.or_any_of)} | {known.stamps} | {written} |"


def _words(names: frozenset[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))
