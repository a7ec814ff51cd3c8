"""Lay a reading against a guide track: where it fits as a whole, where it drifts, and how sure that is.

Loudness and onsets say where it may lie; warping its spectra onto the guide's says where it does. The
confidence compares the cost of that warp with what the same reading costs with its words out of order.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.signal import find_peaks
from scipy.special import expit

from daemon.align.features import HOP, HOPS_A_SECOND, SAMPLE_RATE, Sound, analyse, compare, envelopes
from daemon.align.warp import warp

_PLACES = 4  # lags that are looked into
_APART_S = 0.25  # between two of them
_REACH_S = 0.6  # by which a reading may drift from a lag
_MIN_OVERLAP_S = 0.4
_CONTROLS = 10
_BLOCK_S = 0.25  # of the reading, shuffled for a control
_QUIET_WEIGHT = 0.1  # of the guide's silences, against its speech
_PIECE_S = 1.0  # longest segment that is told of by itself
_LONGEST_PAUSE_S = 0.2
_SHORTEST_S = 0.1
_MIN_SPEECH_S = 0.3
_PHAT_HZ = (150.0, 5000.0)
_PHAT_PEAK = 8.0  # standard deviations; the highest of chance peaks reaches four

# A logistic curve fitted to 64 pairs of sentences by different synthetic voices (half of them other words,
# noise to 8 dB, paces 0.8 to 1.25): where right and wrong are equally likely, and how fast that changes.
_EVEN, _SPREAD = 0.37, 0.065
_SAME = 0.99  # the very recording: its waveform is found again


class NothingToHearError(ValueError):
    """One of the recordings holds no speech; the text says which: "guide" or "voice"."""


@dataclass(frozen=True)
class Segment:
    """A stretch of the guide, in seconds, and how much later the reading is there than where it was laid."""

    start_s: float
    stop_s: float
    drift_s: float


@dataclass(frozen=True)
class Alignment:
    """`offset_s`: when, on the guide's clock, the reading's first sample is to be played."""

    offset_s: float
    confidence: float  # 0 to 1
    segments: list[Segment]


def align(guide: np.ndarray, voice: np.ndarray, *, tick: Callable[[], None] = lambda: None) -> Alignment:
    """Lay `voice` against `guide`, both 16 kHz mono. Raises NothingToHearError."""
    ours, theirs = analyse(guide), analyse(voice)
    for name, sound in (("guide", ours), ("voice", theirs)):
        if sound.active_s < _MIN_SPEECH_S:
            raise NothingToHearError(name)
    tick()
    left, right = compare(ours, theirs)
    lags = _likely_lags(envelopes(ours), envelopes(theirs))
    weights = np.where(ours.active, 1.0, _QUIET_WEIGHT)
    costs, paths = warp(
        left, weights, np.broadcast_to(right, (len(lags), *right.shape)), lags, _hops(_REACH_S)
    )
    tick()
    path = paths[int(costs.argmin())]
    drift = path - np.arange(len(path))
    certain = ours.active & theirs.active[np.clip(path, 0, len(theirs.active) - 1)]
    lag_s = float(np.median(drift[certain] if certain.any() else drift)) / HOPS_A_SECOND
    exact_s = _same_recording(guide, voice, lag_s)
    confidence = _SAME
    if exact_s is None:
        confidence = _confidence(float(costs.min()), _shuffled_costs(left, weights, right, lags, tick))
    offset_s = -float(lag_s if exact_s is None else exact_s)
    return Alignment(offset_s, confidence, _segments(ours, certain, drift / HOPS_A_SECOND + offset_s))


def _hops(seconds: float) -> int:
    return round(seconds * HOPS_A_SECOND)


def _likely_lags(guide: np.ndarray, voice: np.ndarray) -> np.ndarray:
    """Return the lags (rows of the voice minus rows of the guide) at which loudness and onsets agree best."""
    rows, other = len(guide), len(voice)
    size = 1 << (rows + other).bit_length()
    scores = np.zeros(rows + other - 1)
    overlap = np.rint(_correlate(np.ones(rows), np.ones(other), size))
    for ours, theirs in zip(guide.T, voice.T, strict=True):
        energy = _correlate(ours**2, np.ones(other), size) * _correlate(np.ones(rows), theirs**2, size)
        scores += _correlate(ours, theirs, size) / np.sqrt(np.maximum(energy, 1e-6))
    scores *= np.sqrt(np.minimum(overlap / min(rows, other), 1.0))
    scores[overlap < min(_hops(_MIN_OVERLAP_S), rows, other)] = -np.inf
    peaks, _ = find_peaks(np.pad(scores, 1, constant_values=-np.inf), distance=_hops(_APART_S))
    best = peaks[np.argsort(scores[peaks - 1])[::-1][:_PLACES]] - 1
    return (best if len(best) else np.array([int(scores.argmax())])) - (rows - 1)


def _correlate(ours: np.ndarray, theirs: np.ndarray, size: int) -> np.ndarray:
    """Return sum over i of ours[i] * theirs[i + lag], lag from -(len(ours) - 1) to len(theirs) - 1."""
    spectrum = np.conj(np.fft.rfft(ours, size)) * np.fft.rfft(theirs, size)
    whole = np.fft.irfft(spectrum, size)
    return np.concatenate([whole[size - len(ours) + 1 :], whole[: len(theirs)]])


def _shuffled_costs(
    left: np.ndarray, weights: np.ndarray, right: np.ndarray, lags: np.ndarray, tick: Callable[[], None]
) -> np.ndarray:
    """Return what the reading costs at its best place with its blocks out of order, once for each control."""
    generator = np.random.default_rng(0)
    blocks = np.array_split(np.arange(len(right)), max(2, round(len(right) / _hops(_BLOCK_S))))
    found = np.empty(_CONTROLS)
    for control in range(_CONTROLS):
        order = np.concatenate([blocks[place] for place in generator.permutation(len(blocks))])
        voices = np.broadcast_to(right[order], (len(lags), *right.shape))
        costs, _ = warp(left, weights, voices, lags, _hops(_REACH_S))
        found[control] = costs.min()
        tick()
    return found


def _same_recording(guide: np.ndarray, voice: np.ndarray, lag_s: float) -> float | None:
    """Return the lag to a fraction of a sample where both hold the same recording, else None.

    Source: Knapp and Carter, "The generalized correlation method for estimation of time delay", 1976 (PHAT).
    """
    lag, margin = round(lag_s * SAMPLE_RATE), 2 * HOP
    start, stop = max(0, -lag), min(len(guide), len(voice) - lag)
    if stop - start < SAMPLE_RATE * _MIN_OVERLAP_S:
        return None
    size = 1 << (stop - start + 2 * margin).bit_length()
    cross = np.conj(np.fft.rfft(guide[start:stop], size)) * np.fft.rfft(voice[start + lag : stop + lag], size)
    hertz = np.fft.rfftfreq(size, 1 / SAMPLE_RATE)
    cross = np.where((hertz > _PHAT_HZ[0]) & (hertz < _PHAT_HZ[1]), cross / (np.abs(cross) + 1e-12), 0)
    found = np.fft.irfft(cross, size)
    near = np.concatenate([found[-margin:], found[: margin + 1]])
    peak = int(near.argmax())
    if near[peak] < _PHAT_PEAK * found.std() or not 0 < peak < len(near) - 1:
        return None
    before, top, after = near[peak - 1 : peak + 2]
    part = 0.5 * (before - after) / (before - 2 * top + after)
    return (lag + peak - margin + part) / SAMPLE_RATE


def _segments(ours: Sound, certain: np.ndarray, drift_s: np.ndarray) -> list[Segment]:
    """Return how far the reading drifts in each stretch of the guide's speech."""
    rows = np.flatnonzero(ours.active)
    breaks = np.flatnonzero(np.diff(rows) > _hops(_LONGEST_PAUSE_S)) + 1
    segments = []
    for run in np.split(rows, breaks):
        for piece in np.array_split(run, max(1, round((run[-1] - run[0]) / _hops(_PIECE_S)))):
            inside = piece[certain[piece]]
            if len(piece) >= _hops(_SHORTEST_S) and len(inside):
                start, stop = int(piece[0]), int(piece[-1]) + 1
                drift = float(np.median(drift_s[inside]))
                segments.append(Segment(start / HOPS_A_SECOND, stop / HOPS_A_SECOND, drift))
    return segments


def _confidence(cost: float, shuffled: np.ndarray) -> float:
    """Return how sure it is, 0 to 1, from how much cheaper the reading is than itself out of order."""
    return float(expit((1 - cost / max(float(shuffled.mean()), 1e-6) - _EVEN) / _SPREAD))
