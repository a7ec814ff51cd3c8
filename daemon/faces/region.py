"""What may change: a crop path in which the head stands still, and a soft mask of the lower face."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction

import cv2
import numpy as np
from scipy.ndimage import distance_transform_edt

from daemon.faces.lower_face import PLAIN, MaskShape, draw_mask, steady_outline
from daemon.faces.occlusion import SIDE, find_occluders
from daemon.faces.painted import Painted, draw_painted
from daemon.faces.pose import (
    crop_matrix,
    fit_head,
    pose_from_parameters,
    pose_parameters,
)
from daemon.faces.pose import pose_matrix as pose_matrix
from daemon.faces.smoothing import smooth_parameters, unbroken_runs
from daemon.faces.tracks import FaceTrack
from daemon.media.segment import FrameRange

SIZE_STEP = 16
MIN_SIZE = 96
MAX_SIZE = 768
MIN_SCORE = 0.5
MAX_YAW = np.radians(60.0)  # beyond it the mesh invents the far side of the mouth
MAX_HIDDEN = 0.6  # of the mask: behind more than that the mesh invents the mouth
PATH_SPAN_S = Fraction(9, 25)  # seconds over which the crop path is smoothed
FADE_SPAN_S = Fraction(1, 6)  # seconds over which the mask comes back after an unusable frame


@dataclass(frozen=True)
class Region:
    """Where the mouth may change in each of the n frames of `frames`.

    `matrices` (n, 2, 3) lead from crop pixels to the track's (square) pixels, `points` (n, 468, 2) are in
    crop pixels, `usable` (n,) says where there is a face to work on, `weight` (n,) fades from 0 there to 1
    well inside.
    """

    size: int
    frames: FrameRange
    matrices: np.ndarray
    usable: np.ndarray
    points: np.ndarray
    weight: np.ndarray
    outlines: np.ndarray  # (n, k, 2): the mask's outline in units of the crop, steadied over time
    occluders: np.ndarray | None = None  # (n, h, h) uint8, 255 where something stands before the face
    shape: MaskShape = PLAIN
    painted: tuple[Painted, ...] = ()  # what the editor takes out of the mask

    def mask(self, frame: int) -> np.ndarray:
        """Return the (size, size) float32 share of each crop pixel that may change: soft, 0 at the edge."""
        index = frame - self.frames.start
        if self.weight[index] <= 0:
            return np.zeros((self.size, self.size), np.float32)
        mask = draw_mask(self.outlines[index], self.size, self.shape)
        if self.occluders is not None and self.occluders[index].any():
            hidden = cv2.resize(self.occluders[index], (self.size, self.size), interpolation=cv2.INTER_LINEAR)
            mask *= 1.0 - hidden.astype(np.float32) / 255.0
        painted = [polygon.points for polygon in self.painted if frame in polygon.frames]
        if painted:
            to_crop = cv2.invertAffineTransform(self.matrices[index])
            mask *= 1.0 - draw_painted(
                [points @ to_crop[:, :2].T + to_crop[:, 2] for points in painted], self.size
            )
        return mask * np.float32(self.weight[index])


def crop_size(track: FaceTrack, frames: FrameRange) -> int:
    """Return the side of a crop about as fine as the source: a multiple of 16 from 96 to 768."""
    inside = (track.frames >= frames.start) & (track.frames < frames.stop)
    points = track.points[inside] if inside.any() else track.points
    side = float(np.median(np.exp(pose_parameters(points)[:, 2])))
    return int(np.clip(round(side / SIZE_STEP) * SIZE_STEP, MIN_SIZE, MAX_SIZE))


def build_region(
    track: FaceTrack,
    frames: FrameRange,
    size: int,
    *,
    rate: Fraction = Fraction(25),
    editable: np.ndarray | None = None,
    patch: Callable[[int], np.ndarray | None] | None = None,
    patch_matrix: Callable[[int], np.ndarray | None] | None = None,
    shape: MaskShape = PLAIN,
    painted: tuple[Painted, ...] = (),
) -> Region:
    """Plan the crop and the mask of `track` over `frames`.

    `editable` (n,) is False where a frame is to be left alone. With `patch` (uint8 RGB crops of frames)
    and `patch_matrix` (each one's matrix from patch pixels to the track's), things in front of the face are
    found and kept out of the mask. `shape` and `painted` are the editor's changes to it. The track must have
    at least one frame.
    """
    known, usable = _fill_gaps(track, frames)
    if editable is not None:
        usable &= editable
    parameters = _steady_path(known, odd_window(PATH_SPAN_S, rate))
    matrices = crop_matrix(pose_from_parameters(parameters), size)
    points = _into_crop(matrices, known[..., :2])
    outlines = steady_outline(points / size, float(rate))
    fade = float(FADE_SPAN_S * rate)
    region = Region(
        size, frames, matrices, usable, points, _fade(usable, fade), outlines, shape=shape, painted=painted
    )
    if patch is None or patch_matrix is None:
        return region
    occluders = find_occluders(_views(region, patch, patch_matrix), region.points / size)
    if occluders is None:
        return region
    usable = usable & (_hidden_share(region, occluders) < MAX_HIDDEN)
    return replace(region, usable=usable, weight=_fade(usable, fade), occluders=occluders)


def _views(
    region: Region,
    patch: Callable[[int], np.ndarray | None],
    patch_matrix: Callable[[int], np.ndarray | None],
) -> list[tuple[int, np.ndarray]]:
    """Return (index, (SIDE, SIDE, 3) view of the crop) of the usable frames that have a patch."""
    views = []
    for index in map(int, np.flatnonzero(region.usable)):
        view, matrix = patch(region.frames.start + index), patch_matrix(region.frames.start + index)
        if view is not None and matrix is not None:
            views.append((index, _view_in_crop(view, matrix, region.matrices[index], region.size)))
    return views


def _view_in_crop(
    view: np.ndarray, view_matrix: np.ndarray, crop_matrix: np.ndarray, size: int
) -> np.ndarray:
    """Return the (SIDE, SIDE, 3) picture of the crop, cut from the patch `view`."""
    factor = max(1, round(size / SIDE))
    side = SIDE * factor
    to_crop = np.array(
        [[size / side, 0, size / side / 2 - 0.5], [0, size / side, size / side / 2 - 0.5], [0, 0, 1]]
    )
    stored_to_view = cv2.invertAffineTransform(np.asarray(view_matrix, np.float64))
    matrix = stored_to_view @ np.vstack([crop_matrix, [0, 0, 1]]) @ to_crop
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    fine = cv2.warpAffine(view, matrix, (side, side), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return cv2.resize(fine, (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def _hidden_share(region: Region, occluders: np.ndarray) -> np.ndarray:
    """Return (n,) of how much of the mask lies behind something."""
    shares = np.zeros(len(occluders))
    for index in np.flatnonzero(occluders.any(axis=(1, 2))):
        mask = draw_mask(region.outlines[index], occluders.shape[1], region.shape)
        shares[index] = (mask * occluders[index]).sum() / (255.0 * max(float(mask.sum()), 1e-6))
    return shares


def odd_window(span_s: Fraction, rate: Fraction) -> int:
    """Return the odd number of frames nearest to `span_s` seconds, at least 5."""
    return max(5, int(span_s * rate) // 2 * 2 + 1)


def _fill_gaps(track: FaceTrack, frames: FrameRange) -> tuple[np.ndarray, np.ndarray]:
    """Return points (n, 468, 3) of every frame, made up where the face is not seen, and usable (n,)."""
    wanted = np.arange(frames.start, frames.stop)
    right = np.clip(np.searchsorted(track.frames, wanted), 0, len(track.frames) - 1)
    left = np.clip(right - (track.frames[right] > wanted), 0, None)
    span = np.maximum(track.frames[right] - track.frames[left], 1)
    share = np.clip((wanted - track.frames[left]) / span, 0.0, 1.0)[:, None, None]
    points = track.points[left] * (1 - share) + track.points[right] * share
    is_seen = track.frames[right] == wanted
    return points, is_seen & (track.scores[right] >= MIN_SCORE) & (np.abs(_yaw(points)) < MAX_YAW)


def _yaw(points: np.ndarray) -> np.ndarray:
    _, rotation, _ = fit_head(points)
    return np.arctan2(rotation[..., 2, 0], np.hypot(rotation[..., 0, 0], rotation[..., 1, 0]))


def _steady_path(points: np.ndarray, window: int) -> np.ndarray:
    parameters = pose_parameters(points)
    frames = np.arange(len(points))
    for run in unbroken_runs(frames, parameters):
        parameters[run, 3] = np.unwrap(parameters[run, 3])
        parameters[run] = smooth_parameters(parameters[run], window)
    return parameters


def _into_crop(matrices: np.ndarray, points: np.ndarray) -> np.ndarray:
    inverse = np.linalg.inv(matrices[:, :, :2])
    return np.einsum("nij,nkj->nki", inverse, points - matrices[:, None, :, 2]).astype(np.float32)


def _fade(usable: np.ndarray, span: float) -> np.ndarray:
    """Return (n,) weights: 0 in unusable frames, rising smoothly to 1 over `span` frames beside them."""
    if usable.all():
        return np.ones(len(usable), np.float32)
    away = np.asarray(distance_transform_edt(usable))
    ramp = np.clip(away / (span + 1.0), 0.0, 1.0)
    return (ramp * ramp * (3 - 2 * ramp)).astype(np.float32)
