"""What the client of a refused request reads in the answer: its status, and when to come again."""

from sim.platform.rate_limit import QUANTITIES, Refusal
from sim.time.units import PS_PER_MS
from traffic.retry_profiles import Failure

STATUS = {
    **dict.fromkeys(QUANTITIES, 429),
    "context": 400,
    "saturated": 429,
    "ttl_expired": 429,
    "no_endpoints": 503,
    "max_num_queued_reqs": 503,
    "max_num_queued_tokens": 503,
}
"""By the cause of a refusal."""


def answer_to(refusal: Refusal) -> Failure:
    """A limit says when it has room, in whole milliseconds, or that it never has; nobody else does."""
    if refusal.cause not in QUANTITIES:
        return Failure(STATUS[refusal.cause])
    if refusal.retry_after_ps is None:
        return Failure(STATUS[refusal.cause], should_retry=False)
    return Failure(
        STATUS[refusal.cause], retry_after_s=max(1, -(-refusal.retry_after_ps // PS_PER_MS)) / 1000
    )
