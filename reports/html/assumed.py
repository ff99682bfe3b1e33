"""What the answer rests on that nobody has measured or published."""

from reports.html.markup import Html, tag
from reports.html.tables import body, number_cell, row, table
from reports.rows import Summary
from reports.words import exactly


def assumed_count(summary: Summary) -> int:
    return len(summary["facts"].get("assumed", []))


def heading(summary: Summary) -> str:
    found = assumed_count(summary)
    if not found:
        return "This answer rests on no assumed value"
    return f"This answer rests on {found} {_kinds(summary)} value{'s' if found > 1 else ''}"


def _kinds(summary: Summary) -> str:
    """Round trips between places that nobody measured are derived ones."""
    entries = summary["facts"].get("assumed", [])
    return (
        "assumed"
        if all(entry.get("confidence", "assumed") == "assumed" for entry in entries)
        else "assumed or predicted"
    )


def assumed(summary: Summary) -> Html:
    entries = summary["facts"].get("assumed", [])
    if not entries:
        return tag(
            "p", "Every value of hardware, network and workload in it is published, measured or derived."
        )
    lines = [
        row(
            str(entry["what"]),
            str(entry.get("model") or ""),
            number_cell(_plain(entry["value"])),
            str(entry.get("unit") or ""),
            str(entry.get("source") or ""),
        )
        for entry in entries
    ]
    columns = ["What", "Model", "Value", "Unit", "Why this value"]
    title = f"{_kinds(summary).capitalize()} values: change them and the answer may change"
    return table(title, columns, [body(lines)])


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return exactly(value) if isinstance(value, int | float) else str(value)
