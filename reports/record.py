"""The record of a run: which columns its tables have, in which unit, and what they mean.

Stamps are int64 picoseconds since the start of the run; null where the request never got that far.
"""

from typing import NamedTuple

PS_PER_S = 10**12
LARGE = 1 << 17
"""Rows of a table that is held in memory and looked at as a whole: beyond, a column at a time."""

OUTCOMES = (
    "completed",
    "rejected_requests_limit",
    "rejected_tokens_limit",
    "rejected_input_tokens_limit",
    "rejected_output_tokens_limit",
    "rejected_uncached_tokens_limit",
    "rejected_context",
    "rejected_saturated",
    "rejected_ttl_expired",
    "rejected_no_endpoints",
    "rejected_max_num_queued_reqs",
    "rejected_max_num_queued_tokens",
    "cancelled",
    "timeout",
    "node_lost",
    "path_lost",
    "unfinished",
)
"""`unfinished`: not ended when the run did, after the drain that follows its horizon."""


class Column(NamedTuple):
    name: str
    kind: str
    """`label` (dictionary-encoded text), `int`, `flag`, or `stamp` (int64 ps, -1 in memory, null on disk)."""
    meaning: str


REQUEST_COLUMNS = (
    Column("number", "int", "unique in its replication"),
    Column("parent", "int", "number of the user request this call serves, -1 for none"),
    Column(
        "session", "int", "which conversation, or closed-loop user, of its source it belongs to, -1 for none"
    ),
    Column("turn", "int", "its place among the questions of that session, from 0"),
    Column("attempt", "int", "0 for the first try, 1 for the first retry or copy ..."),
    Column("ask", "int", "number of the first attempt of the same ask; its own where it is the only one"),
    Column("priority", "int", "the lower goes first where a node's queue looks at it"),
    Column("source", "label", "the traffic source"),
    Column("tenant", "label", "who pays"),
    Column("place", "label", "where the caller of the model is"),
    Column("model", "label", "the model's short name"),
    Column("node", "int", "index of the node in its pool, -1 if none was chosen"),
    Column("outcome", "label", "how it ended"),
    Column("finish_reason", "label", "stop or length for completed requests, else empty"),
    Column("stream", "flag", "the caller reads tokens as they come"),
    Column("cold", "flag", "a connection had to be set up"),
    Column("samples", "int", "completions asked for of the one prompt (n)"),
    Column("prompt_tokens", "int", "tokens in"),
    Column("cached_tokens", "int", "of them, found in the node's prefix cache when it was first admitted"),
    Column("output_tokens", "int", "tokens out of all its completions, as made by the time it ended"),
    Column("preemptions", "int", "times its KV blocks were taken and recomputed"),
    Column("intended_ps", "stamp", "the caller meant to send"),
    Column("sent_ps", "stamp", "the caller sent; equals intended for open-loop sources"),
    Column("connected_ps", "stamp", "the connection was usable: equals sent when it was warm"),
    Column("arrived_ps", "stamp", "the whole request reached the gateway"),
    Column("admitted_ps", "stamp", "the gateway had let it pass (its queue and service time included)"),
    Column(
        "overhead_ps", "stamp", "a duration: what precedes the engine at its node: a front end, or fixed work"
    ),
    Column("started_ps", "stamp", "start of the first step that held a part of it"),
    Column("first_ps", "stamp", "the node had its first token"),
    Column("last_ps", "stamp", "the node had its last token"),
    Column("first_seen_ps", "stamp", "the first token reached the caller"),
    Column("ended_ps", "stamp", "the last token, or the refusal, reached the caller"),
    Column("moves", "int", "times the node that it was inside was lost, and it went on at another"),
    Column("lost_out_ps", "stamp", "a duration: lost segments of the set-up and of the request"),
    Column(
        "lost_back_ps", "stamp", "a duration: of the way back, lost segments of the answer, or its last token"
    ),
)

LATER_COLUMNS = frozenset({"moves", "lost_out_ps", "lost_back_ps"})
"""Runs of the same format that older versions wrote lack these."""

USER_REQUEST_COLUMNS = (
    Column("number", "int", "the `parent` of its calls"),
    Column("source", "label", "the traffic source"),
    Column("tenant", "label", "who pays"),
    Column("place", "label", "where the user is"),
    Column("app", "label", "the app that serves it"),
    Column("app_place", "label", "where the app runs"),
    Column("calls", "int", "model calls it makes (k)"),
    Column("outcome", "label", "completed, or the outcome of the first call that failed"),
    Column("cold", "flag", "the user's connection to the app had to be set up"),
    Column("intended_ps", "stamp", "the user meant to send"),
    Column("connected_ps", "stamp", "the user's connection was usable"),
    Column("arrived_ps", "stamp", "the request reached the app"),
    Column("cpu_ps", "stamp", "a duration: the app's own work, all calls together"),
    Column("left_ps", "stamp", "the app had its answer ready"),
    Column("ended_ps", "stamp", "the answer reached the user: felt latency = ended - intended"),
    Column("waited_ps", "stamp", "a duration: it waited for an instance of the app with room for it"),
    Column("cold_start", "flag", "it came before the instance that took it was running"),
)

SESSION_ENDINGS = ("completed", "context_limit", "horizon", "unfinished")
"""`completed`: all its turns were answered. `context_limit`: the next turn would not have fit its model.
`horizon`: a closed-loop user, who asks until then. `unfinished`: it went on when the run was over. Any other
ending is the outcome of the answer that failed, as of requests.
"""

SESSION_COLUMNS = (
    Column("number", "int", "the `session` of its requests, from 0 on in its source"),
    Column("source", "label", "the traffic source"),
    Column("tenant", "label", "who pays"),
    Column(
        "ending", "label", "completed, context_limit, horizon, unfinished, or the outcome of a failed answer"
    ),
    Column("turns", "int", "questions that were asked"),
    Column("planned", "int", "questions that it would have had, -1 for a closed-loop user"),
    Column("began_ps", "stamp", "it began: the first question was meant"),
    Column("ended_ps", "stamp", "the last answer was there, or the horizon came"),
)

ASK_COLUMNS = (
    Column("number", "int", "of its first attempt: the `ask` of all its attempts"),
    Column("parent", "int", "number of the user request that it serves, -1 for none"),
    Column("session", "int", "which conversation of its source it belongs to, -1 for none"),
    Column("turn", "int", "its place in that conversation, from 0"),
    Column("source", "label", "the traffic source"),
    Column("tenant", "label", "who pays"),
    Column("place", "label", "where the caller of the model is"),
    Column("model", "label", "the model's short name"),
    Column("outcome", "label", "how it ended: completed, or as its last attempt did"),
    Column("attempts", "int", "requests sent for it, the first and the copies of hedges included"),
    Column("hedges", "int", "of them, copies sent while another was under way"),
    Column("answered_by", "int", "number of the attempt that was answered, -1 for none"),
    Column("stream", "flag", "the caller reads tokens as they come"),
    Column("samples", "int", "completions asked for of the one prompt (n)"),
    Column("prompt_tokens", "int", "tokens in, of each attempt"),
    Column("output_tokens", "int", "tokens out of the attempt that was answered, 0 for none"),
    Column("intended_ps", "stamp", "the caller meant to send the first attempt"),
    Column("first_seen_ps", "stamp", "the first token of the attempt that was answered reached the caller"),
    Column("ended_ps", "stamp", "the last token, or the last failure, reached the caller"),
)

AGENT_STEP_COLUMNS = (
    Column("number", "int", "of the user request"),
    Column("app", "label", "the agent"),
    Column("step", "label", "its name in the agent's table"),
    Column("kind", "label", "ask, tool, sandbox or fan_out"),
    Column("next", "label", "what came next: a step, `end`, or `most_steps` where the agent was cut off"),
    Column("critical", "flag", "on the critical path: of branches made at once, that which ended last"),
    Column("ask", "int", "of a step that asks: the `ask` of its model requests, -1 for none"),
    Column("network_ps", "stamp", "a duration: of a sandbox step, the way to the sandbox and back"),
    Column("began_ps", "stamp", "the step began"),
    Column("ended_ps", "stamp", "it was over"),
)

NODE_COLUMNS = (
    Column("model", "label", "the model's short name"),
    Column("node", "int", "index in its pool"),
    Column("steps", "int", "steps finished"),
    Column("busy_ps", "stamp", "a duration: total length of those steps"),
    Column("sequence_s", "int", "sum of (sequences in the step) x (its length): whole seconds"),
    Column("sequence_rest_ps", "stamp", "the rest of that sum, below a second"),
    Column("preemptions", "int", "sequences whose blocks were taken"),
    Column("prompt_tokens", "int", "prompt tokens processed, recomputed ones included"),
    Column("output_tokens", "int", "tokens made"),
    Column("kv_blocks", "int", "size of its KV pool"),
)

PREFIX_COLUMNS = (
    Column("model", "label", "the model's short name"),
    Column(
        "prefix", "label", "what its prompts begin with, by name; empty: nothing in common, or few of many"
    ),
    Column("lookups", "int", "admissions to a node, those after a preemption included"),
    Column("tokens", "int", "prompt tokens looked up by them"),
    Column("found_tokens", "int", "those found in the node's prefix cache"),
    Column("optimum_tokens", "int", "those that the best order of eviction would have found (Belady)"),
    Column("ceiling_tokens", "int", "those that a cache without end would have found"),
)

STAGES = ("prefill", "handover", "transfer", "decode")
STAGE_COLUMNS = (
    Column("number", "int", "of the request"),
    Column("model", "label", "the model's short name"),
    Column(
        "stage",
        "label",
        "prefill, handover (it has its first token and waits for a decode node), transfer, or decode",
    ),
    Column("node", "int", "where it was, of a transfer where it went"),
    Column("began_ps", "stamp", "prefill and decode: the first step that held a part of it"),
    Column("ended_ps", "stamp", "the stage was over, or the request left"),
)

PREEMPTION_CAUSES = ("growth", "priority")
PREEMPTION_COLUMNS = (
    Column("number", "int", "of the request that lost its KV blocks"),
    Column("model", "label", "the model's short name"),
    Column("node", "int", "index of the node in its pool"),
    Column(
        "cause",
        "label",
        "growth (the next tokens of a request in the batch found the pool full), or priority (a more urgent "
        "one waited and could not enter)",
    ),
    Column("by", "int", "number of the request that took its place: its own where it was its own growth"),
    Column("held_tokens", "int", "tokens of it that were in the KV cache"),
    Column(
        "found_tokens", "int", "of them, in the prefix cache when it came back: the others are computed again"
    ),
    Column("lost_ps", "stamp", "the first step without it began"),
    Column("back_ps", "stamp", "the first step with it again began; null where it left before"),
)

FAULT_COLUMNS = (
    Column("number", "int", "in the order in which they began"),
    Column("fault", "label", "its name in the scenario, or `live1`, `live2` ... where somebody broke it"),
    Column("kind", "label", "such as node_crash"),
    Column("target", "label", "what broke"),
    Column("model", "label", "whose node broke, empty for the network"),
    Column("node", "int", "its index in its pool, -1 for the network"),
    Column("began_ps", "stamp", "it broke"),
    Column("ended_ps", "stamp", "it was mended: a node takes requests again"),
    Column("failed", "int", "requests inside that failed with it"),
    Column("moved", "int", "requests inside that went on elsewhere"),
)

LIFETIME_COLUMNS = (
    Column("number", "int", "in the order in which they were ordered"),
    Column("model", "label", "the model's short name"),
    Column("node", "int", "index in its pool, which may be given again after its end"),
    Column("ordered_ps", "stamp", "the scaling policy wanted it: from here on it is paid for"),
    Column("began_ps", "stamp", "it took requests"),
    Column("drained_ps", "stamp", "it took no more"),
    Column("ended_ps", "stamp", "it was empty, and is paid for no longer"),
)

GAP_COLUMNS = (
    Column("model", "label", "the model's short name"),
    Column("from_ps", "stamp", "a duration: gaps of the bin are at least this long"),
    Column("to_ps", "stamp", "a duration: gaps of the bin are shorter than this"),
    Column("mean_ps", "stamp", "a duration: mean of the gaps of the bin, rounded down"),
    Column(
        "gaps", "int", "gaps between consecutive tokens, of all the model's nodes, that ended in the window"
    ),
)
