"""Lines drawn by hand, with no more points than their shape needs. Pure."""

import numpy as np

Point = tuple[float, float]


def simplified(points: list[Point], tolerance: float) -> list[Point]:
    """Return the points that matter: no other lies further than `tolerance` from the line they make.

    Source: Douglas and Peucker, "Algorithms for the reduction of the number of points required to represent a
    digitized line", 1973.
    """
    if len(points) < 3:
        return points
    line = np.array(points)
    keep = np.zeros(len(line), bool)
    keep[[0, -1]] = True
    waiting = [(0, len(line) - 1)]
    while waiting:
        first, last = waiting.pop()
        if last - first < 2:
            continue
        away = _distances(line[first + 1 : last], line[first], line[last])
        furthest = int(away.argmax())
        if away[furthest] > tolerance:
            middle = first + 1 + furthest
            keep[middle] = True
            waiting += [(first, middle), (middle, last)]
    return [point for point, is_kept in zip(points, keep, strict=True) if is_kept]


def _distances(points: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Return how far (n, 2) points lie from the line from `start` to `end`."""
    along = end - start
    length = float(np.hypot(*along))
    offset = points - start
    if length < 1e-9:
        return np.hypot(offset[:, 0], offset[:, 1])
    return np.abs(offset[:, 0] * along[1] - offset[:, 1] * along[0]) / length
