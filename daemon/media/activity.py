"""Where in a recording someone speaks: energy in the voice's band against a noise floor that follows it."""

from fractions import Fraction

import numpy as np
from scipy.ndimage import binary_closing, binary_opening, maximum_filter1d, percentile_filter

from daemon.media.segment import FrameRange, sample_at

_RATE = 16000
_HOP = 160  # 10 ms
_WINDOW = 400
_LOW_HZ, _HIGH_HZ = 120, 4200
_FLOOR_SPAN = 300  # hops over which the noise floor is the quietest tenth
_OVER_FLOOR_DB = 7.0
_UNDER_LOUD_DB = 38.0  # quieter than this under the loudest speech is room or breath
_SILENCE_DB = -75.0  # of full scale
_STEADY_DB = 8.0  # a recording that varies less than this is noise or one held tone
_SHORTEST_BURST, _LONGEST_GAP, _HANG_OVER = 4, 12, 5  # hops


def speech_activity(mono16k: np.ndarray, rate: Fraction, frames: FrameRange) -> np.ndarray:
    """Return how much of each frame is speech, (n,) float32 from 0 to 1; sample 0 lies at `frames.start`."""
    spoken = _spoken_hops(mono16k.astype(np.float32, copy=False))
    total = np.concatenate([[0.0], np.cumsum(spoken)])
    first = sample_at(frames.start, rate, _RATE)
    edges = np.array(
        [sample_at(frame, rate, _RATE) - first for frame in range(frames.start, frames.stop + 1)]
    )
    places = np.clip(edges / _HOP, 0, len(spoken))
    reached = np.interp(places, np.arange(len(total)), total)
    return (np.diff(reached) / np.maximum(np.diff(places), 1e-6)).clip(0, 1).astype(np.float32)


def _spoken_hops(mono: np.ndarray) -> np.ndarray:
    """Return for every 10 ms whether there is speech, (hops,) float."""
    level, flatness = _band_level(mono)
    if level.max(initial=_SILENCE_DB) <= _SILENCE_DB + 6:
        return np.zeros(len(level))
    loud = float(np.percentile(level[level > _SILENCE_DB], 95))
    if loud - float(np.percentile(level, 5)) < _STEADY_DB:
        return np.full(len(level), float(np.median(flatness) < 0.2))
    span = min(_FLOOR_SPAN, len(level))
    floor = percentile_filter(level, 10, size=span, mode="nearest")
    floor = np.clip(floor, _SILENCE_DB, loud - 18)
    threshold = np.maximum(floor + _OVER_FLOOR_DB, loud - _UNDER_LOUD_DB)
    spoken = level > threshold
    spoken = binary_closing(np.pad(spoken, _LONGEST_GAP), np.ones(_LONGEST_GAP))[_LONGEST_GAP:-_LONGEST_GAP]
    spoken = binary_opening(spoken, np.ones(_SHORTEST_BURST))
    spoken = maximum_filter1d(
        spoken.astype(np.uint8), _HANG_OVER, origin=_HANG_OVER // 2
    )  # holds on at the end
    return spoken.astype(np.float64)


def _band_level(mono: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the level of the voice's band in dB of full scale, and its spectral flatness, for every hop."""
    hops = max(1, -(-len(mono) // _HOP))
    padded = np.pad(mono, ((_WINDOW - _HOP) // 2, _WINDOW + _HOP))
    levels, flatness = np.empty(hops), np.empty(hops)
    window = np.hanning(_WINDOW).astype(np.float32)
    low, high = _LOW_HZ * 512 // _RATE, _HIGH_HZ * 512 // _RATE
    for start in range(0, hops, 3000):  # half a minute at a time keeps long recordings small
        stop = min(hops, start + 3000)
        pieces = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[start * _HOP : stop * _HOP : _HOP]
        power = np.abs(np.fft.rfft(pieces[: stop - start] * window, 512)[:, low:high]) ** 2
        power = power / (window @ window * 256) + 1e-12
        levels[start:stop] = 10 * np.log10(power.sum(axis=1))
        flatness[start:stop] = np.exp(np.log(power).mean(axis=1)) / power.mean(axis=1)
    return np.maximum(levels, _SILENCE_DB), flatness
