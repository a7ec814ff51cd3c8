"""Painting: teeth that keep their length when a mouth opens further than its unit."""

import numpy as np

from daemon.engines.rewrite.interior import own_interior
from daemon.engines.rewrite.paint import _keep_teeth, _overdrawn
from daemon.engines.rewrite.shape import CONTROLS, INNER, NEAR, OUTER
from daemon.engines.rewrite.warp import Box, pixel_places


def mouth(opening: float, size: float = 100.0) -> np.ndarray:
    """Return (c, 2) controls in pixels of a mouth `size` wide; `opening` is a share of the width."""
    controls = np.zeros((len(CONTROLS), 2))
    turn = np.pi - np.arange(20) / 20 * 2 * np.pi
    for ring, width, height in ((OUTER, 1.0, opening + 0.2), (INNER, 0.85, opening), (NEAR, 1.3, 0.9)):
        controls[ring, 0] = 150 + size * width / 2 * np.cos(turn)
        controls[ring, 1] = 150 + size * height / 2 * np.sin(turn)
    return controls


def test_a_mouth_as_open_as_its_unit_is_not_overdrawn():
    assert _overdrawn(mouth(0.2), mouth(0.2)) == 0
    assert _overdrawn(mouth(0.2), mouth(0.22)) == 0
    assert _overdrawn(mouth(0.3), mouth(0.1)) == 0


def test_a_mouth_opened_far_beyond_its_unit_is_overdrawn_at_any_size():
    assert _overdrawn(mouth(0.1), mouth(0.4)) == 1
    assert _overdrawn(mouth(0.2, 50), mouth(0.2, 200)) == 0
    steps = [_overdrawn(mouth(0.2), mouth(0.2 + extra)) for extra in np.linspace(0, 0.4, 30)]
    assert np.diff(steps).min() >= 0
    assert np.diff(steps).max() < 0.3


def test_what_hangs_from_the_upper_lip_keeps_its_length_and_the_lips_their_place():
    old, new, box = mouth(0.3), mouth(0.39), Box(96, 104, 208, 200)
    places = pixel_places(box)
    places[..., 1] = 150 + (places[..., 1] - 150) / 1.3
    kept = _keep_teeth(places, old, new, box)
    column = kept[:, 150 - box.x0, 1]
    top, bottom = round(150 - 19.5) - box.y0 + 1, round(150 + 19.5) - box.y0
    assert np.allclose(np.diff(column)[top : top + 4], 1 / 1.05, atol=0.06)
    assert np.allclose(column[[top, bottom]], places[[top, bottom], 150 - box.x0, 1], atol=0.5)
    assert np.allclose(_keep_teeth(places, old, old, box), places)


def test_teeth_hang_from_the_upper_lip_and_are_drawn_out_no_further_than_said():
    picture = np.full((128, 128, 3), 0.1, np.float32)
    picture[60:65] = 1.0
    upper = np.array([[20.0, 60.0], [64.0, 60.0], [108.0, 60.0]])
    lower = upper[::-1] + np.array((0, 20))
    box = Box(16, 40, 112, 112)
    heights = []
    for stretch in (1.0, 2.0):
        inside = own_interior(
            picture,
            old_upper=upper,
            new_upper=upper,
            old_inner=np.concatenate([upper, lower]),
            new_lower=upper[::-1] + np.array((0, 45)),
            box=box,
            stretch=stretch,
        )
        column = inside[:, 64 - box.x0].mean(axis=-1)
        heights.append(int((column[20:] > 0.4).sum()))
    assert 3 <= heights[0] <= 6
    assert 1.5 * heights[0] < heights[1] <= 2.5 * heights[0]
