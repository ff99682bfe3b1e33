"""Colours by role, light and dark. Text keeps a contrast of 4.5 to 1 and marks 3 to 1 against their page, and
the colours of one figure stay apart under simulated protan, deutan and tritan vision: tests hold both.

Figures name roles (`@queue`, under keys that end in `color`), so that a page can re-theme a chart by itself.
"""

from typing import Any, NamedTuple


class ColourPair(NamedTuple):
    light: str
    dark: str


PAGE = {
    "page": ColourPair("#ffffff", "#0f1419"),
    "panel": ColourPair("#f5f7f9", "#171d24"),
    "rule": ColourPair("#d5dbe1", "#313a44"),
    "text": ColourPair("#1b1f24", "#e6ebf0"),
    "muted": ColourPair("#55606b", "#9ba8b5"),
    "link": ColourPair("#0a58a8", "#79b8ff"),
    "focus": ColourPair("#b3470a", "#ffb35c"),
    "good": ColourPair("#176639", "#6fd59a"),
    "warn": ColourPair("#845400", "#ecb84f"),
    "bad": ColourPair("#ab211a", "#ff938a"),
}

STATES = ("muted", "good", "warn", "bad")
"""Roles of text that bars have as well."""

PHASES = {
    "set_up": ColourPair("#413176", "#836fbb"),
    "network_out": ColourPair("#2d4fcf", "#5181fb"),
    "app_cpu": ColourPair("#be5ea8", "#f692c6"),
    "admission": ColourPair("#7b4fa3", "#c9a0f0"),
    "overhead": ColourPair("#6b8184", "#8398a0"),
    "queue": ColourPair("#ae352c", "#ee6e54"),
    "prefill": ColourPair("#a98000", "#dbba33"),
    "decode": ColourPair("#14685a", "#2db886"),
    "return": ColourPair("#5596d2", "#b5d7f6"),
}

SERIES = (
    ColourPair("#0345c9", "#5291ff"),
    ColourPair("#9e2318", "#ff8752"),
    ColourPair("#058959", "#2ff195"),
    ColourPair("#aa409c", "#cf7ac3"),
    ColourPair("#998a00", "#eed633"),
    ColourPair("#4d4852", "#b4c3bc"),
    ColourPair("#3e9aca", "#8fd0f5"),
    ColourPair("#6b3fb0", "#b69df1"),
)


def css(role: str) -> str:
    """The colour of a role, whatever the theme."""
    return f"var(--{role.replace('_', '-')})"


def luminance(colour: str) -> float:
    """WCAG 2.2 relative luminance of #rrggbb."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """WCAG 2.2 contrast ratio, 1 to 21."""
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _readable_on(colour: str) -> str:
    """Of black and white the one that reads better: at least 4.58 to 1 on any colour."""
    return max("#000000", "#ffffff", key=lambda ink: contrast(ink, colour))


def _roles() -> dict[str, ColourPair]:
    marks = PHASES | {series_role(i): pair for i, pair in enumerate(SERIES)}
    filled = marks | {role: PAGE[role] for role in STATES}
    inks = {f"on_{name}": ColourPair(*(_readable_on(c) for c in pair)) for name, pair in filled.items()}
    return PAGE | marks | inks


def series_role(index: int) -> str:
    """Colour of the index-th series; they repeat after eight, dashes and symbols tell those apart."""
    return f"series_{index % len(SERIES)}"


ROLES = _roles()


def theme(name: str) -> dict[str, str]:
    """Role to colour; `name` is light or dark."""
    return {role: getattr(pair, name) for role, pair in ROLES.items()}


def coloured(node: Any, name: str = "light") -> Any:  # noqa: ANN401 -- any part of a plot
    """A plot with its roles turned into colours, as the page's script does for a theme."""
    if isinstance(node, dict):
        return {
            key: _colour(value, name)
            if key.lower().endswith("color") and str(value).startswith("@")
            else coloured(value, name)
            for key, value in node.items()
        }
    return [coloured(item, name) for item in node] if isinstance(node, list) else node


def _colour(value: str, name: str) -> str:
    """`@role`, or `@role/38` with its opacity."""
    role, _, opacity = value[1:].partition("/")
    return str(getattr(ROLES[role], name)) + opacity


def css_variables() -> str:
    """The same roles as custom properties: light, dark by preference, dark by choice."""
    light, dark = (_declarations(name) for name in ("light", "dark"))
    by_preference = f"@media (prefers-color-scheme: dark) {{ :root:not([data-theme=light]) {{ {dark} }} }}"
    by_choice = f":root[data-theme=dark] {{ {dark} }}"
    on_paper = f"@media print {{ :root:not([data-theme=paper]) {{ {light} }} }}"  # as specific as the others
    return "\n".join((f":root {{ {light} }}", by_preference, by_choice, on_paper))


def _declarations(name: str) -> str:
    colours = "".join(f"--{role.replace('_', '-')}: {colour}; " for role, colour in theme(name).items())
    return f"color-scheme: {name}; {colours}".strip()
