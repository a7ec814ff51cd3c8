"""Ranges left alone are tidy, lines drawn by hand short, and a shot sounds as its take will."""

import math

import numpy as np
import pytest

pytest.importorskip("PySide6.QtCore", reason="Qt or a library it needs is missing", exc_type=ImportError)

from gui.models.clips import mix, sound_of
from gui.models.marks import tidy, without
from gui.models.polyline import simplified


def test_marks_are_in_order_inside_and_apart() -> None:
    assert tidy([(30, 40), (5, 9), (38, 60), (9, 12), (70, 70), (90, 200)], 100) == [
        (5, 12),
        (30, 60),
        (90, 100),
    ]
    assert tidy([(-5, 3)], 100) == [(0, 3)]
    assert without([(0, 3), (5, 9)], 5) == [(0, 3)]
    assert without([(0, 3), (5, 9)], 9) == [(0, 3), (5, 9)]


def test_a_line_keeps_its_shape_with_few_points() -> None:
    straight = [(float(x), 0.1 * (x % 2)) for x in range(100)]
    assert simplified(straight, 0.4) == [straight[0], straight[-1]]
    circle = [(100 * math.cos(a / 50), 100 * math.sin(a / 50)) for a in range(315)]
    kept = simplified(circle, 0.4)
    assert 20 < len(kept) < 60
    assert all(math.hypot(x, y) == pytest.approx(100) for x, y in kept)


@pytest.mark.parametrize("at", [-3, 0, 5, 12, 40])
def test_the_voice_replaces_the_original_inside_of_the_range(at: int) -> None:
    original = sound_of(np.full((50, 2), 7, np.int16))
    voice = sound_of(np.arange(1, 21, dtype=np.int16)[:, None].repeat(2, axis=1))
    mixed = mix(original, voice, length=45, start=10, stop=30, at=at)
    assert mixed.shape == (45, 2)
    assert (mixed[:10] == 7).all()
    assert (mixed[30:] == 7).all()
    expected = [place - at + 1 if 0 <= place - at < 20 else 0 for place in range(10, 30)]
    assert mixed[10:30, 0].tolist() == expected
