"""A histogram fine enough for an ASIC: sixteen buckets to the decade, from 1 microsecond to 17 minutes."""

from bisect import bisect_left

BUCKETS_PER_DECADE = 16
DECADES = 9
PS_PER_US = 10**6

BOUNDS_PS = tuple(
    round(PS_PER_US * 10 ** (step / BUCKETS_PER_DECADE)) for step in range(DECADES * BUCKETS_PER_DECADE + 1)
)
"""Upper ends of the buckets; what is longer falls into one more."""


class Histogram:
    """Spans in picoseconds; negative ones count as zero."""

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS_PS) + 1)
        self.total = 0
        self.sum_ps = 0
        self.max_ps = 0

    def observe(self, span_ps: int) -> None:
        span_ps = max(span_ps, 0)
        self.counts[bisect_left(BOUNDS_PS, span_ps)] += 1
        self.total += 1
        self.sum_ps += span_ps
        self.max_ps = max(self.max_ps, span_ps)

    def quantile(self, share: float) -> int | None:
        """The upper end of the bucket in which `share` of all spans is reached, None without any."""
        if not self.total:
            return None
        wanted, seen = share * self.total, 0
        for bound_ps, count in zip(BOUNDS_PS, self.counts, strict=False):
            seen += count
            if seen >= wanted:
                return min(bound_ps, self.max_ps)
        return self.max_ps
