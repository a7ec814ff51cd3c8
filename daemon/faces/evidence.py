"""How surely a face is the one that is heard: its mouth moves, and moves with the sound.

Two things tell: what this very mouth does for the sound, learnt on part of the footage and tried on the rest
(voice_match.py), and what most mouths do for such a sound, which the caller knows. Letters: n frames.
"""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.signal import butter, sosfiltfilt

from daemon.faces.landmarks import INNER_PAIRS, MOUTH_CORNERS
from daemon.faces.pose import fit_head
from daemon.faces.tracks import FaceTrack
from daemon.faces.voice_match import SOUND_RATE, agreement, predict_held_out, sound_features, without_drift
from daemon.media.segment import FrameRange, sample_at

MAX_SOUND_S = 60  # of sound before and after the wanted frames that is listened to
NEAR_S = 2  # beside the wanted frames in which a mouth is held against most mouths
SILENCE = 0.003  # of full scale: a source whose sound never gets louder has none
STILL_MOUTH = 0.04  # eye distances a second: a mouth that moves less is not speaking
BUSY_MOUTH = 0.12  # and one that moves this much may be
MOTION_ALONE = 0.1  # of the evidence: a mouth that moves, but not with the sound
MIN_SECONDS = 0.8  # less sound than this tells nothing
DRIFT_S = 0.6
MIN_FRAMES = 8
CLOSED = 0.005  # eye distances, added before the logarithm: small openings weigh as much as large ones

Expect = Callable[[np.ndarray, int, Fraction], np.ndarray]
"""(16 kHz sound, frames, rate) to (leads, n, 2): how far most mouths open for it, a logarithm, and how wide
they are, once for each time by which lips may be ahead of what is heard."""


@dataclass(frozen=True)
class OwnSound:
    """The source's own sound, 16 kHz mono, its first sample at frame `start`; what most mouths do for it."""

    samples: np.ndarray
    start: int
    expect: Expect

    def near(self, wanted: FrameRange, rate: Fraction) -> "Heard | None":
        """Listen to the sound within a minute of the wanted frames; None where it tells nothing."""
        reach = round(MAX_SOUND_S * rate)
        first, last = max(self.start, wanted.start - reach), wanted.stop + reach
        low, high = (sample_at(frame - self.start, rate, SOUND_RATE) for frame in (first, last))
        samples = self.samples[low:high]
        count = int(len(samples) * rate / SOUND_RATE)
        if count < MIN_SECONDS * rate or float(np.abs(self.samples).max()) <= SILENCE:
            return None
        level = loudness(samples, count, rate)
        return Heard(
            FrameRange(first, first + count),
            sound_features(samples, count, rate),
            self.expect(samples, count, rate),
            level > level.max() - 30.0,
        )


@dataclass(frozen=True)
class Heard:
    """A sound as every face is held against it: `features` (n, k), `expected` (leads, n, 2) and where it
    `is_loud` (n,).
    """

    frames: FrameRange
    features: np.ndarray
    expected: np.ndarray
    is_loud: np.ndarray


def mouth_aperture(points: np.ndarray) -> np.ndarray:
    """Return how far the inner lips of (n, 468, 3) points are apart, in eye distances."""
    gaps = [np.linalg.norm(points[:, low] - points[:, high], axis=-1) for high, low in INNER_PAIRS]
    return np.mean(gaps, axis=0) / fit_head(points)[0]


def loudness(sound: np.ndarray, frames: int, rate: Fraction) -> np.ndarray:
    """Return (frames,) decibels of the voice band of 16 kHz `sound`, frame by frame, floored at -60."""
    band = butter(2, (150, 4000), "bandpass", fs=SOUND_RATE, output="sos")
    voice = sosfiltfilt(band, sound) if len(sound) > 64 else sound
    power = np.concatenate([[0.0], np.cumsum(np.square(voice, dtype=np.float64))])
    edges = [min(sample_at(frame, rate, SOUND_RATE), len(sound)) for frame in range(frames + 1)]
    counts = np.maximum(np.diff(edges), 1)
    return 10 * np.log10(np.diff(power[edges]) / counts + 1e-6)


def speech_evidence(track: FaceTrack, sound: Heard, wanted: FrameRange, rate: Fraction) -> float:
    """Return 0..1: how much the mouth of `track` moves in the frames `wanted`, and with the sound.

    The sound may reach further than `wanted`: the more it holds, the surer.
    """
    inside = _within(track.frames, sound.frames)
    if inside.sum() < MIN_SECONDS * rate:
        return 0.0
    frames, points = track.frames[inside], track.points[inside]
    heard = frames - sound.frames.start  # where they lie in the sound
    aperture, width = mouth_aperture(points), _mouth_width(points)
    mouth = np.stack([np.log(aperture + CLOSED), width], axis=1)
    targets = without_drift(np.stack([aperture, width], axis=1), float(rate))
    learnt = predict_held_out(sound.features[heard], targets)
    near = _within(frames, wanted.widen(round(NEAR_S * rate)))
    usual = _best_fit(mouth[near], sound.expected[:, heard[near]], DRIFT_S * float(rate))
    together = (agreement(learnt, targets) + 2 * usual) / 3
    speed = np.abs(np.gradient(aperture, frames)) * float(rate)
    busy = _busy(speed[sound.is_loud[heard] & _within(frames, wanted)])
    return float(busy * (MOTION_ALONE + (1 - MOTION_ALONE) * max(0.0, together)))


def _within(frames: np.ndarray, part: FrameRange) -> np.ndarray:
    return (frames >= part.start) & (frames < part.stop)


def _best_fit(mouth: np.ndarray, leads: np.ndarray, drift: float) -> float:
    """Return the mean correlation of (n, 2) with that of (leads, n, 2) which fits best, slow parts apart."""
    if len(mouth) < MIN_FRAMES:
        return 0.0
    real, usual = (rows - gaussian_filter1d(rows, drift, axis=-2, mode="nearest") for rows in (mouth, leads))
    return max(agreement(lead, real) for lead in usual)


def _busy(speed: np.ndarray) -> float:
    mean = float(speed.mean()) if len(speed) else 0.0
    return float(np.clip((mean - STILL_MOUTH) / (BUSY_MOUTH - STILL_MOUTH), 0.0, 1.0))


def _mouth_width(points: np.ndarray) -> np.ndarray:
    right, left = MOUTH_CORNERS
    return np.linalg.norm(points[:, right] - points[:, left], axis=-1) / fit_head(points)[0]
