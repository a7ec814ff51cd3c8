"""What a voice sounds like, as numbers in which two voices can be compared: one row each 10 ms.

Log-mel bands, six broad bands and voicing, each taken relative to the voice's own active sound, so that
speaker, microphone and level drop out. Rows are sampled at frame times, so the frame rate never enters the
analysis.

Letters: t rows of 10 ms, b bands, n frames.
"""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from scipy.ndimage import gaussian_filter1d

SAMPLE_RATE = 16000
HOP = 160
_WINDOW = 400
_FFT = 512
_MEL_BANDS = 26
_BROAD_HZ = ((60, 300), (300, 900), (900, 2000), (2000, 3500), (3500, 7500), (60, 7500))
_RANGE = 9.0  # nepers of power (39 dB) below the loudest, under which nothing is heard
_ACTIVE = 5.0  # nepers of power below the loudest that still count as active
LAGS_S = np.arange(-3, 4) * 0.04
_SMOOTH_ROWS = 1.0  # standard deviation; a frame lasts two to four rows


@dataclass(frozen=True)
class Sound:
    """An analysed voice: `mel` (t, b), `broad` (t, 6) log power, `voicing` (t,) 0..1, `active` (t,) bool."""

    mel: np.ndarray
    broad: np.ndarray
    voicing: np.ndarray
    active: np.ndarray

    @property
    def active_s(self) -> float:
        """Seconds of active sound."""
        return float(self.active.sum()) * HOP / SAMPLE_RATE


def analyse(samples: np.ndarray) -> Sound:
    """Analyse 16 kHz mono `samples`; silence gives a Sound without active rows."""
    samples = np.nan_to_num(np.asarray(samples, np.float64))
    power = _power(np.append(samples[:1], samples[1:] - 0.97 * samples[:-1]))
    hertz = np.arange(_FFT // 2 + 1) * SAMPLE_RATE / _FFT
    quiet = 1e-10 + 1e-9 * power.sum(axis=1).max(initial=0.0)
    mel = np.log(power @ _mel_filters(hertz).T + quiet)
    broad = np.log(
        np.stack([power[:, (hertz >= low) & (hertz < high)].sum(axis=1) for low, high in _BROAD_HZ], axis=1)
        + quiet
    )
    loudest = np.percentile(broad[:, 5], 95)
    is_sound = power.sum() > 1e-6
    active = (broad[:, 5] > loudest - _ACTIVE) & is_sound
    mel = np.maximum(mel, np.percentile(mel.max(axis=1), 95) - _RANGE)
    broad = np.maximum(broad, loudest - _RANGE)
    return Sound(mel, broad, _voicing(samples, len(mel)), active)


def relate(sound: Sound, floor: "Floor") -> Sound:
    """Return `sound` relative to its own active mean, with nothing below `floor` left to be heard."""
    mel_middle, broad_middle = _middle(sound.mel, sound.active), _middle(sound.broad, sound.active)
    return Sound(
        np.maximum(sound.mel - mel_middle, floor.mel),
        np.maximum(sound.broad - broad_middle, floor.broad),
        sound.voicing,
        sound.active,
    )


@dataclass(frozen=True)
class Floor:
    """The quietest a band gets, relative to the active mean, in whichever of the voices is the noisier."""

    mel: np.ndarray
    broad: np.ndarray


def common_floor(sounds: list[Sound]) -> Floor:
    """Return the floor above which all `sounds` can be compared: a clean voice has silences a noisy one
    lacks.
    """
    return Floor(
        np.max([_low(sound.mel, sound.active) for sound in sounds], axis=0),
        np.max([_low(sound.broad, sound.active) for sound in sounds], axis=0),
    )


def frame_features(sound: Sound, times_s: np.ndarray, scale: "Scale") -> np.ndarray:
    """Return (n, d) features of a related sound around each time: what is heard within 120 ms of it."""
    parts = []
    for rows, size in zip(_streams(sound), scale.sizes, strict=True):
        parts.append(_sample(rows, times_s) / size)
    return np.concatenate(parts, axis=1)


@dataclass(frozen=True)
class Scale:
    """How large each stream of features is where the model learned, so that all count alike."""

    sizes: tuple[float, ...]


def feature_scale(sound: Sound, times_s: np.ndarray) -> Scale:
    """Return the scale that gives each stream of `sound` its share of the distance between two moments."""
    sizes = []
    for rows, share in zip(_streams(sound), (1.0, 0.6, 0.6), strict=True):
        sampled = _sample(rows, times_s)
        spread = np.sqrt(((sampled - sampled.mean(axis=0)) ** 2).sum(axis=1).mean())
        sizes.append(max(float(spread), 1e-6) / share)
    return Scale(tuple(sizes))


def frame_times(count: int, rate: Fraction) -> np.ndarray:
    """Return the times in seconds of `count` frames, the first at 0."""
    return np.arange(count) * float(1 / rate)


def at_times(rows: np.ndarray, times_s: np.ndarray) -> np.ndarray:
    """Return rows of 10 ms, (t,), at the times of (n,) frames."""
    return np.interp(times_s * 100, np.arange(len(rows)), rows)


def _streams(sound: Sound) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return sound.mel, sound.broad, sound.voicing[:, None]


def _sample(rows: np.ndarray, times_s: np.ndarray) -> np.ndarray:
    smooth = gaussian_filter1d(rows, _SMOOTH_ROWS, axis=0, mode="nearest")
    position = (times_s[:, None] + LAGS_S) * (SAMPLE_RATE / HOP)
    position = np.clip(position, 0, len(rows) - 1)
    low = np.minimum(position.astype(int), max(len(rows) - 2, 0))
    high = np.minimum(low + 1, len(rows) - 1)
    share = (position - low)[..., None]
    return (smooth[low] * (1 - share) + smooth[high] * share).reshape(len(times_s), -1)


def _middle(rows: np.ndarray, active: np.ndarray) -> np.ndarray:
    return rows[active].mean(axis=0) if active.any() else rows.mean(axis=0)


def _low(rows: np.ndarray, active: np.ndarray) -> np.ndarray:
    return np.percentile(rows, 5, axis=0) - _middle(rows, active)


def _power(samples: np.ndarray) -> np.ndarray:
    """Return the (t, _FFT / 2 + 1) power spectra of windows centred on each row's time."""
    padded = np.pad(samples, (_WINDOW // 2, _WINDOW // 2 + HOP))
    windows = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::HOP]
    return np.abs(np.fft.rfft(windows * np.hanning(_WINDOW), _FFT)) ** 2


def _mel_filters(hertz: np.ndarray) -> np.ndarray:
    mel = np.linspace(2595 * np.log10(1 + 100 / 700), 2595 * np.log10(1 + 7500 / 700), _MEL_BANDS + 2)
    edges = 700 * (10 ** (mel / 2595) - 1)
    rise = (hertz - edges[:-2, None]) / np.diff(edges)[:-1, None]
    fall = (edges[2:, None] - hertz) / np.diff(edges)[1:, None]
    return np.maximum(0, np.minimum(rise, fall))


def _voicing(samples: np.ndarray, count: int) -> np.ndarray:
    """Return (count,) the height of the autocorrelation's peak between 70 and 355 Hz.

    Source: Boersma, "Accurate short-term analysis of the fundamental frequency", 1993 (window's own part
    divided out).
    """
    length, size = 640, 2048
    window = np.hanning(length)
    own = np.fft.irfft(np.abs(np.fft.rfft(window, size)) ** 2)[:230]
    padded = np.pad(samples, (length // 2, length // 2 + HOP))
    windows = np.lib.stride_tricks.sliding_window_view(padded, length)[::HOP]
    heights = np.zeros(count)
    for start in range(0, min(count, len(windows)), 1000):
        part = np.fft.irfft(np.abs(np.fft.rfft(windows[start : start + 1000] * window, size)) ** 2)[:, :230]
        energy = part[:, :1] + 1e-3 * np.abs(samples).max(initial=0.0) ** 2 + 1e-12
        heights[start : start + len(part)] = (part / energy / (own / own[0]))[:, 45:].max(axis=1)
    return np.clip(heights, 0, 1)
