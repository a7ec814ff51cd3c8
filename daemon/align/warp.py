"""Dynamic time warping of recordings onto a guide, in a band around a lag; many pairs at once.

Source: Itakura, "Minimum prediction residual principle applied to speech recognition", 1975: one cost for
each of the guide's rows, slopes between one half and two; here both ends may lie anywhere in the band.
"""

import numpy as np

_FAR = np.float32(1e9)
_BEND = np.float32(0.02)  # cost of leaving the diagonal, which keeps silences straight
_PLAIN, _FASTER, _SLOWER = 0, 1, 2


def warp(
    guide: np.ndarray, weights: np.ndarray, voices: np.ndarray, lags: np.ndarray, reach: int
) -> tuple[np.ndarray, np.ndarray]:
    """Warp voices onto a guide; return costs (p,) and paths (p, t): the voice's row for each of the guide's.

    guide: (t, d) rows of length 1, weights: (t,); voices: (p, u, d); lags: (p,), whole: row i of the guide is
    looked for at row i + lag of the voice, and `reach` rows to either side. The cost is the weighted mean of
    1 - cosine along the path; what lies outside of the voice costs 1.
    """
    count, width = len(voices), 2 * reach + 1
    offsets = lags[:, None] + np.arange(-reach, reach + 1)
    steps = np.zeros((len(guide), count, width), np.int8)
    pair = np.arange(count)[:, None]
    before = earlier = cost_before = np.full((count, width), _FAR, np.float32)
    for row, (sound, weight) in enumerate(zip(guide, weights, strict=True)):
        places = row + offsets
        is_there = (places >= 0) & (places < voices.shape[1])
        cosine = voices[pair, np.clip(places, 0, voices.shape[1] - 1)] @ sound
        cost = np.where(is_there, 1.0 - cosine, 1.0).astype(np.float32) * np.float32(weight)
        if row == 0:
            now = cost
        else:
            now, steps[row] = _best_step(cost, cost_before, before, earlier)
        earlier, before, cost_before = before, now, cost
    ends = before.argmin(axis=1)
    paths = _trace(steps, ends) + np.arange(len(guide)) + (lags - reach)[:, None]
    return before.min(axis=1) / max(float(weights.sum()), 1e-6), paths


def _best_step(
    cost: np.ndarray, cost_before: np.ndarray, before: np.ndarray, earlier: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the least total of each column, and the step that led there.

    Column w of row i is the voice's row i + lag - reach + w: a step along the diagonal keeps its column.
    """
    faster = np.full_like(cost, _FAR)  # passes two rows of the voice
    faster[:, 1:] = before[:, :-1] + cost[:, 1:] + _BEND
    slower = np.full_like(cost, _FAR)  # passes one row of the voice in two of the guide
    slower[:, :-1] = earlier[:, 1:] + cost_before[:, 1:] + cost[:, :-1] + _BEND
    choices = np.stack([before + cost, faster, slower])
    return choices.min(axis=0), choices.argmin(axis=0).astype(np.int8)


def _trace(steps: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Return the column of each row, (p, t), going back from the last."""
    count = steps.shape[1]
    columns = np.zeros((count, len(steps)), int)
    for pair in range(count):
        row, column = len(steps) - 1, int(ends[pair])
        while row >= 0:
            columns[pair, row] = column
            step = steps[row, pair, column]
            if step == _FASTER:
                column -= 1
            elif step == _SLOWER and row > 0:
                columns[pair, row - 1] = column + 1
                row, column = row - 1, column + 1
            row -= 1
    return columns
