"""The description of a trace as a page for a terminal."""

from collections.abc import Iterator
from textwrap import wrap

from traffic.traces.describe import Description, LengthSummary

WIDTH = 100
COLUMNS = ("mean", "min", "p5", "p25", "p50", "p75", "p90", "p95", "p99", "max")


def description_text(about: Description) -> str:
    lines = [f"{about['name']}: {about['rows']:,} requests in {about['span_s']:,.1f} s", ""]
    lines += _arrivals(about)
    lines += ["", f"{'tokens':<8}" + "".join(f"{name:>9}" for name in COLUMNS)]
    lines += [_lengths("prompt", about["prompt_tokens"]), _lengths("output", about["output_tokens"])]
    lines.append(f"correlation of their logarithms: {_correlation(about)}")
    for told in (*about["notes"], *(f"Warning: {warning}" for warning in about["warnings"])):
        lines += ["", *wrap(told, WIDTH)]
    return "\n".join(lines)


def _arrivals(about: Description) -> Iterator[str]:
    rows = [
        ("mean rate", about["mean_rate_per_s"], "requests per second"),
        ("busiest minute", about["busiest_minute_over_mean"], "times the mean rate"),
        ("variation of the gaps", about["cv_of_gaps"], "standard deviation over mean; 1 is Poisson"),
        ("the same within a minute", about["cv_within_minutes"], "median over the minutes"),
    ]
    for window, value in about["dispersion"].items():
        rows.append((f"dispersion in {window.replace('_', ' ')}", value, "variance over mean of counts"))
    rows.append(("gaps that are zero", about["zero_gap_share"], "of all gaps"))
    for what, value, meaning in rows:
        yield f"{what:<26}{_number(value):>8}  {meaning}"


def _lengths(name: str, lengths: LengthSummary) -> str:
    figures = {"mean": lengths["mean"], "min": lengths["min"], **lengths["quantiles"], "max": lengths["max"]}
    return f"{name:<8}" + "".join(f"{figures[column]:>9,.0f}" for column in COLUMNS)


def _correlation(about: Description) -> str:
    for what, lengths in (("prompt", about["prompt_tokens"]), ("output", about["output_tokens"])):
        if lengths["min"] == lengths["max"]:
            return f"undefined, every {what} has {lengths['min']:,} tokens"
    value = about["log_length_correlation"]
    return "undefined for two requests" if value is None else _number(value)


def _number(value: float | None) -> str:
    """Three significant digits, or a dash where the trace cannot tell."""
    return "-" if value is None else f"{value:.3g}"
