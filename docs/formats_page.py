"""`docs/formats.md`: the files of others that are read and written, from the tables that read them."""

from e80sim.measured import FORMATS as MEASURED

HEAD = """# Formats

Written from the tables of formats; `make docs` renews it. Recorded traffic, its sessions and its prefix
blocks have a page of their own: [traces.md](traces.md).
"""

MEASURED_HEAD = """## Measured requests

What a load tool or an engine measured, request by request: `e80sim validate FILE` replays it. The
format is told by columns or keys; `--format` overrules it. Whatever the tool calls them, the times of a
request count from when it was sent, and the time per output token leaves the first token out: it is
(last token - first token) / (tokens - 1). Requests that failed are counted, and not replayed.

| format | file | what is read |
|---|---|---|"""


def render() -> str:
    rows = [f"| `{name}` | {known.title} | {known.fields} |" for name, known in MEASURED.items()]
    return "\n".join([HEAD, MEASURED_HEAD, *rows, ""])
