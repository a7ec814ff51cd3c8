"""Less jitter without delay: zero-phase smoothing of landmarks that leaves fast lip closures as fast as they are."""

import numpy as np
from scipy.signal import savgol_filter

from daemon.redub.pose import pose_from_parameters, pose_parameters

POSE_WINDOW = 7
POINT_WINDOW = 5


def smooth_points(frames: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Smooth (n, 468, 3) points of frames (n,), each unbroken run of frames for itself."""
    out = np.empty_like(points)
    for run in unbroken_runs(frames):
        out[run] = _smooth_run(points[run])
    return out


def unbroken_runs(frames: np.ndarray) -> list[slice]:
    """Return slices of the sorted `frames` within which each frame follows the one before."""
    breaks = np.flatnonzero(np.diff(frames) != 1) + 1
    edges = [0, *breaks.tolist(), len(frames)]
    return [slice(start, stop) for start, stop in zip(edges, edges[1:], strict=False)]


def smooth_parameters(values: np.ndarray, window: int) -> np.ndarray:
    """Smooth (n, ...) values over time by local parabolas: symmetric, so nothing is shifted."""
    window = min(window, (len(values) - 1) // 2 * 2 + 1)
    return savgol_filter(values, window, 2, axis=0, mode="interp") if window > 3 else values


def _smooth_run(points: np.ndarray) -> np.ndarray:
    parameters = pose_parameters(points)
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
