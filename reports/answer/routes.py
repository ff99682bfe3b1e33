"""Sources that differ in nothing but the number of calls: what a curve over k is drawn from."""

from collections.abc import Callable, Sequence

from reports.rows import Row

Route = tuple[str, ...]


def routes_of(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """By name, the rows in the order of k; none unless some route was run with two or more k.

    Rows that differ in nothing but k within a variant; else across variants that each have one k.
    """
    found = _grouped(rows, lambda line: (line.variant_title, *_route(line))) or _grouped(rows, _route)
    return dict(zip(_names(list(found)), found.values(), strict=True))


def _grouped(rows: Sequence[Row], key: Callable[[Row], Route]) -> dict[Route, list[Row]]:
    groups: dict[Route, list[Row]] = {}
    for line in rows:
        if line.has_app and line.statistic("felt", "p50").value is not None:
            groups.setdefault(key(line), []).append(line)
    several = {route: lines for route, lines in groups.items() if len({line.calls for line in lines}) > 1}
    return {route: sorted(lines, key=lambda line: line.calls) for route, lines in several.items()}


def _route(line: Row) -> Route:
    mode = "calls at once" if line.mode == "fan_out" else "calls in a row"
    group = line.group
    return (
        str(group["tenant"]),
        str(group["place"]),
        str(group["model"]),
        f"app in {group['app_place']}",
        mode,
    )


def _names(routes: Sequence[Route]) -> list[str]:
    """The first parts in which they differ, as many as it takes to tell them apart."""
    differing = [parts for parts in zip(*routes, strict=True) if len(set(parts)) > 1]
    names = ["all users"] * len(routes)
    for taken in range(1, len(differing) + 1):
        names = [" · ".join(parts) for parts in zip(*differing[:taken], strict=True)]
        if len(set(names)) == len(names):
            break
    return names
