"""Why a request did not complete: one name for a sentence, one for a verdict, one for a legend."""

from typing import NamedTuple


class Cause(NamedTuple):
    who: str
    """The subject of a sentence: `the tokens limit refuses 12 %`."""
    fate: str
    """Of the requests, in a verdict; empty where that is no fate."""
    title: str
    verb: str = "refuses"


def _limit(what: str, unit: str) -> Cause:
    return Cause(f"the {what} limit", f"were rejected by the {what} limit", f"Rejected: {unit} per minute")


CAUSES = {
    "rejected_requests_limit": _limit("requests", "requests"),
    "rejected_tokens_limit": _limit("tokens", "tokens"),
    "rejected_input_tokens_limit": _limit("input tokens", "input tokens"),
    "rejected_output_tokens_limit": _limit("output tokens", "output tokens"),
    "rejected_uncached_tokens_limit": _limit("uncached tokens", "uncached tokens"),
    "rejected_context": Cause(
        "the context length",
        "were rejected because they exceed the context",
        "Rejected: longer than the context",
    ),
    "rejected_saturated": Cause(
        "the gateway's full queue",
        "were rejected at the gateway, whose queue was full",
        "Rejected: gateway queue full",
    ),
    "rejected_ttl_expired": Cause(
        "the time to live in the gateway's queue",
        "were rejected after their time to live in the gateway's queue",
        "Rejected: time to live in the gateway's queue",
    ),
    "rejected_no_endpoints": Cause(
        "a pool without nodes", "were rejected because no node took requests", "Rejected: no node"
    ),
    "rejected_max_num_queued_reqs": Cause(
        "a node's limit of requests",
        "were rejected by a node with too many requests",
        "Rejected: requests in the node",
    ),
    "rejected_max_num_queued_tokens": Cause(
        "a node's limit of queued tokens",
        "were rejected by a node with too many prompt tokens before them",
        "Rejected: prompt tokens in the node's queue",
    ),
    "cancelled": Cause("the caller", "were cancelled by the caller", "Cancelled by the caller", "cancels"),
    "timeout": Cause("a time-out", "timed out", "Timed out", "ends"),
    "node_lost": Cause("the loss of a node", "were lost with a node", "Node lost", "ends"),
    "path_lost": Cause("the loss of the network", "were lost on the network", "Path lost", "ends"),
    "unfinished": Cause("the end of the run", "", "Unfinished when the run ended", "cuts off"),
}
"""By outcome; every one but `completed`."""
FAILED = ("timeout", "node_lost", "path_lost")
