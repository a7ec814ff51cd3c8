"""Thin-plate warps and the painting that uses them."""

import cv2
import numpy as np
import pytest

from daemon.engines.rewrite.paint import Piece, move_skin, paint_mouth
from daemon.engines.rewrite.shape import CONTROLS, INNER, LIP_COUNT, OUTER
from daemon.engines.rewrite.warp import Box, box_around, pixel_places, sample, spline

SIZE = 160
EVERYWHERE = np.ones((SIZE, SIZE), np.float32)


def grid(rng: np.random.Generator) -> np.ndarray:
    x, y = np.meshgrid(np.linspace(30, 130, 6), np.linspace(30, 130, 6))
    return np.stack([x.ravel(), y.ravel()], axis=1) + rng.uniform(-4, 4, (36, 2))


def picture(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(0.3, 0.8, (10, 10, 3)).astype(np.float32)
    return sample(coarse, pixel_places(Box(0, 0, SIZE, SIZE)) / SIZE * 9)


def mouth(opening: float) -> np.ndarray:
    """Return (c, 2) controls of a drawn mouth in the middle of the picture, open by `opening` px."""
    controls = np.zeros((len(CONTROLS), 2))
    for ring, (width, height) in ((OUTER, (34, 14)), (INNER, (26, max(opening, 0.4) / 2))):
        turn = np.pi - np.arange(20) / 20 * 2 * np.pi
        controls[ring] = 80 + np.stack([width * np.cos(turn), height * np.sin(turn)], axis=1)
        if ring is OUTER:
            controls[ring, 1] += np.sign(np.sin(turn)) * opening / 2
    rest = np.arange(LIP_COUNT, len(CONTROLS))
    turn = rest * 2.4
    controls[rest] = 80 + np.stack([(48 + rest % 20) * np.cos(turn), (34 + rest % 25) * np.sin(turn)], axis=1)
    return controls


def test_points_come_to_lie_at_points():
    rng = np.random.default_rng(0)
    old = grid(rng)
    new = old + rng.uniform(-3, 3, old.shape)
    places = spline(new, old, Box(0, 0, SIZE, SIZE), SIZE)
    found = np.stack(
        [sample(np.ascontiguousarray(places[..., axis]), new[None])[0] for axis in (0, 1)], axis=1
    )
    assert np.abs(found - old).max() < 1.0


def test_nothing_moves_where_nothing_is_asked():
    points = grid(np.random.default_rng(1))
    box = Box(16, 24, 96, 80)
    assert np.allclose(spline(points, points, box, SIZE), pixel_places(box), atol=1e-3)


def test_boxes_lie_within_the_picture():
    box = box_around(np.array([[-20.0, 5.0], [300.0, 90.0]]), 10, SIZE)
    assert (box.x0, box.y0, box.x1, box.y1) == (0, 0, SIZE, 104)


def test_skin_outside_the_support_keeps_its_values():
    crop, old = picture(), mouth(4)
    new = old.copy()
    new[OUTER] += [0, 3]
    support = np.zeros((SIZE, SIZE), np.float32)
    support[60:120, 40:120] = 1
    moved = move_skin(crop, old, new, support)
    assert np.array_equal(moved[support == 0], crop[support == 0])
    assert np.abs(moved - crop)[support > 0].max() > 0.01


def test_a_mouth_painted_with_itself_is_itself():
    crop, controls = picture(), mouth(10)
    painted = paint_mouth(crop, controls, [Piece(crop, controls, 1.0)], EVERYWHERE)
    assert np.abs(painted - crop).max() < 0.02


@pytest.mark.parametrize("gain", [0.7, 1.4])
def test_a_unit_from_other_light_is_relit(gain: float):
    crop, controls = picture(), mouth(10)
    painted = paint_mouth(crop, controls, [Piece(crop * np.float32(gain), controls, 1.0)], EVERYWHERE)
    assert np.abs(painted - crop).mean() < 0.01
    assert np.abs(painted - crop).max() < 0.12


def test_amount_zero_changes_nothing():
    crop, other, controls = picture(), picture(5), mouth(10)
    assert np.array_equal(paint_mouth(crop, controls, [Piece(other, controls, 1.0)], 0 * EVERYWHERE), crop)


def test_an_opened_still_mouth_is_dark_inside():
    crop = np.full((SIZE, SIZE, 3), (0.7, 0.5, 0.45), np.float32)
    closed, opened = mouth(0), mouth(18)
    painted = paint_mouth(crop, opened, [Piece(crop, closed, 1.0, is_own=True)], EVERYWHERE)
    assert painted[80, 80].mean() < 0.5 * crop[80, 80].mean()
    assert np.allclose(painted[20, 20], crop[20, 20])


def test_a_sharp_unit_is_softened_for_a_blurred_frame():
    rng = np.random.default_rng(4)
    sharp = np.clip(picture() + rng.normal(size=(SIZE, SIZE, 1)).astype(np.float32) * 0.05, 0, 1)
    blurred, controls = cv2.GaussianBlur(sharp, (0, 0), 2.0), mouth(10)
    painted = paint_mouth(blurred, controls, [Piece(sharp, controls, 1.0)], EVERYWHERE)
    lips = (slice(70, 90), slice(55, 105))
    fine = [float(cv2.Laplacian(image[lips], cv2.CV_32F).std()) for image in (sharp, painted, blurred)]
    assert fine[1] < 0.35 * fine[0]
    assert fine[1] < 3 * fine[2]
