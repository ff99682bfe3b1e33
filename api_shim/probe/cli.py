"""`e80sim probe`: measure a real endpoint gently, its plan stated and confirmed before the first request."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from e80sim.mistakes import FAILED, INTERRUPTED, UserError, say, stop

if TYPE_CHECKING:
    from api_shim.probe.engine import Probe
    from api_shim.probe.ledger import Ledger
    from api_shim.probe.plan import Plan

app = typer.Typer(add_completion=False)

MOST_REQUESTS = 100_000
MOST_LENGTH = 2_000_000
MOST_AT_ONCE = 256
MOST_RATE = 10_000.0
STOPS = "it stops at the first 429, after 3 failures one behind the other, and at Ctrl-C; what it has is kept"


@app.command()
def probe(
    base_url: Annotated[
        str, typer.Option(metavar="URL", help="of the API, such as https://api.example.com/v1")
    ],
    model: Annotated[str, typer.Option(help="as the endpoint calls it")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="a directory that does not exist yet")],
    api_key: Annotated[
        str,
        typer.Option(metavar="VARIABLE", help="the environment variable that holds the key, if there is one"),
    ] = "OPENAI_API_KEY",
    requests: Annotated[
        int, typer.Option(min=1, max=MOST_REQUESTS, help="at most; more make more rounds")
    ] = 100,
    rate: Annotated[
        float, typer.Option(min=0.001, max=MOST_RATE, help="requests per second that are never exceeded")
    ] = 1.0,
    burst: Annotated[
        int,
        typer.Option(min=1, max=MOST_AT_ONCE, help="so many may leave together; on the mean the rate holds"),
    ] = 1,
    prompts: Annotated[
        str, typer.Option(metavar="N,N,...", help="tokens of prompts, about")
    ] = "64,256,1024,2048",
    outputs: Annotated[str, typer.Option(metavar="N,N,...", help="tokens of answers, at most")] = "16,64,256",
    concurrency: Annotated[str, typer.Option(metavar="N,N,...", help="requests at once")] = "1,2,4,8",
    price: Annotated[
        str | None,
        typer.Option(
            metavar="IN,OUT", help="USD for a million input tokens, and for a million output tokens"
        ),
    ] = None,
    max_tokens_total: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="input and output together; never exceeded")
    ] = None,
    spend: Annotated[
        float | None, typer.Option(min=0.0, metavar="USD", help="never exceeded; needs --price")
    ] = None,
    timeout: Annotated[float, typer.Option(min=0.1, max=3600, metavar="S", help="for a whole answer")] = 60.0,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="do not ask whether the plan is right")] = False,
    seed: Annotated[
        int | None,
        typer.Option(min=0, help="of prompts and order; default: a new one, that no cache has seen"),
    ] = None,
) -> None:
    """Measure a real endpoint: round trip, TTFT by prompt length, the time of a token, several at once.

    Example: e80sim probe --base-url https://api.example.com/v1 --model m --price 0.1,0.4 --spend 0.1 --out p
    """
    from api_shim.probe.design import Design
    from api_shim.probe.plan import Plan

    _require_new(out)
    design = Design.fitting(
        _numbers("--prompts", prompts, 1, MOST_LENGTH),
        _numbers("--outputs", outputs, 2, MOST_LENGTH),
        _numbers("--concurrency", concurrency, 1, MOST_AT_ONCE),
        requests,
    )
    ledger = _ledger(price, max_tokens_total, spend)
    at_once = ", ".join(map(str, design.concurrency))
    what = f"{design.rounds} rounds of {len(design.kinds)} kinds, one at a time" + (
        f"; then {at_once} at once" if at_once else ""
    )
    plan = Plan(base_url, model, design.requests, what, rate, burst, design.expects, design.at_most, STOPS)
    prober = _prober(plan, api_key, timeout, ledger, seed := _seed(seed))
    _confirm(plan, ledger, yes=yes)
    shape = {"prompts": design.prompts, "outputs": design.outputs, "concurrency": (1, *design.concurrency)}
    status = _perform(prober, prober.run(design, seed))
    _finish(prober, plan, ledger, {**shape, "rounds": design.rounds}, seed, out)
    raise typer.Exit(status)


def _prober(plan: "Plan", api_key: str, timeout: float, ledger: "Ledger", seed: int) -> "Probe":
    from api_shim.probe.endpoint import Endpoint
    from api_shim.probe.engine import Probe
    from api_shim.probe.pace import Pace
    from api_shim.probe.wording import Wording

    endpoint = Endpoint(plan.url, key=os.environ.get(api_key), timeout_s=timeout)
    return Probe(endpoint, plan.model, Pace(plan.rate_per_s, plan.burst), ledger, Wording(seed))


def _confirm(plan: "Plan", ledger: "Ledger", *, yes: bool) -> None:
    sys.stderr.writelines(f"{line}\n" for line in plan.lines(ledger))
    if yes:
        return
    if not sys.stdin.isatty():
        raise UserError("nobody is there to confirm this plan: give --yes, or run it in a terminal")
    if not typer.confirm("Go ahead?", err=True):
        stop("nothing was sent", FAILED)


def _perform(prober: "Probe", story: Any) -> int:  # noqa: ANN401 -- a coroutine
    """Exit status. What was measured stays in `prober`, however it ends."""
    import asyncio

    from api_shim.probe.engine import Stopped

    try:
        asyncio.run(_closing(prober, story))
    except KeyboardInterrupt:
        prober.stopped = Stopped("interrupted", "it was interrupted")
    if prober.stopped is None:
        return 0
    say(f"stopped: {prober.stopped.sentence}")
    return INTERRUPTED if prober.stopped.kind == "interrupted" else FAILED


async def _closing(prober: "Probe", story: Any) -> None:  # noqa: ANN401
    try:
        await story
    finally:
        await prober.close()


def _finish(
    prober: "Probe", plan: "Plan", ledger: "Ledger", design: dict[str, Any], seed: int, out: Path
) -> None:
    from datetime import UTC, datetime
    from importlib.metadata import version

    from api_shim.probe.directory import REPORT, write
    from api_shim.probe.fitted import page
    from api_shim.probe.performed import about

    if not prober.chats and not prober.trips:
        return
    facts = {
        "e80sim": version("e80sim"),
        "seed": seed,
        "ended": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    found = about(prober, plan, ledger, design, facts)
    write(out, found, prober.chats, prober.trips, page)
    for note in prober.notes:
        say(note)
    usd = "" if found["taken_usd"] is None else f", {found['taken_usd']:.3g} USD"
    say(
        f"{found['sent']:,} requests, {found['failed']:,} failed; "
        f"{ledger.taken.prompt:,} prompt and {ledger.taken.output:,} output tokens{usd}"
    )
    typer.echo(out / REPORT)


def _require_new(out: Path) -> None:
    if out.exists():
        raise UserError(f"--out {out} exists: name a directory that does not")


def _ledger(price: str | None, most_tokens: int | None, most_usd: float | None) -> "Ledger":
    from api_shim.probe.ledger import Ledger, Prices

    if price is None:
        if most_usd is not None:
            raise UserError(f"--spend {most_usd:g} cannot be kept without --price IN,OUT")
        return Ledger(None, most_tokens, None)
    try:
        usd = [float(part) for part in price.split(",")]
    except ValueError:
        usd = []
    if len(usd) != 2 or not all(0 <= one < 1e6 for one in usd):
        raise UserError(f"--price {price}: two prices in USD for a million tokens, such as 0.1,0.4")
    return Ledger(Prices(*usd), most_tokens, most_usd)


def _numbers(option: str, text: str, least: int, most: int) -> list[int]:
    try:
        found = [int(part) for part in text.split(",")]
    except ValueError:
        found = []
    if not found or not all(least <= one <= most for one in found):
        raise UserError(f"{option} {text}: whole numbers from {least} to {most:,} with commas between")
    return found


def _seed(stated: int | None) -> int:
    import secrets

    return secrets.randbelow(2**32) if stated is None else stated
