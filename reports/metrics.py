"""What every number of a report means: name, formula, unit and the function, each written once.

Durations are sums and differences of the stamps in reports/record.py, so the phases of a request add up to
its end-to-end time to the picosecond. Latency counts from the intended send: a stalled sender hides nothing.
"""

from dataclasses import dataclass

import numpy as np

from reports.columns import Columns, Floats, Ints, Mask
from reports.record import OUTCOMES, PS_PER_S

PROBABILITIES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p99_9": 0.999}
REJECTED = tuple(outcome for outcome in OUTCOMES if outcome.startswith("rejected_"))


@dataclass(frozen=True, slots=True)
class Window:
    """What is measured: requests meant to be sent in [start, end)."""

    start_ps: int
    end_ps: int

    @classmethod
    def of(cls, warm_up_s: float, horizon_s: float) -> "Window":
        return cls(round(warm_up_s * PS_PER_S), round(horizon_s * PS_PER_S))

    @property
    def length_s(self) -> float:
        return (self.end_ps - self.start_ps) / PS_PER_S

    @property
    def second_half(self) -> "Window":
        return Window(self.start_ps + (self.end_ps - self.start_ps) // 2, self.end_ps)

    def offered(self, columns: Columns) -> Mask:
        return self.inside(columns, "intended_ps")

    def inside(self, columns: Columns, stamp: str) -> Mask:
        """Whether the stamp lies in it."""
        return columns.each(lambda part: (part[stamp] >= self.start_ps) & (part[stamp] < self.end_ps), stamp)


@dataclass(frozen=True, slots=True)
class Duration:
    """Stamps added minus stamps taken away."""

    name: str
    title: str
    plus: tuple[str, ...]
    minus: tuple[str, ...]
    meaning: str

    @property
    def formula(self) -> str:
        return " + ".join(self.plus) + "".join(f" - {name}" for name in self.minus)

    def ps(self, columns: Columns) -> Ints:
        """For completed requests, which have every stamp."""
        return columns.each(self._ps, *self.stamps)

    @property
    def stamps(self) -> tuple[str, ...]:
        return tuple(f"{name}_ps" for name in (*self.plus, *self.minus))

    def _ps(self, columns: Columns) -> Ints:
        total = np.zeros(len(columns), np.int64)
        for name in self.plus:
            total += columns[f"{name}_ps"]
        for name in self.minus:
            total -= columns[f"{name}_ps"]
        return total

    def seconds(self, columns: Columns) -> Floats:
        return columns.each(lambda part: self._ps(part) / PS_PER_S, *self.stamps)


@dataclass(frozen=True, slots=True)
class Definition:
    """A number that is not one difference of stamps."""

    name: str
    title: str
    unit: str
    formula: str
    meaning: str


TTFT = Duration(
    "ttft",
    "Time to first token",
    ("first_seen",),
    ("intended",),
    "Until the caller has the first token; streamed requests only, since others see no token before the end.",
)
E2E = Duration("e2e", "End-to-end time", ("ended",), ("intended",), "Until the caller has the last token.")
QUEUE = Duration(
    "queue",
    "Queue",
    ("started",),
    ("admitted", "overhead"),
    "Waiting for a node, from the gateway's yes to the first step that holds a part of it.",
)
FELT = Duration(
    "felt",
    "Felt latency",
    ("ended",),
    ("intended",),
    "What the user waits: of the user request where the source has an app, else the same as E2E.",
)
TPOT = Definition(
    "tpot",
    "Time per output token",
    "s",
    "(e2e - ttft) / (output_tokens / samples - 1)",
    "Of one completion; the samples of a request are made side by side. The first token is left out; "
    "undefined for one token, and for requests that were not streamed.",
)

PHASES = (
    Duration(
        "client_wait",
        "Client wait",
        ("sent",),
        ("intended",),
        "The sender was late, or its client had other attempts before; shown when it was.",
    ),
    Duration("set_up", "Set-up", ("connected",), ("sent",), "DNS, TCP and TLS of a connection not yet open."),
    Duration(
        "network_out", "Network out", ("arrived",), ("connected",), "The request travels to the gateway."
    ),
    Duration("admission", "Admission", ("admitted",), ("arrived",), "The gateway's own queue and service."),
    Duration(
        "overhead",
        "Overhead",
        ("overhead",),
        (),
        "At the node before its engine: the front end of a GPU's, fixed work of an ASIC.",
    ),
    QUEUE,
    Duration("prefill", "Prefill", ("first",), ("started",), "From its first step to its first token."),
    Duration("decode", "Decode", ("last",), ("first",), "First to last token, preemptions included."),
    Duration("return", "Return", ("ended",), ("last",), "The last token travels to the caller."),
)
"""They add up to E2E."""

USER_PHASES = (
    Duration(
        "user_set_up", "User set-up", ("connected",), ("intended",), "The user's connection to the app."
    ),
    Duration(
        "user_network_out", "User network out", ("arrived",), ("connected",), "The request reaches the app."
    ),
    Duration(
        "user_return", "User return", ("ended",), ("left",), "The answer travels from the app to the user."
    ),
)
IN_APP = Duration("in_app", "In the app", ("left",), ("arrived",), "Calls included.")
APP_WAIT = Definition(
    "app_wait",
    "Wait for the app",
    "s",
    "waited",
    "Until an instance of the app had room for the request, cold starts included; shown where any did.",
)
APP_CPU = Definition(
    "app_cpu",
    "App",
    "s",
    "left - arrived - waited - e2e of the calls on the critical path",
    "The app's own work, shared with whatever else is at work in its instance. Sequential calls are all on "
    "the critical path; of calls made at once "
    "(fan-out) only the one that ended last is.",
)
TOOL = Definition(
    "tool",
    "Tools",
    "s",
    "ended - began of tool steps",
    "Of an agent: what it waited for beside the model.",
)
SANDBOX = Definition(
    "sandbox",
    "Sandboxes",
    "s",
    "ended - began - network of sandbox steps",
    "Of an agent: sandboxes made, interpreters started, and what programs took.",
)
SANDBOX_NETWORK = Definition(
    "sandbox_network",
    "Way to sandboxes",
    "s",
    "network of sandbox steps",
    "Of an agent: from where it stands to its sandbox and back.",
)
AGENT_PHASES = (TOOL, SANDBOX, SANDBOX_NETWORK)
"""On the critical path, which is that of the branch that ended last where several went at once."""

IN_SYSTEM_AT_END = Definition(
    "in_system_at_end",
    "In the system at the horizon",
    "requests",
    "intended < horizon <= ended",
    "All replications together, warm-up included. Most of them still end, in the drain after the horizon: "
    "those that do not are `unfinished`.",
)
RATES = (
    Definition(
        "offered_per_s",
        "Offered",
        "requests/s",
        "requests intended in the window / window",
        "Model requests meant to be sent between warm-up and horizon, whatever became of them.",
    ),
    Definition(
        "carried_per_s",
        "Carried",
        "requests/s",
        "completed requests that ended in the window / window",
        "What the platform finished in that time.",
    ),
    Definition(
        "rejected_per_s",
        "Rejected",
        "requests/s",
        "rejected of the offered / window",
        "By any limit or check.",
    ),
    Definition(
        "asked_per_s",
        "Asked",
        "asks/s",
        "asks intended in the window / window",
        "An ask is what a user wants: a user request where the source has an app, else a model request.",
    ),
    Definition(
        "goodput_per_s",
        "Goodput",
        "asks/s",
        "good asks / window",
        "A good ask completed and met every objective, each of its calls included. Failed, rejected and "
        "unfinished ones did not. An objective on a number that a request does not have does not judge it.",
    ),
    Definition(
        "attainment",
        "Attainment",
        "share",
        "good asks / asks that can be judged",
        "Of the totals of all replications. Failed asks count as asked. Asks with none of the limited "
        "numbers count neither way; where no answer has one, attainment is not judged.",
    ),
    Definition(
        "output_tokens_per_s",
        "Output tokens",
        "tokens/s",
        "output tokens of completed requests that ended in the window / window",
        "Tokens of requests that ended otherwise are left out.",
    ),
)
RETRIES = (
    Definition(
        "asks_per_s",
        "Asks",
        "asks/s",
        "asks intended in the time / time",
        "Of sources whose clients retry or hedge. What a caller wants is one ask, whatever it takes.",
    ),
    Definition(
        "attempts_per_s",
        "Requests",
        "requests/s",
        "attempts intended in the time / time",
        "Of the same sources: the first attempts of their asks, retries and copies.",
    ),
    Definition(
        "answered_per_s",
        "Answered",
        "asks/s",
        "completed asks that ended in the time / time",
        "By whichever attempt.",
    ),
    Definition(
        "amplification",
        "Amplification",
        "requests per ask",
        "attempts of the asks intended in the window / these asks",
        "Of the totals of all replications. A retry storm of a source is a twentieth of the run or more in "
        "which there are two requests or more for each ask that comes, and most of them fail.",
    ),
)
JAIN = Definition(
    "jain",
    "Jain's index",
    "share",
    "(sum of x)^2 / (n * sum of x^2), x the attainment of each of n tenants",
    "How evenly tenants attain their objectives: 1 where all attain the same, 1/n where one alone attains "
    "any. The mean of the replications. Shown where there are several tenants.",
)
LITTLE = Definition(
    "little",
    "Little's law",
    "requests",
    "in_system = arrival_rate * time",
    "In system: time average over the window. Arrival rate: offered per second. Time: mean stay of those "
    "offered that ended, refusals included. The sides differ by what crosses the window's edges, so a large "
    "difference says that the run is short or the system not stable.",
)
NODES = (
    Definition(
        "utilisation",
        "Utilisation",
        "share",
        "time in a step / window",
        "Mean over the model's nodes: the share of the window in which they held a request that had started.",
    ),
    Definition(
        "batch", "Batch", "requests", "sequence / busy", "Requests in a step, weighted by its length."
    ),
    Definition(
        "preemptions", "Preemptions", "per replication", "sum over nodes", "KV blocks taken and recomputed."
    ),
    Definition(
        "stage",
        "Stage",
        "s",
        "ended - began",
        "Of a disaggregated model: `prefill` to the first token; `handover` until a decode node has room "
        "and the line is free; `transfer` of the KV cache; `decode` from the first step there. Those that "
        "ended in the window; utilisation is that of the nodes of the stage.",
    ),
    Definition(
        "busiest",
        "Busiest node",
        "times the mean",
        "most requests of a node / requests per node",
        "Requests meant in the window that got to a node: 1 where routing spreads them evenly.",
    ),
)
SERIES = (
    Definition(
        "in_system",
        "In the system",
        "requests",
        "intended <= t < ended",
        "Sent and not yet answered, the way there and back included.",
    ),
    Definition(
        "waiting",
        "Waiting",
        "requests",
        "admitted + overhead <= t < started",
        "For a place in the batch. Whoever loses his place to a preemption counts as decoding.",
    ),
    Definition(
        "prefilling",
        "In prefill",
        "requests",
        "started <= t < first",
        "In the batch, before the first token.",
    ),
    Definition("decoding", "In decode", "requests", "first <= t < last", "In the batch, making tokens."),
    Definition(
        "kv_tokens",
        "KV tokens",
        "tokens",
        "prompt_tokens + (output_tokens - samples) (t - first) / (last - first)",
        "Held in the caches of all the model's nodes, from started to last. The prompt counts whole and "
        "once from the first step, and a request grows evenly from its first token to its last: what stamps "
        "can tell.",
    ),
)
"""Levels over time: averages over equal parts of the run, warm-up included."""

ITL = Definition(
    "itl",
    "Inter-token latency (ITL)",
    "s",
    "token time - time of the token before",
    "Gaps between consecutive tokens of a request, pooled over the requests of a model, as the node makes "
    "them, streamed or not, where the gap ends in the window. A preemption makes one long gap. TPOT averages "
    "each request's gaps first, so a pause that the p99 of ITL shows may vanish in it. Exact to 0.2 %.",
)

COSTS = (
    Definition(
        "power_w",
        "Power",
        "W",
        "nodes (idle_w + (busy_w - idle_w) busy share)",
        "Mean over the window, of all nodes of a model: linear in the share of time in which a node was in a "
        "step. Cooling and hosts count where the stated power holds them.",
    ),
    Definition(
        "joules_per_request",
        "Energy per request",
        "J",
        "power_w window / completed requests",
        "Those that ended in the window. What others drew is theirs to bear.",
    ),
    Definition(
        "joules_per_1m_output_tokens",
        "Energy per million output tokens",
        "J",
        "power_w window / output tokens 1e6",
        "Output tokens of the same requests.",
    ),
    Definition(
        "usd_per_request",
        "Cost per request",
        "USD",
        "nodes usd_per_hour window / completed requests",
        "A price by the hour runs whether a node works or not. Where only a price per million tokens is "
        "known it counts instead, on prompt and output tokens alike.",
    ),
    Definition(
        "usd_per_1m_output_tokens",
        "Cost per million output tokens",
        "USD",
        "nodes usd_per_hour window / output tokens 1e6",
        "Everything that was spent, prompts included, over the output tokens of the same requests.",
    ),
)


def ttft_s(columns: Columns) -> Floats:
    """Not a number where the request was not streamed."""

    def of(part: Columns) -> Floats:
        return np.where(part["stream"].astype(bool), TTFT.ps(part), np.nan) / PS_PER_S

    return columns.each(of, "stream", *TTFT.stamps)


def tpot_s(columns: Columns) -> Floats:
    return columns.each(_tpot_s, "stream", "output_tokens", "samples", *E2E.stamps, "first_seen_ps")


def _tpot_s(columns: Columns) -> Floats:
    gaps = columns["output_tokens"] / columns["samples"] - 1
    streamed = columns["stream"].astype(bool) & (gaps > 0)
    total_s = (E2E.ps(columns) - TTFT.ps(columns)) / PS_PER_S
    found: Floats = np.divide(total_s, gaps, out=np.full(len(columns), np.nan), where=streamed)
    return found


def e2e_s(columns: Columns) -> Floats:
    return E2E.seconds(columns)


def queue_s(columns: Columns) -> Floats:
    return QUEUE.seconds(columns)


REQUEST_METRICS = {"ttft": ttft_s, "tpot": tpot_s, "e2e": e2e_s, "queue": queue_s}
"""Seconds of each completed request, not a number where undefined."""
OF_ASKS = ("ttft", "tpot", "e2e")
"""Those of them that an ask has, however many attempts it took: from when the first was meant to be sent."""
