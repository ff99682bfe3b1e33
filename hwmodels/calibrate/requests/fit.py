"""A law fitted to requests: its terms from decoding, then what stands before a step from first tokens."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from e80sim.measured import MeasuredRequests
from hwmodels.calibrate.requests.course import Course, Law, Stamps, course
from hwmodels.calibrate.requests.decoding import DecodingFit, answer_errors, fit_decoding
from hwmodels.calibrate.requests.first_tokens import FirstTokens, fit_first_tokens
from hwmodels.calibrate.step_table import FloatArray
from hwmodels.calibrate.tiles import USUAL
from hwmodels.dense import NO_TILES
from hwmodels.gpu_step import GpuStep
from hwmodels.llm import Llm

CONFOUNDED = 0.9
READINGS = 2


@dataclass(frozen=True, slots=True)
class RequestFit:
    names: tuple[str, ...]
    """Of the files."""
    llm: Llm
    decoding: DecodingFit
    otherwise: DecodingFit
    """With tiles where the law has none, and without them where it has."""
    tiles_told: bool
    """The requests fit one of the two better, by more than chance."""
    first_tokens: FirstTokens

    @property
    def warnings(self) -> tuple[str, ...]:
        return (*self._of_decoding(), *self._of_tiles(), *self._of_first_tokens())

    def _of_decoding(self) -> list[str]:
        told = [f"{name} is not told: answers do not change with it" for name in self.decoding.unseen]
        for (one, other), value in self.decoding.correlations.items():
            if abs(value) > CONFOUNDED:
                told.append(f"{one} and {other} trade off against each other (correlation {value:+.2f})")
        return told

    def _of_tiles(self) -> list[str]:
        if self.tiles_told:
            return []
        others = {one.name: one.value for one in self.otherwise.told}
        here, there = ("with", "without") if self.decoding.step.tiles.tokens else ("without", "with")
        values = ", ".join(
            f"{one.name} {one.value:.3g} {here} and {others[one.name]:.3g} {there}"
            for one in self.decoding.told
            if one.name in others
        )
        errors = f"{100 * self.decoding.error:.2f} % {here} and {100 * self.otherwise.error:.2f} % {there}"
        return [f"tiles of {USUAL.tokens} tokens are not told: the error is {errors} them ({values})"]

    def _of_first_tokens(self) -> list[str]:
        first = self.first_tokens
        if not first.front_end_ms:
            return [
                "front_end_ms is not told: too few requests came to a running batch and met no other prompt"
            ]
        told = []
        if first.async_scheduling is None:
            slow, fast = first.front_end_ms[False].value, first.front_end_ms[True].value
            told.append(
                f"async_scheduling is not told: a step of wait and a front end of {fast:.1f} ms fit like "
                f"no such step and {slow:.1f} ms; requests at another rate would tell"
            )
        if not first.launch_ms:
            told.append("launch_ms is not told: too few requests found the server idle")
        return told


def fit_requests(
    step: GpuStep, llm: Llm, measured: Sequence[MeasuredRequests], max_num_batched_tokens: int
) -> RequestFit:
    """`step` is the law that is adjusted. UserError for files that do not tell when answers begin and end."""
    stamps, budget = [Stamps.of(one) for one in measured], max_num_batched_tokens
    other = replace(step, tiles=NO_TILES if step.tiles.tokens else USUAL)
    (decoding, courses), (otherwise, others) = (_fitted(law, llm, stamps, budget) for law in (step, other))
    return RequestFit(
        tuple(one.name for one in measured),
        llm,
        decoding,
        otherwise,
        _differ(
            answer_errors(decoding.step, llm, courses, budget),
            answer_errors(otherwise.step, llm, others, budget),
        ),
        fit_first_tokens(decoding.step, llm, courses, budget),
    )


def _fitted(
    step: GpuStep, llm: Llm, stamps: Sequence[Stamps], budget: int
) -> tuple[DecodingFit, list[Course]]:
    """Read by the law as it is, and again by what that made of it."""
    law = step
    for _ in range(READINGS):
        courses = [course(one, Law(law, llm, budget)) for one in stamps]
        fit = fit_decoding(step, llm, courses, budget)
        law = fit.step
    return fit, courses


def _differ(one: Sequence[FloatArray], other: Sequence[FloatArray]) -> bool:
    """Whether squared errors differ by more than chance; both have an array for each block of time."""
    differences = np.array([float((a**2 - b**2).sum()) for a, b in zip(one, other, strict=True)])
    error = float(np.sqrt(len(differences)) * differences.std(ddof=1)) if len(differences) > 1 else np.inf
    return abs(float(differences.sum())) > 1.96 * error
