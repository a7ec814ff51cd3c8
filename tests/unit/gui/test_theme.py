"""Every colour of every theme can be read: the contrasts that WCAG 2.1 asks for at level AA."""

import itertools

import pytest

pytest.importorskip("PySide6.QtWidgets", reason="Qt or a library it needs is missing", exc_type=ImportError)

from gui.theme import THEMES, Palette

TEXT, GRAPHIC = 4.5, 3.0  # success criteria 1.4.3 and 1.4.11
GROUNDS = ("window", "panel", "raised", "field")
WORDS = ("text", "muted", "good", "warn", "bad")
SIGNS = ("accent", "good", "warn", "bad", "muted")  # dots, bars, lines, focus


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", THEMES)
def test_words_and_signs_stand_out_from_every_ground(theme: str) -> None:
    colours: Palette = THEMES[theme]  # type: ignore[index]
    pairs = [(word, ground, TEXT) for word, ground in itertools.product(WORDS, GROUNDS)]
    pairs += [(sign, ground, GRAPHIC) for sign, ground in itertools.product(SIGNS, GROUNDS)]
    pairs += [("on_accent", "accent", TEXT), ("on_accent", "warn", TEXT)]
    pairs += [("faint", ground, GRAPHIC) for ground in ("window", "panel", "field")]  # edges of fields
    found = {(a, b): contrast(getattr(colours, a), getattr(colours, b)) for a, b, _ in pairs}
    faint = {pair: round(found[pair[:2]], 2) for pair in pairs if found[pair[:2]] < pair[2]}
    assert faint == {}


def test_the_measure_is_that_of_the_standard() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
