"""What mouth a voice asks for: learned from the actor's own picture and sound, or a general rule where
there is none.

The sound around each frame (sound.py) is taken to the mouth's measures (shape.py) by kernel and linear ridge
regression together; how far each measure can be trusted is found by leaving out an eighth of the footage at
a time.
"""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from scipy.ndimage import gaussian_filter1d

from daemon.engines.engine import Material
from daemon.engines.rewrite.prediction import Prediction, from_log, with_log
from daemon.engines.rewrite.rule import general_rule
from daemon.engines.rewrite.shape import measure, read_heads
from daemon.engines.rewrite.sound import (
    analyse,
    at_times,
    common_floor,
    feature_scale,
    frame_features,
    frame_times,
    relate,
)

_MIN_TRAINING_S = 2.5
_MIN_SKILL = 0.12  # correlation on left-out footage below which the source's sound teaches nothing
_SKILL_ROWS, _FIT_ROWS = 600, 1200  # at most, of neighbouring frames that say much the same
_FOLDS = 8
_SMILE_S = 0.2
_DRIFT_S = 0.5
_FULL_SKILL = 0.25  # correlation from which on the general rule has no say
_SMILE_SHARE = 0.5
_KERNELS = ((0.1, 1.0), (0.5, 0.3))  # width of the kernel (1 / mean squared distance), ridge


@dataclass(frozen=True)
class Lesson:
    """Frames to learn from: `times_s` (n,) in `sound`, and their `measures` (n, 5)."""

    sound: np.ndarray  # 16 kHz mono
    times_s: np.ndarray
    measures: np.ndarray
    rate: Fraction


def predict(lesson: Lesson | None, voice: np.ndarray, rate: Fraction, count: int) -> Prediction:
    """Return the measures that `voice` asks for in `count` frames from its first sample on."""
    times_s = frame_times(count, rate)
    if lesson is None or len(lesson.times_s) < _MIN_TRAINING_S * lesson.rate:
        return general_rule(voice, rate, count)
    heard, said = analyse(lesson.sound), analyse(voice)
    if heard.active_s < _MIN_TRAINING_S or not said.active.any():
        return general_rule(voice, rate, count)
    floor = common_floor([heard, said])
    heard, said = relate(heard, floor), relate(said, floor)
    scale = feature_scale(heard, lesson.times_s)
    learned, asked = frame_features(heard, lesson.times_s, scale), frame_features(said, times_s, scale)
    targets = _targets(lesson)
    rows, all_rows = _thin(len(learned), _SKILL_ROWS), _thin(len(learned), _FIT_ROWS)
    left_out = _leave_out(learned[rows], targets[rows])
    skill = _skill(left_out, targets[rows], lesson.times_s[rows])
    if skill[0] < _MIN_SKILL:
        return general_rule(voice, rate, count)
    values = _fit(learned[all_rows], targets[all_rows])(asked)
    gain = np.clip(_true_spread(lesson) / (left_out.std(axis=0) + 1e-6), 1.0, 3.0)
    is_speech = at_times(said.active.astype(float), times_s) > 0.5
    values = _restore_spread(values, lesson, gain, is_speech=is_speech)
    values[:, 0] = _lean_on_rule(
        values[:, 0], general_rule(voice, rate, count).values[:, 0], float(skill[0]), is_speech
    )
    return Prediction(values, np.clip(skill, 0, 1), asked, learned, is_learned=True)


def predict_aperture(material: Material | None, voice: np.ndarray, rate: Fraction, frames: int) -> np.ndarray:
    """Return (frames,) the inner-lip aperture, in eye distances, that `voice` (16 kHz mono) asks for.

    Learned from `material` where its sound and picture allow, else from a general rule, whose scale is
    arbitrary.
    """
    lesson = read_lesson(material, rate) if material is not None else None
    return from_log(predict(lesson, voice, rate, frames).values[:, 0])


def read_lesson(material: Material, rate: Fraction) -> Lesson | None:
    """Return what the material's picture and sound teach, or None where there is no sound or no face."""
    seen = np.array([frame in material.frames for frame in material.track.frames.tolist()], bool)
    if material.sound is None or not seen.any():
        return None
    measures = measure(read_heads(material.track.points[seen]).shapes)
    times_s = (material.track.frames[seen] - material.frames.start) * float(1 / rate)
    return Lesson(material.sound, times_s, measures, rate)


def _targets(lesson: Lesson) -> np.ndarray:
    """Return the measures to learn: aperture as a logarithm, without the part that a lasting smile explains.

    A smile opens the lips without a sound; left in, the loudest lesson of a clip can be its one laugh.
    """
    targets = with_log(lesson.measures)
    lasting = gaussian_filter1d(targets[:, 1], _SMILE_S * float(lesson.rate), mode="nearest")
    lasting = lasting - lasting.mean()
    slope = max(float(lasting @ targets[:, 0]) / max(float(lasting @ lasting), 1e-9), 0.0)
    targets[:, 0] -= _SMILE_SHARE * slope * lasting
    return targets


def _true_spread(lesson: Lesson) -> np.ndarray:
    return with_log(lesson.measures).std(axis=0)


def _thin(count: int, most: int) -> np.ndarray:
    return np.arange(0, count, -(-count // most))


def _close_as_often(values: np.ndarray, is_speech: np.ndarray, actor: np.ndarray, trust: float) -> np.ndarray:
    """Return the values with those below the middle brought to the ranks of the actor's own.

    Lips then close for p, b and m about as often as the actor's do; wide openings stay what they were.
    """
    spoken = np.sort(values[is_speech])
    rank = np.interp(values, spoken, np.linspace(0, 1, len(spoken)))
    share = trust * np.clip((0.55 - rank) / 0.3, 0, 1)
    return values + share * (np.minimum(np.quantile(actor, rank), values) - values)


def _lean_on_rule(learned: np.ndarray, rule: np.ndarray, skill: float, is_speech: np.ndarray) -> np.ndarray:
    """Mix the general rule, brought to the learned mean and spread, into a prediction of little skill."""
    share = np.clip(1 - skill / _FULL_SKILL, 0, 1)
    if share == 0 or is_speech.sum() < 10:
        return learned
    middle, spread = learned[is_speech].mean(), learned[is_speech].std()
    fitted = middle + (rule - rule[is_speech].mean()) * spread / (rule[is_speech].std() + 1e-6)
    mixed = (1 - share) * learned + share * fitted
    return middle + (mixed - middle) * spread / (mixed[is_speech].std() + 1e-6)


def _leave_out(features: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return predictions of each part of the footage from the other parts."""
    fold = np.arange(len(features)) * _FOLDS // len(features)
    predicted = np.empty_like(targets)
    for part in range(_FOLDS):
        inside = fold == part
        predicted[inside] = _fit(features[~inside], targets[~inside])(features[inside])
    return predicted


def _skill(predicted: np.ndarray, actual: np.ndarray, times_s: np.ndarray) -> np.ndarray:
    """Return (k,) how well each measure was predicted: without its drift, or within the parts, whichever is
    better.

    A laugh in one part of the footage spoils the correlation over all and says nothing about speech.
    """
    rows = _DRIFT_S * len(times_s) / max(float(times_s[-1] - times_s[0]), 1e-3)
    quick = [
        values - gaussian_filter1d(values, rows, axis=0, mode="nearest") for values in (predicted, actual)
    ]
    parts = np.array_split(np.arange(len(actual)), _FOLDS)
    within = np.mean([_correlations(predicted[part], actual[part]) for part in parts], axis=0)
    return np.maximum(_correlations(quick[0], quick[1]), within)


def _correlations(predicted: np.ndarray, actual: np.ndarray) -> np.ndarray:
    a, b = predicted - predicted.mean(axis=0), actual - actual.mean(axis=0)
    return (a * b).sum(axis=0) / np.sqrt((a**2).sum(axis=0) * (b**2).sum(axis=0) + 1e-12)


@dataclass(frozen=True)
class Regression:
    """The mean of two Gaussian-kernel ridge regressions, one broad, one narrow, and a linear one."""

    features: np.ndarray
    middle: np.ndarray
    spread: float
    duals: tuple[np.ndarray, ...]
    linear: np.ndarray

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Return (n, k) targets of (n, d) features."""
        distance = _distances(features, self.features) / self.spread
        parts = [
            np.exp(-distance * width) @ dual for (width, _), dual in zip(_KERNELS, self.duals, strict=True)
        ]
        parts.append((features - self.features.mean(axis=0)) @ self.linear)
        return np.mean(parts, axis=0) + self.middle


def _fit(features: np.ndarray, targets: np.ndarray) -> Regression:
    middle = targets.mean(axis=0)
    centred = features - features.mean(axis=0)
    spread = float((centred**2).sum(axis=1).mean()) + 1e-12
    distance = _distances(features, features) / spread
    eye = np.eye(len(features))
    duals = tuple(
        np.linalg.solve(np.exp(-distance * width) + ridge * eye, targets - middle)
        for width, ridge in _KERNELS
    )
    gram = centred @ centred.T
    linear = centred.T @ np.linalg.solve(gram + spread * eye, targets - middle)
    return Regression(features, middle, spread, duals, linear)


def _distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    squares = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2 * a @ b.T
    return np.maximum(squares, 0)


def _restore_spread(
    values: np.ndarray, lesson: Lesson, gain: np.ndarray, *, is_speech: np.ndarray
) -> np.ndarray:
    """Give the predictions back the spread that regression takes, so that the mouth does not mumble.

    `gain` is what the left-out footage lacked; where the voice speaks long enough, its own spread says
    more, and its mean is drawn to the actor's: another person's voice may sit elsewhere.
    """
    targets, speaking = with_log(lesson.measures), is_speech
    trust = speaking.sum() / (speaking.sum() + 60.0)
    middle = targets.mean(axis=0)
    if speaking.sum() >= 10:
        own = targets.std(axis=0) / (values[speaking].std(axis=0) + 1e-6)
        gain = np.exp((1 - trust) * np.log(gain) + trust * np.log(np.clip(own, 1.0, 4.0)))
        middle = middle + trust * (values[speaking].mean(axis=0) - middle)
    stretched = targets.mean(axis=0) + (values - middle) * gain
    if speaking.sum() >= 10:
        stretched[:, 0] = _close_as_often(stretched[:, 0], speaking, targets[:, 0], float(trust))
    low, high = np.percentile(targets, (1, 99), axis=0)
    room = 0.15 * (high - low)
    return np.clip(stretched, low - room, high + room)
