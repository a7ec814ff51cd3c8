"""Changes how long a recording lasts and keeps its pitch: waveform-similarity overlap-add.

Source: Verhelst and Roelands, An overlap-add technique based on waveform similarity (WSOLA), ICASSP 1993.
"""

import numpy as np
from scipy.signal import correlate

_WINDOW_S = 0.030
_SEARCH_S = 0.010


def stretch(samples: np.ndarray, count: int, sample_rate: int) -> np.ndarray:
    """Return `samples` (n, channels) lasting `count` samples instead of n, in the same type."""
    if count == len(samples):
        return samples.copy()
    values = samples.astype(np.float64)
    half = max(8, int(_WINDOW_S * sample_rate) // 2)
    stretched = _overlap_add(values, count, half, int(_SEARCH_S * sample_rate))
    if samples.dtype.kind == "f":
        return stretched.astype(samples.dtype)
    limits = np.iinfo(samples.dtype)
    return np.clip(np.rint(stretched), limits.min, limits.max).astype(samples.dtype)


def _overlap_add(values: np.ndarray, count: int, half: int, search: int) -> np.ndarray:
    """Lay windows of 2 * half samples at every `half`, each taken where it goes on best from the last one."""
    pad = 2 * half + search
    padded = np.pad(values, ((pad, pad), (0, 0)))
    mono = padded.mean(axis=1)
    window = np.sin(np.pi * (np.arange(2 * half) + 0.5) / (2 * half))[:, None] ** 2
    out = np.zeros((count + 4 * half, values.shape[1]))
    pace = len(values) / count
    previous = None
    for place in range(-half, count, half):
        ideal = pad + round(place * pace)
        at = ideal if previous is None else _best_match(mono, previous + half, ideal, half, search)
        at = min(max(at, 0), len(mono) - 2 * half)
        out[place + half : place + 3 * half] += window * padded[at : at + 2 * half]
        previous = at
    return out[half : half + count]


def _best_match(mono: np.ndarray, natural: int, ideal: int, half: int, search: int) -> int:
    """Return the start, within `search` of `ideal`, of the piece most like the one that would go on
    naturally.
    """
    wanted = mono[natural : natural + 2 * half]
    low = min(max(0, ideal - search), max(0, len(mono) - 2 * half))
    area = mono[low : ideal + search + 2 * half]
    if len(wanted) < 2 * half or len(area) < 2 * half:
        return ideal
    likeness = correlate(area, wanted, mode="valid", method="fft")
    energy = np.convolve(area**2, np.ones(2 * half), mode="valid")
    return low + int(np.argmax(likeness / np.sqrt(energy + 1e-9 * (wanted @ wanted) + 1e-12)))
