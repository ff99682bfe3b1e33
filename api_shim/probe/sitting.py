"""A probe on the command line, from its plan to the directory that it leaves."""

import asyncio
import sys
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import typer

from api_shim.probe.directory import REPORT, write
from api_shim.probe.endpoint import Endpoint
from api_shim.probe.engine import Probe, Stopped
from api_shim.probe.fitted import page
from api_shim.probe.ledger import Ledger
from api_shim.probe.pace import Pace
from api_shim.probe.plan import Plan
from api_shim.probe.wording import Wording
from e80sim.mistakes import FAILED, INTERRUPTED, UserError, say, stop
from sim.run.progress import Progress

FORMAT = 1


@dataclass
class Sitting:
    plan: Plan
    ledger: Ledger
    seed: int
    out: Path
    probe: Probe

    @classmethod
    def of(
        cls, plan: Plan, ledger: Ledger, *, key: str | None, timeout_s: float, seed: int, out: Path
    ) -> "Sitting":
        pace = Pace(plan.rate_per_s, plan.burst)
        endpoint = Endpoint(plan.url, key=key, timeout_s=timeout_s)
        return cls(plan, ledger, seed, out, Probe(endpoint, plan.model, pace, ledger, Wording(seed)))

    def confirm(self, *, yes: bool) -> None:
        """UserError where nobody is there to say so."""
        sys.stderr.writelines(f"{line}\n" for line in self.plan.lines(self.ledger))
        if yes:
            return
        if not sys.stdin.isatty():
            raise UserError("nobody is there to confirm this plan: give --yes, or run it in a terminal")
        if not typer.confirm("Go ahead?", err=True):
            stop("nothing was sent", FAILED)

    def perform(self, story: Coroutine[Any, Any, None]) -> int:
        """Exit status. What was measured stays in `probe`, however it ends."""
        try:
            with Progress("probe", quiet=False) as progress:
                self.probe.on_row = partial(self._tell, progress)
                asyncio.run(self._closing(story))
        except KeyboardInterrupt:
            self.probe.stopped = Stopped("interrupted", "it was interrupted")
        if self.probe.stopped is None:
            return 0
        say(f"stopped: {self.probe.stopped.sentence}")
        return INTERRUPTED if self.probe.stopped.kind == "interrupted" else FAILED

    def _tell(self, progress: Progress) -> None:
        sent = len(self.probe.chats) + len(self.probe.trips)
        progress(min(1.0, sent / self.plan.requests), f"{sent:,} of {self.plan.requests:,} requests")

    async def _closing(self, story: Coroutine[Any, Any, None]) -> None:
        try:
            await story
        finally:
            await self.probe.close()

    def finish(self, design: Mapping[str, Any], **more: object) -> None:
        """Write the directory, unless nothing was sent; `more` goes into probe.json."""
        probe = self.probe
        if not probe.chats and not probe.trips:
            return
        facts = {
            "e80sim": version("e80sim"),
            "seed": self.seed,
            "ended": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        found = about(probe, self.plan, self.ledger, design, facts) | more
        write(self.out, found, probe.chats, probe.trips, page)
        for note in probe.notes:
            say(note)
        taken = self.ledger.taken
        usd = "" if found["taken_usd"] is None else f", {found['taken_usd']:.3g} USD"
        say(
            f"{found['sent']:,} requests, {found['failed']:,} failed; "
            f"{taken.prompt:,} prompt and {taken.output:,} output tokens{usd}"
        )
        typer.echo(self.out / REPORT)


def about(
    probe: Probe, plan: Plan, ledger: Ledger, design: Mapping[str, Any], facts: Mapping[str, Any]
) -> dict[str, Any]:
    """What probe.json says; `facts` are of whoever ran it: version, seed, when."""
    answered = sum(row.error is None for row in probe.chats)
    return {
        "format": FORMAT,
        **facts,
        "base_url": plan.url,
        "model": plan.model,
        "design": dict(design),
        "plan": plan.as_json(ledger),
        "body": {"cap": probe.body[0], **probe.body[1]},
        "sent": len(probe.chats) + len(probe.trips),
        "answered": answered,
        "failed": len(probe.chats) - answered,
        "taken_tokens": ledger.taken._asdict(),
        "taken_usd": ledger.taken_usd,
        "stopped": None if probe.stopped is None else probe.stopped._asdict(),
        "limits": probe.limits,
        "notes": probe.notes,
    }
