"""What a recording sounds like, one row each 10 ms: log-mel bands that level, microphone and hum drop out of.

Letters: t rows, b bands, d features.
"""

from dataclasses import dataclass

import numpy as np
from scipy.fft import dct
from scipy.ndimage import gaussian_filter1d

SAMPLE_RATE = 16000
HOP = 160
HOPS_A_SECOND = SAMPLE_RATE // HOP
_WINDOW, _FFT = 400, 512
_BANDS, _LOW_HZ, _HIGH_HZ = 24, 150.0, 5000.0
_COEFFICIENTS = 13
_ACTIVE = 4.0  # nepers of power below the loudest that still count as speech
_RANGE = 7.0  # nepers of power below the loudest, under which nothing is heard
_MIN_POWER = 1e-6  # of a whole recording; below it there is silence
_DELTA_HOPS = 3


@dataclass(frozen=True, eq=False)
class Sound:
    """An analysed recording: `mel` (t, b) log power, `active` (t,) bool where there is something to hear."""

    mel: np.ndarray
    active: np.ndarray

    @property
    def active_s(self) -> float:
        """Seconds of sound."""
        return float(self.active.sum()) / HOPS_A_SECOND


def analyse(samples: np.ndarray) -> Sound:
    """Analyse 16 kHz mono `samples`; row t is centred on t * 10 ms."""
    samples = np.nan_to_num(np.asarray(samples, np.float64))
    power = _power(np.append(samples[:1], samples[1:] - 0.97 * samples[:-1]))
    bands = power @ _mel_filters().T
    total = bands.sum(axis=1)
    mel = np.log(bands + 1e-10 + 1e-9 * total.max(initial=0.0))
    level = np.log(total + 1e-10)
    loudest = np.percentile(level, 95) if len(level) else 0.0
    active = (level > loudest - _ACTIVE) & (float(samples @ samples) > _MIN_POWER * max(1, len(samples)))
    return Sound(mel, active)


def compare(first: Sound, second: Sound) -> tuple[np.ndarray, np.ndarray]:
    """Return (t, d) features of two recordings in which they can be compared, rows of length 1.

    Each band is taken relative to its own active mean, and nothing is heard below the noise of either.
    """
    centred = [sound.mel - sound.mel[sound.active].mean(axis=0) for sound in (first, second)]
    floor = np.max([np.percentile(mel, 5, axis=0) for mel in centred], axis=0)
    spread = np.sqrt(
        np.mean([mel[s.active].var(axis=0) for mel, s in zip(centred, (first, second), strict=True)], axis=0)
    )
    left, right = (
        _describe(np.maximum(mel, np.maximum(floor, -_RANGE)) / (spread + 1e-3)) for mel in centred
    )
    return left, right


def envelopes(sound: Sound) -> np.ndarray:
    """Return (t, 2): loudness, and how suddenly it rises (onsets), each with mean 0 and spread 1."""
    mel = np.maximum(sound.mel, np.percentile(sound.mel.max(axis=1), 95) - _RANGE)
    level = gaussian_filter1d(mel.mean(axis=1), 2.0)
    rise = np.maximum(np.diff(gaussian_filter1d(mel, 1.5, axis=0), axis=0, prepend=mel[:1]), 0.0).sum(axis=1)
    both = np.stack([level, gaussian_filter1d(rise, 2.0)], axis=1)
    return (both - both.mean(axis=0)) / (both.std(axis=0) + 1e-9)


def _describe(mel: np.ndarray) -> np.ndarray:
    """Return cepstra of the bands with how they change, as rows of length 1."""
    cepstra = np.asarray(dct(mel, norm="ortho", axis=1))[:, :_COEFFICIENTS]
    smooth = gaussian_filter1d(cepstra, 1.0, axis=0)
    padded = np.pad(smooth, ((_DELTA_HOPS, _DELTA_HOPS), (0, 0)), mode="edge")
    change = padded[2 * _DELTA_HOPS :] - padded[: -2 * _DELTA_HOPS]
    rows = np.concatenate([smooth, change], axis=1)
    return rows / (np.linalg.norm(rows, axis=1, keepdims=True) + 1e-6)


def _power(samples: np.ndarray) -> np.ndarray:
    padded = np.pad(samples, (_WINDOW // 2, _WINDOW // 2 + HOP))
    windows = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::HOP]
    taper = np.hanning(_WINDOW)
    parts = [
        np.abs(np.fft.rfft(windows[start : start + 3000] * taper, _FFT)) ** 2
        for start in range(0, len(windows), 3000)
    ]
    return np.concatenate(parts)


def _mel_filters() -> np.ndarray:
    def mel(hertz: float) -> float:
        return 2595 * np.log10(1 + hertz / 700)

    edges = 700 * (10 ** (np.linspace(mel(_LOW_HZ), mel(_HIGH_HZ), _BANDS + 2) / 2595) - 1)
    hertz = np.arange(_FFT // 2 + 1) * SAMPLE_RATE / _FFT
    rise = (hertz - edges[:-2, None]) / np.diff(edges)[:-1, None]
    fall = (edges[2:, None] - hertz) / np.diff(edges)[1:, None]
    return np.maximum(0, np.minimum(rise, fall))
