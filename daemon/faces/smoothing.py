"""Less jitter without delay: zero-phase smoothing of poses and points that leaves lip closures fast."""

from itertools import pairwise

import numpy as np
from scipy.signal import savgol_filter

from daemon.faces.pose import pose_from_parameters, pose_parameters

POSE_WINDOW = 7
POINT_WINDOW = 5
JUMP = 0.25  # of the crop's side, or of its logarithm: further than a head moves within a frame


def smooth_points(frames: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Smooth (n, 468, 3) points of frames (n,), each unbroken run of frames for itself."""
    out = np.empty_like(points)
    parameters = pose_parameters(points)
    for run in unbroken_runs(frames, parameters):
        out[run] = _smooth_run(points[run], parameters[run])
    return out


def unbroken_runs(frames: np.ndarray, parameters: np.ndarray) -> list[slice]:
    """Return the slices of sorted `frames` (n,) over which a head of pose `parameters` (n, 4) moves smoothly.

    A missing frame ends a run, and so does a jump: a cut that nobody announced.
    """
    step = np.abs(np.diff(parameters, axis=0))
    far = np.hypot(step[:, 0], step[:, 1]) > JUMP * np.exp(parameters[:-1, 2])
    breaks = np.flatnonzero((np.diff(frames) != 1) | far | (step[:, 2] > JUMP)) + 1
    return [slice(start, stop) for start, stop in pairwise([0, *breaks.tolist(), len(frames)])]


def smooth_parameters(values: np.ndarray, window: int) -> np.ndarray:
    """Smooth (n, ...) values over time by local parabolas: symmetric, so nothing is shifted in time."""
    window = min(window, (len(values) - 1) // 2 * 2 + 1)
    return np.asarray(savgol_filter(values, window, 2, axis=0, mode="interp")) if window > 3 else values


def _smooth_run(points: np.ndarray, parameters: np.ndarray) -> np.ndarray:
    parameters = parameters.copy()
    parameters[:, 3] = np.unwrap(parameters[:, 3])
    local = _to_local(pose_from_parameters(parameters), points)
    steady = pose_from_parameters(smooth_parameters(parameters, POSE_WINDOW))
    return _from_local(steady, smooth_parameters(local, POINT_WINDOW)).astype(points.dtype)


def _to_local(poses: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return the points in units of the crop square."""
    inverse = np.linalg.inv(poses[:, :, :2])
    scale = np.sqrt(np.linalg.det(poses[:, :, :2]))[:, None, None]
    flat = np.einsum("nij,nkj->nki", inverse, points[..., :2] - poses[:, None, :, 2])
    return np.concatenate([flat, points[..., 2:] / scale], axis=-1)


def _from_local(poses: np.ndarray, local: np.ndarray) -> np.ndarray:
    scale = np.sqrt(np.linalg.det(poses[:, :, :2]))[:, None, None]
    flat = np.einsum("nij,nkj->nki", poses[:, :, :2], local[..., :2]) + poses[:, None, :, 2]
    return np.concatenate([flat, local[..., 2:] * scale], axis=-1)
