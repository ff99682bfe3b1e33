"""`vllm bench forward --output-json`: the forward pass of exact batches, timed as CUDA graphs (vllm 0.33).

A case is a step: requests with their query tokens and their KV length after it. Sampling and the host's work
between steps are outside of its times, as in other tables of kernels.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from e80sim.measured import MeasuredError
from e80sim.measured.cells import Cells
from hwmodels.calibrate.columns import TableError
from hwmodels.calibrate.read import Step, step_table
from hwmodels.calibrate.step_table import StepTable

MS_PER_US = 1e-3
UNSTABLE_PERCENT = 0.5
"""Spread of its samples from which the tool itself warns."""


def is_forward(path: Path) -> bool:
    """Whether a file begins as JSON does, which no CSV of ours does."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            return file.read(4096).lstrip()[:1] in {"[", "{"}
    except (OSError, UnicodeDecodeError):
        return False  # whoever reads it tells why


def read_forward(path: Path) -> StepTable:
    """Raises TableError for a case that no step of ours can be."""
    try:
        cases = json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as problem:
        raise TableError(f"{path} begins as JSON does, and is none: {problem}") from None
    if not isinstance(cases, list) or not cases:
        raise TableError(f"{path} holds no list of cases, as vllm bench forward --output-json writes it")
    try:
        steps = [_step(_case(path, number, case)) for number, case in enumerate(cases)]
    except MeasuredError as problem:
        raise TableError(str(problem)) from None
    return step_table(path.name, steps)


def _case(path: Path, number: int, case: object) -> Cells:
    if not isinstance(case, Mapping) or not {"requests", "median_us"} <= set(case):
        names = ", ".join(case) if isinstance(case, Mapping) else repr(case)[:60]
        raise TableError(
            f"{path} [{number}]: {names} is no case of vllm bench forward, which has requests and median_us"
        )
    return Cells(f"{path} case {case.get('case', number)!r}", case)


def _step(case: Cells) -> Step:
    step_ms = MS_PER_US * case.time("median_us")
    if not step_ms:
        raise case.error("median_us is 0: a step takes more than no time")
    decodes, kv_tokens, chunks = 0, 0, Counter[tuple[int, int]]()
    for request in case.objects("requests"):
        query, kv = request.tokens("query_len", least=1), request.tokens("kv_len", least=1)
        if request.tokens_or("num_draft_tokens", 0):
            raise request.error(
                "it verifies draft tokens, and a step of the law has none: leave the case out"
            )
        if kv < query:
            raise request.error(f"kv_len is {kv}, and query_len, which it includes, is {query}")
        if query == 1 and kv > 1:
            decodes, kv_tokens = decodes + 1, kv_tokens + kv - 1
        else:
            chunks[query, kv - query] += 1
    if not decodes and not chunks:
        raise case.error("it has no requests")
    _check_tokens(case, decodes + sum(new * count for (new, _), count in chunks.items()))
    return Step(
        step_ms,
        float(decodes),
        float(kv_tokens),
        None,
        [(float(new), float(past), float(count)) for (new, past), count in chunks.items()],
    )


def _check_tokens(case: Cells, asked: int) -> None:
    """Models with bounded replay compute more than the queries: such steps are of other sizes."""
    if case.get("ranks") is None:
        return
    for rank in case.objects("ranks"):
        if rank.get("num_tokens") is not None and rank.tokens("num_tokens") != asked:
            raise rank.error(f"it computed {rank.tokens('num_tokens')} tokens, and the queries have {asked}")


def unstable(path: Path) -> Iterator[str]:
    """Cases of which the tool itself says that they spread, in sentences."""
    for number, case in enumerate(json.loads(path.read_text(encoding="utf-8-sig"))):
        cells = _case(path, number, case)
        for rank in cells.objects("ranks") if cells.get("ranks") is not None else ():
            spread = rank.optional_time("latency_us.sample_spread_pct") or 0.0
            if spread > UNSTABLE_PERCENT:
                yield f"{cells.where}: its samples spread by {spread:.1f} %."
                break
