"""Integer picoseconds from the milliseconds and seconds of tables and scenarios."""

PS_PER_MS = 10**9
PS_PER_S = 10**12


def ps_of_ms(milliseconds: float) -> int:
    return round(milliseconds * PS_PER_MS)


def ps_of_s(seconds: float) -> int:
    return round(seconds * PS_PER_S)


def s_of_ps(at_ps: int) -> float:
    return at_ps / PS_PER_S
