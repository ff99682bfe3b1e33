"""Integer picoseconds from the milliseconds of tables and scenarios."""

PS_PER_MS = 10**9
PS_PER_S = 10**12


def ms_to_ps(ms: float) -> int:
    return round(ms * PS_PER_MS)
