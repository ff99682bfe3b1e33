"""Contrast after WCAG 2.2; colour vision after Machado, Oliveira and Fernandes (2009), severity 1."""

from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray

from reports.html.palette import PHASES, SERIES, STATES, contrast, series_role, theme

THEMES = ("light", "dark")
VISION = {
    "normal": np.eye(3),
    "protan": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deutan": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritan": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
WHITE = np.array([0.9505, 1.0, 1.089])


def lab(colour: str, vision: str) -> NDArray[np.float64]:
    srgb = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.asarray(VISION[vision]) @ linear, 0.0, 1.0)
    ratio = TO_XYZ @ seen / WHITE
    f = np.where(ratio > 0.008856, np.cbrt(ratio), 7.787 * ratio + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def apart(one: str, other: str) -> float:
    """CIE76 distance in the vision that tells them apart least."""
    return min(float(np.linalg.norm(lab(one, v) - lab(other, v))) for v in VISION)


def test_black_on_white_has_a_contrast_of_21() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21.0)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("name", THEMES)
def test_text_reads_at_4_5_to_1_on_page_and_panel(name: str) -> None:
    colours = theme(name)
    for role in ("text", "muted", "link", "good", "warn", "bad"):
        for ground in ("page", "panel"):
            assert contrast(colours[role], colours[ground]) >= 4.5, (role, ground)


@pytest.mark.parametrize("name", THEMES)
def test_marks_and_focus_stand_out_at_3_to_1(name: str) -> None:
    colours = theme(name)
    for role in (*PHASES, *(series_role(i) for i in range(len(SERIES))), "focus"):
        assert contrast(colours[role], colours["page"]) >= 3.0, role


@pytest.mark.parametrize("name", THEMES)
def test_numbers_inside_bars_read_at_4_5_to_1(name: str) -> None:
    colours = theme(name)
    for role in (*PHASES, *STATES, *(series_role(i) for i in range(len(SERIES)))):
        assert contrast(colours[f"on_{role}"], colours[role]) >= 4.5, role


@pytest.mark.parametrize("name", THEMES)
def test_phases_stay_apart_for_colour_blind_readers(name: str) -> None:
    colours = theme(name)
    for one, other in combinations(PHASES, 2):
        assert apart(colours[one], colours[other]) >= 11.0, (one, other)


@pytest.mark.parametrize("name", THEMES)
def test_series_stay_apart_for_colour_blind_readers(name: str) -> None:
    colours = theme(name)
    for one, other in combinations([series_role(i) for i in range(len(SERIES))], 2):
        assert apart(colours[one], colours[other]) >= 14.0, (one, other)


def test_both_themes_name_the_same_roles() -> None:
    assert theme("light").keys() == theme("dark").keys()
