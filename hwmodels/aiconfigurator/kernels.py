"""What a step takes by the kernel tables of aiconfigurator-core: its kernels, one after the other.

Its lengths count what is cached already: `isl` of a prompt is the new tokens and `prefix` together. And its
mixed steps spread a prompt's attention over `ceil(isl / ctx_tokens)` chunks, of which a chunk here is one.
"""

import logging
from collections.abc import Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from hwmodels.llm import Llm

if TYPE_CHECKING:
    from collections.abc import Iterator

ENGINE = "vllm"
USUAL = "bfloat16"
WEIGHTS = {"bf16": USUAL, "fp8": "fp8", "mxfp4": None}
"""Our precisions -> the package's; None leaves them to the model's own configuration."""
KV_CACHES = {"bfloat16": USUAL, "fp8": "fp8"}


class Step(NamedTuple):
    ms: float
    dense_ms: float
    """All of it but the attention, communication included."""


class Kernels(Protocol):
    """Raises NoDataError where the tables hold nothing near."""

    def prompts(self, sequences: int, new: int, past: int) -> Step: ...

    def decodes(self, sequences: int, context: int) -> Step:
        """`context` tokens are cached before the step."""
        ...

    def mixed(self, new: int, past: int, sequences: int, context: int) -> Step:
        """One chunk of a prompt beside sequences that decode."""
        ...


class NoDataError(Exception):
    """The tables hold nothing for this shape or precision, and the package says why."""


class TableKernels:
    """One model on `width` GPUs that share each layer (tensor parallelism)."""

    def __init__(
        self, system: str, model: str, llm: Llm, weights: str, kv_cache_dtype: str, width: int
    ) -> None:
        """Raises NoDataError where the package has no kernels in this precision."""
        from aiconfigurator_core.sdk.engine import EngineHandle  # noqa: PLC0415 -- an optional package

        logging.getLogger("aiconfigurator_core").setLevel(
            logging.ERROR
        )  # it tells of tables that nobody asked for
        modes = {"kvcache_quant_mode": KV_CACHES[kv_cache_dtype], "gemm_quant_mode": WEIGHTS[weights]}
        if llm.is_moe:
            modes["moe_quant_mode"] = WEIGHTS[weights]
        with _saying():
            self._handle: Any = EngineHandle.compile(model, system, ENGINE, tp_size=width, **modes)
        self.decodes(1, 1)

    def prompts(self, sequences: int, new: int, past: int) -> Step:
        with _saying():
            kernels, _ = self._handle.run_static_per_op(
                batch_size=sequences, isl=new + past, osl=1, prefix=past, mode="static_ctx"
            )
        return _step(kernels)

    def decodes(self, sequences: int, context: int) -> Step:
        with _saying():
            return _step(self._handle.decode_step_per_op(sequences, context, 1))

    def mixed(self, new: int, past: int, sequences: int, context: int) -> Step:
        with _saying():
            _, dense, chunk, _ = self._handle.mixed_step_breakdown(new, sequences, new + past, 1, past)
            _, _, _, decodes = self._handle.mixed_step_breakdown(new, sequences, context, 1)
        chunks = -(-(new + past) // new)
        return Step(dense + chunk * chunks + decodes, dense)


def _step(kernels: Sequence[tuple[str, float, float, str]]) -> Step:
    total = sum(ms for _, ms, *_ in kernels)
    return Step(total, total - sum(ms for name, ms, *_ in kernels if name.endswith("_attention")))


@contextmanager
def _saying() -> "Iterator[None]":
    """The package's own exceptions, of whatever type, as ours."""
    try:
        yield
    except (ValueError, RuntimeError, AssertionError, KeyError) as error:
        raise NoDataError(" ".join(str(error).split())) from None
