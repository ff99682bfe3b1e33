"""The description of a recording's sessions for a terminal."""

from traffic.traces.describe_sessions import SessionsDescription, Spread
from traffic.traces.describe_text import COLUMNS


def sessions_text(about: SessionsDescription) -> str:
    names = ["turns", "turns in a row", "delay (s)", "shortest (s)"]
    spreads = [about["turns_per_session"], about["turns_in_a_row"], about["delay_s"], about["shortest_s"]]
    lines = [sessions_and_turns(about["sessions"], about["turns"]), ""]
    lines.append(f"{'':<15}" + "".join(f"{name:>9}" for name in COLUMNS))
    lines += [_row(name, spread) for name, spread in zip(names, spreads, strict=True)]
    lines.append(
        "A delay lies between the last answer that a turn waits for and the turn; the shortest way through a "
        "session is its delays."
    )
    if about["waiting_for_several"]:
        lines.append(f"Turns that wait for several answers: {about['waiting_for_several']:,}.")
    if about["stamped"]:
        lines.append(f"Turns that leave at their stamp, or with the answer before: {about['stamped']:,}.")
    if about["prompt_growth"] is not None:
        lines.append(
            f"The last prompt of a session is {about['prompt_growth']:.3g} times its first (median)."
        )
    return "\n".join(lines)


def sessions_and_turns(sessions: int, turns: int) -> str:
    return f"{sessions:,} session{'s' * (sessions != 1)} of {turns:,} turn{'s' * (turns != 1)}"


def _row(name: str, spread: Spread | None) -> str:
    if spread is None:
        return f"{name:<15}" + f"{'-':>9}" * len(COLUMNS)
    figures = {"mean": spread["mean"], "min": spread["min"], **spread["quantiles"], "max": spread["max"]}
    return f"{name:<15}" + "".join(f"{_figure(figures[column]):>9}" for column in COLUMNS)


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"
