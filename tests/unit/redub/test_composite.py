"""Crop and composite: what goes out and comes back lands where it was, and nothing else moves."""

import cv2
import numpy as np
import pytest

from daemon.faces.painted import fill_polygons
from daemon.media.colour import Coding, coding_of
from daemon.media.deliver import OVERLAY_PIXELS
from daemon.media.pixels import PixelFormat, pixel_format
from daemon.media.tags import ColourTags
from daemon.redub.composite import (
    add_grain,
    bake,
    blend_crop,
    changed_area,
    keep_out,
    match_colour,
    noise_level,
    overlay_planes,
    place_patch,
)
from daemon.redub.crop import sample_crop

WIDTH, HEIGHT, SIZE = 322, 242, 128
MATRIX = np.array([[1.02, 0.12, 90.3], [-0.12, 1.02, 60.7]])
FORMATS = [
    *("yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv411p", "yuv410p"),
    *("gbrp", "gbrp12le"),
]


def picture(pixels: PixelFormat) -> tuple[np.ndarray, ...]:
    """Smooth planes of any format, so that resampling loses next to nothing."""
    peak = (1 << pixels.depth) - 1
    planes = []
    for index in range(3):
        rows, columns = pixels.plane_shape(index, WIDTH, HEIGHT)
        y, x = np.mgrid[:rows, :columns] / np.array([rows, columns]).reshape(2, 1, 1)
        planes.append((peak * (0.45 + 0.2 * np.sin(5 * x + index) * np.cos(4 * y))).astype(pixels.dtype))
    return tuple(planes)


def disc(radius: float = 40) -> np.ndarray:
    mask = np.zeros((SIZE, SIZE), np.float32)
    cv2.circle(mask, (SIZE // 2, SIZE // 2), round(radius), 1.0, -1)
    return cv2.GaussianBlur(mask, (0, 0), 5)


def coding(pixels: PixelFormat) -> Coding:
    return coding_of(pixels, ColourTags(1, 1, 1, 1), HEIGHT)


@pytest.mark.parametrize("name", FORMATS)
def test_an_unchanged_crop_bakes_back_to_the_source(name: str) -> None:
    pixels = pixel_format(name)
    planes = picture(pixels)
    crop = sample_crop(planes, pixels, coding(pixels), MATRIX, SIZE)

    baked = bake(planes, pixels, coding(pixels), place_patch(crop, disc(), MATRIX, WIDTH, HEIGHT))

    for ours, theirs in zip(baked, planes, strict=True):
        assert np.abs(ours.astype(int) - theirs.astype(int)).max() <= 1 << max(0, pixels.depth - 8)


@pytest.mark.parametrize("name", FORMATS)
def test_code_values_outside_the_matte_stay_what_they_were(name: str) -> None:
    pixels = pixel_format(name)
    planes = picture(pixels)
    patch = place_patch(np.ones((SIZE, SIZE, 3), np.float32), disc(), MATRIX, WIDTH, HEIGHT)

    baked = bake(planes, pixels, coding(pixels), patch)

    touched = np.zeros((HEIGHT, WIDTH), np.uint8)
    touched[patch.area.y0 : patch.area.y1, patch.area.x0 : patch.area.x1] = patch.alpha > 0
    assert (baked[0] != planes[0]).any()
    for ours, theirs in zip(baked, planes, strict=True):
        rows, columns = ours.shape
        reach = cv2.dilate(touched, np.ones((3, 5), np.uint8)) if ours.shape != touched.shape else touched
        allowed = cv2.resize(reach, (columns, rows), interpolation=cv2.INTER_NEAREST) > 0
        np.testing.assert_array_equal(ours[~allowed], theirs[~allowed])


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_painted_out_keeps_its_code_values_in_every_plane(name: str) -> None:
    pixels = pixel_format(name)
    planes = picture(pixels)
    patch = place_patch(np.ones((SIZE, SIZE, 3), np.float32), disc(60), MATRIX, WIDTH, HEIGHT)
    polygon = np.array([[120.3, 90.7], [190.0, 101.0], [171.0, 160.4]])
    painted = fill_polygons([polygon], WIDTH, HEIGHT) > 0

    baked = bake(planes, pixels, coding(pixels), keep_out(patch, painted))

    assert (baked[0] != planes[0]).any()
    for ours, theirs in zip(baked, planes, strict=True):
        rows, columns = ours.shape
        high, wide = -(-HEIGHT // rows), -(-WIDTH // columns)
        padded = np.pad(painted, ((0, rows * high - HEIGHT), (0, columns * wide - WIDTH)))
        kept = padded.reshape(rows, high, columns, wide).any(axis=(1, 3))
        assert kept.sum() > 50
        np.testing.assert_array_equal(ours[kept], theirs[kept])


def test_the_placed_area_follows_the_crop_across_the_frame_edge() -> None:
    pixels = pixel_format("yuv420p")
    planes = picture(pixels)
    matrix = np.array([[1.0, 0, -40], [0, 1, 180]])

    patch = place_patch(np.ones((SIZE, SIZE, 3), np.float32), disc(), matrix, WIDTH, HEIGHT)
    baked = bake(planes, pixels, coding(pixels), patch)

    assert patch.area.x0 == 0
    assert patch.area.y1 == HEIGHT
    assert patch.alpha.max() > 0.99
    assert [plane.shape for plane in baked] == [plane.shape for plane in planes]


def test_overlay_over_the_source_shows_what_baking_shows() -> None:
    pixels = pixel_format("yuv444p10le")
    planes = picture(pixels)
    source = sample_crop(planes, pixels, coding(pixels), MATRIX, SIZE)
    patch = place_patch(np.clip(source + 0.1, 0, 1), disc(), MATRIX, WIDTH, HEIGHT)

    overlay = overlay_planes(patch, coding(OVERLAY_PIXELS), WIDTH, HEIGHT)
    baked = bake(planes, pixels, coding(pixels), patch)

    alpha = overlay[3] / 1023
    for index in range(3):
        shown = planes[index] + alpha * (overlay[index].astype(float) - planes[index])
        assert np.abs(shown - baked[index]).max() < 2.0


def test_an_overlay_without_a_change_is_empty() -> None:
    patch = place_patch(np.zeros((SIZE, SIZE, 3), np.float32), np.zeros((SIZE, SIZE)), MATRIX, WIDTH, HEIGHT)

    planes = overlay_planes(patch, coding(OVERLAY_PIXELS), WIDTH, HEIGHT)

    assert not planes[3].any()
    assert (planes[0] == 64).all()
    assert (planes[1] == 512).all()


def noise(seed: int, sigma: float) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, sigma, (SIZE, SIZE, 1)).astype(np.float32) * np.ones(
        3, np.float32
    )


def test_a_cast_over_the_whole_crop_is_matched_away() -> None:
    source = np.full((SIZE, SIZE, 3), 0.4, np.float32)
    cast = source + np.array([0.06, -0.02, -0.05], np.float32)

    matched = match_colour(cast, source, disc())

    assert np.abs(matched - source)[disc() > 0.5].max() < 0.004


def test_a_change_inside_survives_colour_matching() -> None:
    source = np.full((SIZE, SIZE, 3), 0.4, np.float32)
    new = source.copy()
    cv2.circle(new, (SIZE // 2, SIZE // 2), 12, (0.1, 0.05, 0.05), -1)

    matched = match_colour(new, source, disc())

    np.testing.assert_allclose(matched, new, atol=1e-3)


def test_missing_grain_is_given_back() -> None:
    source = np.full((SIZE, SIZE, 3), 0.4, np.float32) + noise(1, 0.02)
    smooth = np.full((SIZE, SIZE, 3), 0.4, np.float32)

    grained = add_grain(smooth, source, disc(), seed=3)

    inside = disc() > 0.9
    assert noise_level(smooth, inside) < 0.001
    assert 0.8 < noise_level(grained, inside) / noise_level(source, inside) < 1.2


def test_grain_is_the_same_for_the_same_frame_and_seed() -> None:
    source = np.full((SIZE, SIZE, 3), 0.4, np.float32) + noise(1, 0.02)
    new = np.full((SIZE, SIZE, 3), 0.6, np.float32)

    first, _ = blend_crop(new, source, disc(), frame=7, seed=1)
    again, _ = blend_crop(new, source, disc(), frame=7, seed=1)
    other, _ = blend_crop(new, source, disc(), frame=8, seed=1)

    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_only_what_changed_is_part_of_the_matte() -> None:
    source = np.full((SIZE, SIZE, 3), 0.4, np.float32)
    new = source.copy()
    cv2.circle(new, (SIZE // 2, SIZE // 2), 10, (0.1, 0.05, 0.05), -1)

    change = changed_area(new, source)

    assert change[SIZE // 2, SIZE // 2] > 0.99
    assert change[SIZE // 2, SIZE // 2 + 40] == 0
    assert not changed_area(source, source).any()


def test_a_jaw_that_moved_across_a_collar_is_no_cast() -> None:
    size = 128
    rows, columns = np.mgrid[:size, :size]
    mask = np.clip(1.6 - np.hypot(rows - 64, columns - 64) / 40, 0, 1).astype(np.float32)
    source = np.full((size, size, 3), 0.6, np.float32)
    source[100:] = 0.05  # a dark collar, which the new picture shows lower down
    new = np.full((size, size, 3), 0.6, np.float32)
    new[108:] = 0.05
    matched = match_colour(new, source, mask)
    assert np.abs(matched - new)[:96].max() < 0.01
    assert np.abs(match_colour(new - 0.05, source, mask) - new)[:96].max() < 0.01, "a cast still goes away"
