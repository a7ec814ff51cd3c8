"""From phonemes to mouth shapes: a target a phoneme, blended in time as speakers do.

Source: the dominance functions of Cohen and Massaro, "Modeling coarticulation in synthetic visual speech"
(1993): each sound pulls at the mouth for a while before and after it, some sounds harder than others.
"""

from dataclasses import dataclass

import numpy as np

from daemon.demo.making.speech import Phoneme


@dataclass(frozen=True)
class Viseme:
    """A mouth: `gap` 0 shut to 1 widest, `width` -1 round to 1 spread, `tuck` 1 lower lip under the teeth."""

    gap: float
    width: float
    tuck: float = 0.0
    pull: float = 1.0  # how strongly it holds against its neighbours
    reach_s: float = 0.055  # how far in time it is felt


CLOSED = Viseme(0.0, 0.0, pull=12.0, reach_s=0.030)
BITTEN = Viseme(0.16, 0.1, tuck=1.0, pull=5.0, reach_s=0.035)
PAUSE = Viseme(0.03, 0.05, pull=1.5, reach_s=0.09)
REST = Viseme(0.25, 0.1, pull=0.4)

# Letters of the phonetic alphabet, vowels below.
VISEMES = {
    "pbm": CLOSED,
    "fv": BITTEN,
    "w": Viseme(0.18, -1.0, pull=3.0),
    "ʃʒ": Viseme(0.26, -0.6, pull=2.0),
    "ɹr": Viseme(0.28, -0.45, pull=1.2),
    "θð": Viseme(0.26, 0.1, pull=1.2),
    "sz": Viseme(0.16, 0.35, pull=1.6),
    "tdnlɾ": Viseme(0.26, 0.15, pull=0.7),
    "kɡgŋhj": Viseme(0.34, 0.1, pull=0.4),  # noqa: RUF001
    "iɪᵻ": Viseme(0.42, 0.75, pull=1.8),  # noqa: RUF001
    "eɛ": Viseme(0.68, 0.5, pull=2.0),
    "æ": Viseme(0.90, 0.45, pull=2.4),
    "aɑ": Viseme(1.00, 0.0, pull=2.6),  # noqa: RUF001
    "ʌɐə": Viseme(0.60, 0.05, pull=1.8),
    "ɜɚ": Viseme(0.46, -0.3, pull=1.6),
    "ɔ": Viseme(0.80, -0.55, pull=2.2),
    "o": Viseme(0.58, -0.8, pull=2.2),
    "uʊ": Viseme(0.30, -0.95, pull=2.2),
}
SHORT_PAUSE_S = 0.12
STEP_S = 0.005


@dataclass(frozen=True)
class MouthCurve:
    """The mouth over time: one value a frame in each array."""

    gap: np.ndarray
    width: np.ndarray
    tuck: np.ndarray


def mouth_curve(
    phonemes: list[Phoneme],
    *,
    end_s: float,
    frames: int,
    rate: float,
    visemes: dict[str, Viseme] = VISEMES,
) -> MouthCurve:
    """Blend the targets of `phonemes` (times in the shot) into mouth shapes for each frame."""
    times_s = np.arange(0, frames / rate + STEP_S, STEP_S)
    total = np.zeros((3, len(times_s)))
    weight = np.zeros(len(times_s))
    for viseme, begin_s, stop_s in _spans(phonemes, visemes, end_s=end_s, shot_s=frames / rate):
        away_s = np.maximum(0.0, np.maximum(begin_s - times_s, times_s - stop_s))
        dominance = viseme.pull * np.exp(-away_s / viseme.reach_s) + 1e-9
        total += dominance * np.array([[viseme.gap], [viseme.width], [viseme.tuck]])
        weight += dominance
    at_frames = np.rint(np.arange(frames) / rate / STEP_S).astype(int)
    gap, width, tuck = (_smoothed(row, 0.012) for row in total / weight)
    return MouthCurve(_opened(gap)[at_frames], _smoothed(width, 0.03)[at_frames], tuck[at_frames])


def _spans(
    phonemes: list[Phoneme], visemes: dict[str, Viseme], *, end_s: float, shot_s: float
) -> list[tuple[Viseme, float, float]]:
    """Return (target, begin, stop) of each sound, the halves of diphthongs apart, silence at both ends."""
    kept = _without_short_pauses(phonemes, end_s)
    spans = [(PAUSE, -1.0, kept[0].start_s - 0.08)]
    for phoneme, following in zip(kept, [*kept[1:], Phoneme("", end_s)], strict=True):
        targets = _targets(phoneme.symbol, visemes)
        length_s = (following.start_s - phoneme.start_s) / len(targets)
        for part, target in enumerate(targets):
            begin_s = phoneme.start_s + part * length_s
            inset_s = 0.2 * length_s
            spans.append((target, begin_s + inset_s, begin_s + length_s - inset_s))
    return [*spans, (PAUSE, end_s + 0.05, shot_s + 1.0)]


def _without_short_pauses(phonemes: list[Phoneme], end_s: float) -> list[Phoneme]:
    ends = [phoneme.start_s for phoneme in phonemes[1:]] + [end_s]
    return [
        phoneme
        for phoneme, stop_s in zip(phonemes, ends, strict=True)
        if phoneme.symbol or stop_s - phoneme.start_s > SHORT_PAUSE_S
    ]


def _targets(symbol: str, visemes: dict[str, Viseme]) -> list[Viseme]:
    if not symbol:
        return [PAUSE]
    found = [viseme for letter in symbol for letters, viseme in visemes.items() if letter in letters]
    return found or [REST]


def _opened(gap: np.ndarray) -> np.ndarray:
    """Let what is nearly closed close: lips that touch are pressed flat, not a hair apart."""
    return np.clip((gap - 0.05) / 0.95, 0.0, 1.0)


def _smoothed(values: np.ndarray, sigma_s: float) -> np.ndarray:
    radius = int(3 * sigma_s / STEP_S)
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) * STEP_S / sigma_s) ** 2)
    return np.convolve(np.pad(values, radius, mode="edge"), kernel / kernel.sum(), mode="valid")
