"""How well a mouth goes with a sound: can it be predicted from the sound, on frames it was not learnt from?

Loudness alone says little: two people who both move their mouths look alike to it. A linear map from the
sound's short spectra to the mouth's opening, learnt on part of the frames and tried on the rest, tells them
apart.
"""

from fractions import Fraction

import numpy as np
from scipy.fft import dct
from scipy.ndimage import gaussian_filter1d

from daemon.media.segment import sample_at

SOUND_RATE = 16_000
BANDS = 20
COEFFICIENTS = 8
CONTEXT_S = (
    0.2  # of sound to either side of a frame: speech is seen before it is heard, and files are off by some
)
CONTEXT_STEPS = 4  # to either side
WINDOW = 512  # samples, 32 ms
RIDGE = 3.0  # of the features' own energy
PARTS = 8


def sound_features(sound: np.ndarray, frames: int, rate: Fraction) -> np.ndarray:
    """Return (frames, k) standardised features of 16 kHz `sound`: spectra around each frame's middle."""
    centres = [sample_at(frame, rate, SOUND_RATE) + int(SOUND_RATE / rate / 2) for frame in range(frames)]
    offsets = np.linspace(-CONTEXT_S, CONTEXT_S, 2 * CONTEXT_STEPS + 1) * SOUND_RATE
    padding = int(offsets[-1]) + WINDOW
    padded = np.pad(sound.astype(np.float64), padding)
    starts = (np.array(centres)[:, None] + offsets.astype(int)[None, :] + padding - WINDOW // 2).ravel()
    starts = np.clip(starts, 0, len(padded) - WINDOW)
    spectra = _spectra(padded, starts).reshape(frames, -1)
    return (spectra - spectra.mean(axis=0)) / (spectra.std(axis=0) + 1e-6)


def predict_held_out(features: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return (n, t) predictions of `targets`, each by a ridge regression that left out that stretch."""
    predicted = np.zeros_like(targets)
    penalty = RIDGE * features.shape[1] * np.eye(features.shape[1])
    for part in np.array_split(np.arange(len(features)), min(PARTS, len(features))):
        rest = np.setdiff1d(np.arange(len(features)), part)
        known, answers = features[rest], targets[rest] - targets[rest].mean(axis=0)
        predicted[part] = features[part] @ np.linalg.solve(known.T @ known + penalty, known.T @ answers)
    return predicted


def agreement(predicted: np.ndarray, targets: np.ndarray) -> float:
    """Return the mean correlation of prediction and target over the target's columns, drift set aside."""
    values = []
    for guess, real in zip(predicted.T, targets.T, strict=True):
        if len(real) < 8 or guess.std() < 1e-12 or real.std() < 1e-12:
            values.append(0.0)
        else:
            values.append(float(np.corrcoef(guess, real)[0, 1]))
    return float(np.mean(values))


def without_drift(series: np.ndarray, rate: float) -> np.ndarray:
    """Return (n, t) series less their slow part (turning head, smile), in units of their own spread."""
    fast = series - np.asarray(gaussian_filter1d(series, rate, axis=0))
    return fast / (fast.std(axis=0) + 1e-9)


def _spectra(padded: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Return (m, COEFFICIENTS) cepstra of windows: log energies in mel bands, then a DCT."""
    edges = 700 * (10 ** (np.linspace(_mel(120.0), _mel(6500.0), BANDS + 2) / 2595) - 1)
    bins = np.arange(WINDOW // 2 + 1) * SOUND_RATE / WINDOW
    rise = (bins[None] - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    fall = (edges[2:, None] - bins[None]) / (edges[2:] - edges[1:-1])[:, None]
    bank = np.clip(np.minimum(rise, fall), 0.0, None)
    windows = padded[starts[:, None] + np.arange(WINDOW)] * np.hanning(WINDOW)
    power = np.abs(np.fft.rfft(windows, axis=1)) ** 2 @ bank.T
    return np.asarray(dct(np.log(power + 1e-5), norm="ortho", axis=1))[:, :COEFFICIENTS]


def _mel(frequency: float) -> float:
    return 2595 * np.log10(1 + frequency / 700)
