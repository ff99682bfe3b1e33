"""How long programs have to stand still for a share of a processor to hold: arithmetic on times, no more."""

SAVED_S, SAVED_WHEN_PRESSED_S = 0.005, 0.5
"""CPU time that nobody wanted is lost, but for the share of so long.

Of what was wanted more is kept: the machine may have been late in giving it, and we in letting go on.
"""
PRESSED_S = 0.25
"""Somebody who was held back so short a time ago wants all that there is."""
TOLERANCE_S = 0.002


class CpuShare:
    def __init__(self, share: float, now_s: float) -> None:
        self._share = share
        self._credit_s = 0.0
        self._looked_at = now_s
        self._held_until = -PRESSED_S
        """When somebody was last held back."""
        self.used_s = 0.0

    def pause_s(self, used_s: float, now_s: float) -> float:
        """`used_s` of CPU time since the last look; 0 where they may go on."""
        share, elapsed_s = self._share, now_s - self._looked_at
        self._looked_at = now_s
        self.used_s += used_s
        pressed = now_s - self._held_until < PRESSED_S
        most_s = share * (SAVED_WHEN_PRESSED_S if pressed else SAVED_S)
        self._credit_s = min(most_s, self._credit_s + elapsed_s * share - used_s)
        if self._credit_s > -share * TOLERANCE_S:
            return 0.0
        pause_s = -self._credit_s / share
        self._held_until = now_s + pause_s
        return pause_s
