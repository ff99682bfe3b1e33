"""`e80sim probe`: measure a real endpoint gently, its plan stated and confirmed before the first request."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from e80sim.mistakes import UserError

if TYPE_CHECKING:
    from api_shim.probe.design import Design
    from api_shim.probe.ledger import Ledger
    from api_shim.probe.plan import Plan

app = typer.Typer(add_completion=False)

USUAL_REQUESTS = 100
USUAL_AGAINST = 1000
USUAL_RATE = 1.0
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
        int | None,
        typer.Option(min=1, max=MOST_REQUESTS, help="at most; default: 100; with --against 1,000"),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(
            min=0.001,
            max=MOST_RATE,
            help="a second, never exceeded; default: 1, or that of the run --against",
        ),
    ] = None,
    burst: Annotated[
        int | None,
        typer.Option(
            min=1, max=MOST_AT_ONCE, help="so many may leave together; default: 1, or what the run has"
        ),
    ] = None,
    prompts: Annotated[
        str, typer.Option(metavar="N,N,...", help="tokens of prompts, about")
    ] = "64,256,1024,2048",
    outputs: Annotated[str, typer.Option(metavar="N,N,...", help="tokens of answers, at most")] = "16,64,256",
    concurrency: Annotated[str, typer.Option(metavar="N,N,...", help="requests at once")] = "1,2,4,8",
    against: Annotated[
        Path | None,
        typer.Option(metavar="RUN", help="a finished run: send its requests, and test what it predicts"),
    ] = None,
    variant: Annotated[str | None, typer.Option(help="of the run; default: its first one")] = None,
    tolerance: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="how far off a prediction may be, as a share of it")
    ] = 0.1,
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

    --against RUN sends the requests of a finished run instead, and tests what it predicts of them: exit 0 all
    supported, 1 one refuted, 3 one undecided.

    Example: e80sim probe --base-url https://api.example.com/v1 --model m --price 0.1,0.4 --spend 0.1 --out p
    """
    _require_new(out)
    ledger, seed = _ledger(price, max_tokens_total, spend), _seed(seed)
    key = os.environ.get(api_key)
    if against is not None:
        from api_shim.probe.against.perform import foreseen, perform, plan_of
        from api_shim.probe.sitting import Sitting

        found = foreseen(against, variant, model, tolerance)
        traffic = found.within(ledger, requests or USUAL_AGAINST)
        plan = plan_of(found, traffic, base_url, model, rate, burst)
        sitting = Sitting.of(plan, ledger, key=key, timeout_s=timeout, seed=seed, out=out)
        raise typer.Exit(perform(found, traffic, sitting, yes=yes))
    if variant is not None:
        raise UserError(f"--variant {variant} is of a run: give --against, too")
    design = _design(prompts, outputs, concurrency, requests or USUAL_REQUESTS)
    plan = _plan(design, base_url, model, rate or USUAL_RATE, burst or 1)
    raise typer.Exit(_measure(design, plan, ledger, key, timeout, seed, out, yes=yes))


def _design(prompts: str, outputs: str, concurrency: str, requests: int) -> "Design":
    from api_shim.probe.design import Design

    return Design.fitting(
        _numbers("--prompts", prompts, 1, MOST_LENGTH),
        _numbers("--outputs", outputs, 2, MOST_LENGTH),
        _numbers("--concurrency", concurrency, 1, MOST_AT_ONCE),
        requests,
    )


def _plan(design: "Design", url: str, model: str, rate: float, burst: int) -> "Plan":
    from api_shim.probe.plan import Plan

    at_once = ", ".join(map(str, design.concurrency))
    what = f"{design.rounds} rounds of {len(design.kinds)} kinds, one at a time"
    what += f"; then {at_once} at once" if at_once else ""
    return Plan(url, model, design.requests, what, rate, burst, design.expects, design.at_most, STOPS)


def _measure(
    design: "Design",
    plan: "Plan",
    ledger: "Ledger",
    key: str | None,
    timeout: float,
    seed: int,
    out: Path,
    *,
    yes: bool,
) -> int:
    from api_shim.probe.sitting import Sitting

    sitting = Sitting.of(plan, ledger, key=key, timeout_s=timeout, seed=seed, out=out)
    sitting.confirm(yes=yes)
    status = sitting.perform(sitting.probe.run(design, seed))
    at_once = (1, *design.concurrency)
    shape = {"prompts": design.prompts, "outputs": design.outputs, "concurrency": at_once}
    sitting.finish({**shape, "rounds": design.rounds})
    return status


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
