"""The sections of docs/validation.md on servers under load: rates, closed loops, parallel GPUs."""

from collections.abc import Iterator, Sequence

from hwmodels.calibrate.requests.decoding import Told
from hwmodels.calibrate.requests.first_tokens import Mean
from hwmodels.calibrate.requests.fit import RequestFit
from sim.validation.closed_loops import ComparedLoop, loop_errors
from sim.validation.compare import QUANTILES, TITLES, Comparison
from sim.validation.loops import LoopEvidence
from sim.validation.parallel import ParallelEvidence
from sim.validation.rates import HIGHEST, RateEvidence

RATES = """\
## One H100 at four rates

Requests that vLLM 0.23 answered on one H100 (Qwen3-14B in bf16, prompts of about 986 tokens, answers of
128), seen by the client, 600 s each at 2, 6, 8 and 12 requests a second in open loop; from
inference-sim/residency-vllm at 2641b57, which states no licence: only figures are shown. The 12/s run is of a
patched server, about 1 % slower by its authors. The law is fitted to 265 steps that aiconfigurator 0.12.0
composes from its kernels, none from these runs.

- *As composed*: that law, and each step formed when the one before it has ended.
- *With what they tell*: `e80sim calibrate` with the composed steps, `--gemm-tile-tokens 128` and
  `--requests` for each of the four runs. It fits five numbers, the same at all rates, and finds that the
  engine schedules a step ahead.
- *12/s predicted*: the same with the other three runs alone, held to no bound. At most eight a second hardly
  tell the price of KV tokens in mixed steps: what a higher rate takes is 3 % off.

A model that replays its own answers with all times moved by 0.07 % is off by 5 to 6 % in TTFT, request by
request, since the phase of the steps is chance: so the mean and the quantiles are held to bounds, too.
The capacity is the rate at which the simulated mean E2E would be the one that was measured at 12/s.
"""

LOOPS = """\
## Closed loops

Llama-3.1-8B in bf16 on one H100 under TensorRT-LLM 1.0.0rc3: 8 to 128 clients that ask again as soon as they
are answered, means as aiconfigurator 0.12.0 has them (Apache-2.0). The law is composed of that engine's
kernels, with tiles of 128 tokens and a scheduler that forms a step ahead, as that engine's does by
default; nothing is fitted to these rows. Each is replayed as a closed loop in its steady state: the
clients do not start in step, and the first and the last answer of each are not counted. How many requests
the measurements had is not known, and their TTFT is that of a start at once, so it is left out.
"""

PRESET = """\
The preset `h100_vllm` as it ships, against means that were published of vLLM with Qwen3-8B on an H100
(gpustack/gpustack at 47277d7, Apache-2.0): 100 requests of 233 prompt and 221 output tokens on average. The
preset has no law of that LLM; that of Llama-3.1-8B stands for it, with 2 % fewer parameters.
"""

PARALLEL = """\
## Two GPUs with one model between them

300 requests that vLLM 0.19 answered with Qwen3-32B on two RTX PRO 6000, tensor-parallel width 2, from
casys-kaist/LLMServingSim at 5daddb2 (MIT). The law is fitted to the composed steps of one of the two ranks,
with tiles and a scheduler as of one such GPU. The steps leave out what ranks tell each other; a link of the
catalogue adds it. What connected the cards
nobody states. They have no NVLink, and of the two tables of all-reduces that aiconfigurator-core 0.12.0
has for this card the one of vLLM 0.19, the engine that answered, is held to the bound: by its times it was
taken where GPUs did not reach each other's memory. No figure of a link was fitted to these requests. The
other rows show what another link would change: **who does not know whether peer-to-peer access is on can
be off by a fifth.**
"""


def sections(rates: RateEvidence, loops: LoopEvidence, parallel: ParallelEvidence) -> list[str]:
    return [
        RATES,
        table(("what they tell", "four runs", "without 12/s"), _told_rows(rates)),
        table(_rate_head(), _rate_rows(rates)),
        LOOPS,
        table(("clients", "rows", "TPOT, MAPE", "mean error", "worst row"), _loop_rows(loops.tensorrt)),
        PRESET,
        table(("clients", *_published_head()), _published_rows(loops.preset)),
        PARALLEL,
        table(
            ("link", "metric", "measured mean", "simulated mean", "error of the mean", "MAPE"),
            _parallel_rows(parallel),
        ),
    ]


def _told_rows(rates: RateEvidence) -> Iterator[tuple[str, ...]]:
    both = [_told(rates.told), _told(rates.told_without_highest)]
    for name in both[0]:
        yield name, *(told[name] for told in both)


def _told(fit: RequestFit) -> dict[str, str]:
    """By name, with 95 % intervals."""
    first = fit.first_tokens
    found = {told.name: _between(told) for told in fit.decoding.told}
    assert first.async_scheduling is not None
    found["front_end_ms"] = _between(first.front_end_ms[first.async_scheduling])
    found["launch_ms"] = _between(first.launch_ms[first.async_scheduling])
    assert first.steps_waited is not None
    ahead = "yes" if first.async_scheduling else "no"
    found["async_scheduling"] = f"{ahead}; steps waited: {_between(first.steps_waited)}"
    return found


def _between(told: Told | Mean) -> str:
    return f"{told.value:.3g} ({told.low:.3g} to {told.high:.3g})"


def _rate_head() -> tuple[str, ...]:
    quantiles = (f"p{quantile}" for quantile in QUANTILES)
    composed = ("as composed: mean", "MAPE")
    return ("rate", "metric", "measured mean", *composed, "with what they tell: mean", *quantiles, "MAPE")


def _rate_rows(rates: RateEvidence) -> Iterator[tuple[str, ...]]:
    for rate, rows in rates.replays.items():
        for plain, row in zip(rates.as_composed[rate], rows, strict=True):
            yield f"{rate}/s", TITLES[row.metric], *_both(plain, row)
    for plain, row in zip(rates.as_composed[HIGHEST], rates.predicted, strict=True):
        yield f"{HIGHEST}/s predicted", TITLES[row.metric], *_both(plain, row)


def _both(plain: Comparison, row: Comparison) -> tuple[str, ...]:
    return (
        f"{row.measured_mean_ms:,.1f} ms",
        signed(plain.mean_error),
        percent(plain.mape),
        signed(row.mean_error),
        *map(signed, row.quantile_errors),
        percent(row.mape),
    )


def _loop_rows(compared: Sequence[ComparedLoop]) -> Iterator[tuple[str, ...]]:
    for clients in sorted({one.row.concurrency for one in compared}):
        yield _loop_row(f"{clients}", [one for one in compared if one.row.concurrency == clients])
    yield _loop_row("all", compared)


def _loop_row(which: str, compared: Sequence[ComparedLoop]) -> tuple[str, ...]:
    errors = loop_errors(compared)["tpot"]
    return which, f"{errors.rows}", percent(errors.mape), signed(errors.bias), signed(errors.worst)


def _published_head() -> Iterator[str]:
    for title in TITLES.values():
        yield from (f"published {title}", "simulated", "error")


def _published_rows(compared: Sequence[ComparedLoop]) -> Iterator[tuple[str, ...]]:
    for one in compared:
        cells = [f"{one.row.concurrency}"]
        for metric in TITLES:
            cells += [f"{one.row.measured_ms[metric]:,.1f} ms", f"{one.simulated_ms[metric]:,.1f} ms"]
            cells.append(signed(one.error(metric)))
        yield tuple(cells)


def _parallel_rows(parallel: ParallelEvidence) -> Iterator[tuple[str, ...]]:
    for link, rows in parallel.rows.items():
        for row in rows:
            means = (f"{row.measured_mean_ms:,.1f} ms", f"{row.simulated_mean_ms:,.1f} ms")
            yield link, TITLES[row.metric], *means, signed(row.mean_error), percent(row.mape)


def table(head: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def signed(share: float) -> str:
    return f"{100 * share:+.1f} %"
