"""The catalogue as text for a terminal."""

from collections.abc import Iterator, Sequence
from textwrap import wrap

from hwmodels.catalog_page import DECODES, PREFILLS, Page
from hwmodels.entry import LINK, LLM, USUAL_KV

WIDTH = 100
INDENT = "    "


def index_text(pages: Sequence[Page]) -> str:
    return "\n".join(f"{row['name']:<18} {row['kind']:<15} {row['title']}" for row in pages)


def page_text(entry: Page) -> str:
    lines = [f"{entry['name']} ({entry['kind']}): {entry['title']}"]
    lines += _note(entry["note"])
    lines += _held(entry["held_to"])
    if entry["settings"]:
        bought = ", ".join(f"{name} {value}" for name, value in entry["settings"].items())
        lines.append(f"Bought with {bought}, where a scenario states nothing else")
    if "link" in entry:
        lines.append(f"Connected with others by {entry['link']}, where a scenario states no other link")
    lines += ["", *_value_lines(entry["values"])]
    for fit in entry["fits"]:
        lines += ["", f"Fit for {fit['llm']} in {fit['weights']}{_kept(fit['kv_cache_dtype'])}{_shared(fit)}"]
        lines += _note(fit["note"])
        lines += _held(fit["held_to"])
        lines += _value_lines(fit["values"])
        if fit["dense_ms_by_tokens"]:
            lines += _dense_lines(fit["dense_ms_by_tokens"])
    lines += ["", *DERIVED.get(entry["kind"], _time_lines)(entry["derived"])]
    return "\n".join(lines)


def _shared(row: Page) -> str:
    """How many GPUs share the layers, where it is not one."""
    return f", {row['tensor_parallel']} GPUs" if "tensor_parallel" in row else ""


def _kept(kv_cache_dtype: str | None) -> str:
    """The KV cache's precision, where it is not the usual one."""
    return "" if kv_cache_dtype in {None, USUAL_KV} else f", KV {kv_cache_dtype}"


def _note(note: str | None) -> list[str]:
    return wrap(f"Note: {note}", WIDTH) if note else []


def _held(held: Page | None) -> list[str]:
    """Against which measurements it was held, and up to which load."""
    return [] if held is None else wrap(f"Measured: {held['sentence']} ({held['source']})", WIDTH)


def _value_lines(rows: Sequence[Page]) -> Iterator[str]:
    """A line per value; its source below it, unless the value above has the same."""
    source = None
    for row in rows:
        bounds = "" if row["low"] is None else f"{_number(row['low'])} to {_number(row['high'])}"
        amount = f"{_number(row['value'])} {row['unit']}"
        yield f"{row['name']:<26} {amount:<31} {row['confidence']:<10} {bounds}".rstrip()
        if row["source"] != source:
            source = row["source"]
            yield from wrap(
                source, WIDTH, initial_indent=INDENT, subsequent_indent=INDENT, break_on_hyphens=False
            )


def _dense_lines(ms_by_tokens: dict[int, float]) -> list[str]:
    points = ", ".join(f"{_ms(ms)} ({tokens})" for tokens, ms in ms_by_tokens.items())
    return [
        "Dense times in ms (of T tokens):",
        *wrap(points, WIDTH, initial_indent=INDENT, subsequent_indent=INDENT),
    ]


def _llm_lines(rows: Sequence[Page]) -> Iterator[str]:
    for row in rows:
        steps = ", ".join(f"{gb:.2f} ({tokens})" for tokens, gb in row["step_gb"].items())
        yield f"Derived, weights in {row['weights']}"
        yield f"  in memory                   {row['resident_gb']:.2f} GB"
        yield f"  read per step (of T tokens) {steps} GB"
        kept = ", ".join(f"{size:,} ({dtype})" for dtype, size in row["kv_bytes_by_dtype"].items())
        yield f"  KV cache per token          {kept} B"
        yield f"  parameters per token        {row['active_linear_params'] / 1e9:.3f} G"
        yield f"  parameters of the head      {row['head_params'] / 1e9:.3f} G"
        yield f"  attention per token pair    {row['attention_flops_per_pair']:,} FLOP"


def _time_lines(rows: Sequence[Page]) -> Iterator[str]:
    decodes = [f"{batch}x{context // 1024}k" for batch, context in DECODES]
    prompts = [str(prompt) for prompt in PREFILLS]
    yield "Derived step times in ms: a decode step of batch x context, and the whole prefill of a lone prompt"
    labels = [
        f"{row['llm']} {row['weights'] or ''}{_kept(row['kv_cache_dtype'])}{_shared(row)}" for row in rows
    ]
    width = max(20, *(len(label) + 1 for label in labels))
    yield f"{'':<{width}}{'KV tokens':>11}{'overhead':>10} |{_cells(decodes)} |{_cells(prompts)}"
    for row, label in zip(rows, labels, strict=True):
        if "refused" in row:
            yield f"{label:<{width}} {row['refused']}"
            continue
        times = [[_ms(ms) for ms in row[kind].values()] for kind in ("decode_ms", "prefill_ms")]
        overhead = _ms(row["request_overhead_ms"])
        pool = f"{row['kv_pool_tokens']:>11,}"
        yield f"{label:<{width}}{pool}{overhead:>10} |{_cells(times[0])} |{_cells(times[1])}"


def _link_lines(rows: Sequence[Page]) -> Iterator[str]:
    sizes = [_size(size) for size in rows[0]["us"]]
    yield "Time of a collective in us, by GPUs and bytes"
    yield f"{'':<12}{'GPUs':>6} |{_cells(sizes)}"
    for row in rows:
        cells = _cells([_ms(us) for us in row["us"].values()])
        told = "measured" if row["source"] else "derived"
        yield f"{row['collective']:<12}{row['gpus']:>6} |{cells}  {told}"
    for source in dict.fromkeys(row["source"] for row in rows if row["source"]):
        yield from wrap(
            f"Measured: {source}",
            WIDTH,
            initial_indent=INDENT,
            subsequent_indent=INDENT,
            break_on_hyphens=False,
        )


def _size(size: int) -> str:
    return f"{size // 2**20} MiB" if size >= 2**20 else f"{size // 2**10} KiB"


def _cells(texts: Sequence[str]) -> str:
    return "".join(f"{text:>9}" for text in texts)


def _ms(milliseconds: float | None) -> str:
    return "-" if milliseconds is None else f"{milliseconds:.4g}"


def _number(value: float) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,.10g}" if abs(value) >= 1e-4 or value == 0 else f"{value:.5g}"


DERIVED = {LLM: _llm_lines, LINK: _link_lines}
"""Of the kinds that are no hardware."""
