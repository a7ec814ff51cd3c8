"""The drawn heads: what is measured on their pixels is what they were drawn with."""

import numpy as np
import pytest

from daemon.demo.making.visemes import MouthCurve
from tests.training.heads import (
    WIDEST,
    crop_matrices,
    draw,
    draw_identity,
    draw_motion,
    measure_openings,
    openings,
    shot_matrix,
)

FRAMES = 24


def random_mouths(random: np.random.Generator) -> MouthCurve:
    gap = np.clip(random.uniform(-0.2, 1.0, FRAMES), 0, 1)
    return MouthCurve(gap, random.uniform(-1, 0.75, FRAMES), np.zeros(FRAMES))


@pytest.mark.parametrize("seed", range(4))
def test_the_measured_opening_is_the_drawn_one(seed: int) -> None:
    random = np.random.default_rng(seed)
    identity, motion, mouths = draw_identity(random), draw_motion(random, FRAMES), random_mouths(random)
    for to_shot, side in ((crop_matrices(motion, 64, shift=np.array([0.0, 0.15]), grow=1.1), 64),
                          (shot_matrix(192), 192)):  # fmt: skip
        pictures = draw(identity, motion, mouths, to_shot, side)
        read, truth = measure_openings(pictures, identity, motion, to_shot), openings(mouths)
        assert np.corrcoef(read, truth)[0, 1] > 0.97
        assert np.abs(read - truth).max() < 0.15 * WIDEST


def test_only_the_mouth_and_the_jaw_move_with_the_voice() -> None:
    random = np.random.default_rng(0)
    identity, motion = draw_identity(random), draw_motion(random, 2, liveliness=0.0)
    still = MouthCurve(np.zeros(2), np.zeros(2), np.zeros(2))
    wide = MouthCurve(np.ones(2), np.zeros(2), np.zeros(2))
    to_shot = shot_matrix(128)
    one, other = (draw(identity, motion, mouths, to_shot, 128) for mouths in (still, wide))
    changed = np.flatnonzero(np.abs(one - other).max(axis=(0, 2, 3)) > 0)
    heights = changed * to_shot[1, 1] + to_shot[1, 2]
    assert heights.min() > 0.2  # below the eyes, in their distance
    assert (one[0] == one[1]).all()  # without motion a head stands still


def test_people_differ_and_a_seed_is_one_of_them() -> None:
    first, again, other = (draw_identity(np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert (first.skin == again.skin).all()
    assert (first.skin != other.skin).all()
