"""The crop path, the mask, and things in front of the mouth, on real footage."""

import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from daemon.faces.landmarks import CHIN, EYE_INNER, LIPS_OUTER
from daemon.faces.lower_face import MaskShape
from daemon.faces.painted import Painted, fill_polygons
from daemon.faces.pose import crop_matrix, pose_matrix
from daemon.faces.region import Region, build_region, crop_size
from daemon.faces.tracks import FaceTrack
from daemon.media.segment import FrameRange

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from footage import follow, read_pictures

COUNT = 90
ALL = FrameRange(0, COUNT)


class Shot:
    """A clip, its track and its patches."""

    def __init__(self, models: Path, pictures: list[np.ndarray]) -> None:
        tracks, raw = follow(models, pictures)
        self.track = tracks[0]
        self.pictures = pictures
        self.raw = [
            next((points[piece] for piece in self.track.pieces if piece in points), None) for points in raw
        ]
        self.size = crop_size(self.track, ALL)

    def patch_matrix(self, frame: int) -> np.ndarray | None:
        points = self.raw[frame]
        return None if points is None else crop_matrix(pose_matrix(points), self.size)

    def patch(self, frame: int) -> np.ndarray | None:
        matrix = self.patch_matrix(frame)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        size = (self.size, self.size)
        return None if matrix is None else cv2.warpAffine(self.pictures[frame], matrix, size, flags=flags)

    def region(self) -> Region:
        return build_region(self.track, ALL, self.size, patch=self.patch, patch_matrix=self.patch_matrix)


@pytest.fixture(scope="module", params=["latentsync_demo1.mp4", "latentsync_demo2.mp4"])
def shot(request: pytest.FixtureRequest, media: Path, face_models: Path) -> Shot:
    return Shot(face_models, read_pictures(media / request.param, COUNT, side=960))


def test_the_crop_fits_the_source(shot: Shot) -> None:
    assert shot.size % 16 == 0
    region = build_region(shot.track, ALL, shot.size)
    scale = np.sqrt(np.linalg.det(region.matrices[:, :, :2]))
    assert 0.85 < np.median(scale) < 1.15


def test_the_head_stands_still_in_the_crop(shot: Shot) -> None:
    region = build_region(shot.track, ALL, shot.size)
    eyes = region.points[:, list(EYE_INNER)].mean(axis=1)
    assert np.abs(np.diff(eyes, axis=0)).max() < 0.03 * shot.size


def test_the_pose_does_not_move_with_the_mouth(shot: Shot) -> None:
    points = shot.track.points[0].copy()
    lower = [*LIPS_OUTER, CHIN]
    points[lower, 1] += 25.0
    assert np.allclose(pose_matrix(points), pose_matrix(shot.track.points[0]))


def test_the_mask_is_soft_covers_the_lips_and_ends_within_the_crop(shot: Shot) -> None:
    region = build_region(shot.track, ALL, shot.size)
    for frame in range(0, COUNT, 10):
        mask = region.mask(frame)
        points = np.round(region.points[frame]).astype(int)
        assert mask.dtype == np.float32
        assert mask.min() >= 0
        assert mask.max() == pytest.approx(1.0)
        assert not mask[[0, -1]].any()
        assert not mask[:, [0, -1]].any()
        assert mask[points[list(LIPS_OUTER), 1], points[list(LIPS_OUTER), 0]].min() > 0.9
        assert mask[points[CHIN, 1], points[CHIN, 0]] > 0.8
        assert mask[points[1, 1], points[1, 0]] < 0.01, "the tip of the nose is left alone"
        assert max(np.abs(np.diff(mask, axis=axis)).max() for axis in (0, 1)) < 0.25


def test_the_mask_fades_beside_frames_that_are_left_alone(shot: Shot) -> None:
    editable = np.ones(COUNT, bool)
    editable[30:40] = False
    region = build_region(shot.track, ALL, shot.size, editable=editable)
    assert not region.usable[30:40].any()
    assert not region.weight[30:40].any()
    assert not region.mask(35).any()
    assert (np.diff(region.weight[40:48]) >= 0).all()
    assert 0 < region.weight[40] < 0.3
    assert region.weight[[20, 50]].tolist() == [1.0, 1.0]


def test_a_mask_is_grown_feathered_and_moved(shot: Shot) -> None:
    plain = build_region(shot.track, ALL, shot.size).mask(20)
    wide, narrow, soft, moved = (
        build_region(shot.track, ALL, shot.size, shape=shape).mask(20)
        for shape in (
            MaskShape(grow=0.06),
            MaskShape(grow=-0.06),
            MaskShape(feather=0.1),
            MaskShape(shift=(0.05, 0.0)),
        )
    )
    assert (wide >= plain - 0.02).all()
    assert (narrow <= plain + 0.02).all()
    assert wide.sum() > 1.15 * plain.sum()
    assert narrow.sum() < 0.85 * plain.sum()
    assert (soft[plain > 0.99] > 0.95).all(), "softness lies outside"
    assert edge_length(soft) > 1.3 * edge_length(plain)
    assert middle(moved) - middle(plain) == pytest.approx(0.05 * shot.size, abs=0.012 * shot.size)
    assert not wide[[0, -1]].any()
    assert not wide[:, [0, -1]].any()


def edge_length(mask: np.ndarray) -> float:
    return float(((mask > 0.05) & (mask < 0.95)).sum())


def middle(mask: np.ndarray) -> float:
    return float(mask.sum(axis=0) @ np.arange(len(mask)) / mask.sum())


def test_a_painted_polygon_is_out_of_the_mask_in_its_frames_alone(shot: Shot) -> None:
    plain = build_region(shot.track, ALL, shot.size)
    chin = shot.track.points[20, CHIN, :2]
    reach = 0.3 * float(np.ptp(shot.track.points[20, :, 0]))
    square = chin + reach * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    region = replace(plain, painted=(Painted(square, FrameRange(10, 40)),))
    inside = cv2.transform(square[None], cv2.invertAffineTransform(plain.matrices[20]))[0]
    hidden = fill_polygons([inside], shot.size, shot.size) > 0
    assert (plain.mask(20)[hidden] > 0).any()
    assert not region.mask(20)[hidden].any()
    assert (region.mask(20)[~hidden] > 0).any()
    assert np.array_equal(region.mask(50), plain.mask(50))


def test_frames_without_the_face_are_unusable_but_have_a_crop(shot: Shot) -> None:
    keep = (shot.track.frames < 30) | (shot.track.frames >= 45)
    gappy = FaceTrack(1, shot.track.frames[keep], shot.track.points[keep], shot.track.scores[keep])
    region = build_region(gappy, ALL, shot.size)
    assert np.flatnonzero(~region.usable).tolist() == list(range(30, 45))
    assert np.isfinite(region.matrices).all()


def test_a_clear_face_keeps_its_whole_mask(shot: Shot) -> None:
    region = shot.region()
    assert region.usable.all()
    assert region.occluders is None or not region.occluders.any()


@pytest.mark.parametrize("colour", [(25, 25, 28), (60, 90, 200)], ids=["black", "blue"])
def test_a_thing_before_the_mouth_is_kept_out_of_the_mask(
    shot: Shot, face_models: Path, colour: tuple[int, int, int]
) -> None:
    covers = {frame: cover(shot, frame) for frame in range(40, 60)}
    pictures = [paint(p, covers[i], colour) if i in covers else p for i, p in enumerate(shot.pictures)]
    covered = Shot(face_models, pictures)
    region, bare = covered.region(), build_region(covered.track, ALL, covered.size)
    shares = []
    for frame, thing in covers.items():
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        size = (covered.size, covered.size)
        hidden = cv2.warpAffine(thing, region.matrices[frame], size, flags=flags) > 0.9
        if (hidden & (bare.mask(frame) > 0.5)).sum() > 0.03 * covered.size**2:
            shares.append(float(region.mask(frame)[hidden].mean()))
    assert len(shares) >= 5
    assert np.mean(shares) < 0.04
    assert max(shares) < 0.15  # a black thing over black hair at the jaw's edge is not seen
    assert np.array_equal(region.mask(10), bare.mask(10))


def cover(shot: Shot, frame: int) -> np.ndarray:
    """Return (H, W) float32: a ball on a stick that crosses the chin from left to right."""
    height, width = shot.pictures[frame].shape[:2]
    points = shot.track.points[frame]
    left, right = points[:, 0].min(), points[:, 0].max()
    x = int(left + (right - left) * (frame - 40) / 20)
    y = int(points[CHIN, 1] - 0.15 * (right - left))
    thing = np.zeros((height, width), np.float32)
    cv2.circle(thing, (x, y), int(0.22 * (right - left)), 1.0, -1, cv2.LINE_AA)
    cv2.line(thing, (x, y), (x - 20, height), 1.0, int(0.06 * (right - left)), cv2.LINE_AA)
    return thing


def paint(picture: np.ndarray, thing: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    noise = np.random.default_rng(3).normal(0.0, 4.0, picture.shape)
    mixed = picture * (1 - thing[..., None]) + thing[..., None] * (np.array(colour) + noise)
    return np.clip(mixed, 0, 255).astype(np.uint8)
