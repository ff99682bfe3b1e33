"""What all kinds of hardware share: a preset from the catalogue under the scenario's own values."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, model_validator

from e80sim.mistakes import UserError
from hwmodels.entry import USUAL_KV, Entry, first_error, load_entry, nearest
from hwmodels.llm import Llm
from hwmodels.node_hardware import NodeHardware
from hwmodels.sheet import Sheet
from hwmodels.value import Value

MOST_MS = 3_600_000
"""An hour: a time per token or step beyond it is a slip."""
MOST_TOKENS = 1_000_000_000
MOST_SEQUENCES = 1_000_000
MOST = 1e9
"""Of watts, dollars, gigabytes and the like: far above anything, and safe to reckon with."""

SCHEDULER = frozenset({"max_num_seqs", "max_num_batched_tokens", "max_model_len", "async_scheduling"})
"""In the catalogue as an engine's defaults; a scenario sets them with its batching, not its hardware."""
HELD_TO = "How far "
"""How the note begins that says up to which load a preset is known to be right."""
_PRESET_ITSELF = object()
"""Marks the validation of a preset's own values, which must not look up a preset again."""


class HardwareSpec(BaseModel, ABC):
    """Every value may be left out where the preset has it; a stated one wins and counts as assumed."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, defer_build=True)

    kind: str
    preset: str
    no_values: ClassVar[frozenset[str]] = frozenset({"kind", "preset"})
    """Fields that are no single values, or choose them."""
    default_block_size: ClassVar[int] = 16
    """Tokens of a KV block where the scenario does not say: as in vLLM."""
    runs_vllm: ClassVar[bool] = False
    """Whether such a node starts an engine that refuses what vLLM refuses."""

    @abstractmethod
    def build(
        self, llm: Llm, *, max_num_seqs: int | None = None, max_num_batched_tokens: int | None = None
    ) -> NodeHardware:
        """Limits left out are the hardware's own; ValueError where LLM, limits and hardware do not agree."""

    @model_validator(mode="after")
    def _preset_is_usable(self, info: ValidationInfo) -> Self:
        """The preset exists, is of this kind, and keeps the bounds that stated values must keep."""
        if info.context is not _PRESET_ITSELF:
            entry = self.entry()
            for values in (entry.values, *(fit.values for fit in entry.fits)):
                self._check(values)
        return self

    def _check(self, values: Mapping[str, Value]) -> None:
        known = (set(type(self).model_fields) - self.no_values) | SCHEDULER
        for name in values:
            if name not in known:
                raise UserError(f"{self.preset}: {nearest(f'value of {self.kind} named', name, known)}")
        bare = {name: value.value for name, value in values.items() if name not in SCHEDULER}
        try:
            type(self).model_validate({**bare, "preset": self.preset}, context=_PRESET_ITSELF)
        except ValidationError as error:
            raise UserError(f"{self.preset}: {first_error(error)}") from None

    def entry(self) -> Entry:
        return load_entry(self.preset, self.kind)

    def sheet(
        self,
        llm: Llm,
        weights: str | None = None,
        kv_cache_dtype: str = USUAL_KV,
        *,
        entry: Entry | None = None,
        tensor_parallel: int = 1,
    ) -> Sheet:
        """The values for this LLM; ValueError where the preset was made for others."""
        entry = entry or self.entry()
        if not entry.runs(llm.name):
            made_for = sorted({fit.llm for fit in entry.fits} | set(entry.llms))
            raise UserError(f"{self.preset} is made for {', '.join(made_for)}, not for {llm.name}")
        values, notes, fit = dict(entry.values), [entry.note], None
        if entry.fits and weights is not None:
            fit = entry.fit(llm.name, weights, kv_cache_dtype, tensor_parallel)
            if fit is None:
                why = _no_fit(entry, llm.name, weights, kv_cache_dtype, tensor_parallel)
                raise UserError(f"{self.preset}: {why}")
            values |= fit.values
            notes.append(fit.note)
        values |= self._stated()
        held = entry.held_to if fit is None else fit.held_to
        if held is not None:
            notes.append(f"{HELD_TO}{entry.name} is known: {held.sentence}")
        told = tuple(note for note in notes if note)
        if fit is None:
            return Sheet(entry, values, told)
        return Sheet(
            entry,
            values,
            told,
            fit.dense_ms_by_tokens,
            fit.tensor_parallel,
            holds_communication=fit.holds_communication,
        )

    def _stated(self) -> dict[str, Value]:
        stated = self.model_dump(exclude_none=True, exclude=set(self.no_values))
        return {name: Value(name, value, "scenario", "assumed") for name, value in stated.items()}


def _no_fit(entry: Entry, llm: str, weights: str, kv_cache_dtype: str, tensor_parallel: int) -> str:
    fitted = [fit for fit in entry.fits if fit.llm == llm]
    caches = [fit.kv_cache_dtype for fit in fitted if fit.weights == weights]
    if kv_cache_dtype in caches:
        widths = {fit.tensor_parallel for fit in fitted if fit.weights == weights}
        told = ", ".join(map(str, sorted(widths)))
        return f"no fit of {llm} at tensor_parallel {tensor_parallel}; choose from {told}"
    if caches:
        return nearest(f"fit of {llm} in {weights} with a KV cache in", kv_cache_dtype, caches)
    return nearest(f"fit of {llm} in", weights, {fit.weights for fit in fitted})
