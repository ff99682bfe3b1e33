"""Counts in buckets, cheap enough to fill a dozen of them for every request."""

from bisect import bisect_left

PS_PER_US = 10**6


def decades(first: int, count: int, per_decade: int) -> tuple[int, ...]:
    """Bounds in equal ratios."""
    return tuple(round(first * 10 ** (step / per_decade)) for step in range(count * per_decade + 1))


SPANS_PS = decades(PS_PER_US, 9, 8)
"""From a microsecond to 17 minutes, eight to the decade: vLLM's own begin at a millisecond."""
LATENESS_PS = decades(PS_PER_US, 9, 16)
TOKENS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000)


class Histogram:
    """`bounds` are the upper ends of the buckets; what is larger goes into one more. Negative counts as 0."""

    __slots__ = ("bounds", "counts", "max", "sum", "total")

    def __init__(self, bounds: tuple[int, ...] = LATENESS_PS) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0
        self.sum = 0
        self.max = 0

    def observe(self, value: int) -> None:
        """Without calls of `max`, which would take half of its time."""
        if value < 0:  # noqa: PLR1730
            value = 0
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += 1
        self.sum += value
        if value > self.max:  # noqa: PLR1730
            self.max = value

    def observe_steps(self, first: int, slope: int, steps: int, each: int = 1) -> None:
        """`each` times `first`, `first + slope` and so on, `steps` values, at the price of the buckets."""
        done = 0
        while done < steps:
            bucket = bisect_left(self.bounds, first + slope * done)
            until = steps
            if slope and bucket < len(self.bounds):
                until = min(steps, (self.bounds[bucket] - first) // slope + 1)
            self.counts[bucket] += (until - done) * each
            done = until
        self.total += steps * each
        self.sum += (steps * first + slope * (steps * (steps - 1) // 2)) * each
        self.max = max(self.max, first + slope * (steps - 1))

    def merge(self, other: "Histogram") -> None:
        """What `other`, of the same bounds, has seen counts here too."""
        assert self.bounds == other.bounds
        self.counts = [mine + its for mine, its in zip(self.counts, other.counts, strict=True)]
        self.total += other.total
        self.sum += other.sum
        self.max = max(self.max, other.max)

    def quantile(self, share: float) -> int | None:
        """The upper end of the bucket in which `share` of all values is reached, None without any."""
        if not self.total:
            return None
        wanted, seen = share * self.total, 0
        for bound, count in zip(self.bounds, self.counts, strict=False):
            seen += count
            if seen >= wanted:
                return min(bound, self.max)
        return self.max
