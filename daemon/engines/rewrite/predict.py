"""What mouth a voice asks for: learned from the actor's own picture and sound, together with what most
mouths do, or by that general rule alone.

The sound around each frame (sound.py) is taken to the mouth's measures (shape.py) by regression. A few
seconds teach little that way, and any mouth shuts for a b: so the general rule (rule.py), moved in time and
scaled to the actor's own, has half a say. Two forecasts that err in different ways are best averaged with
equal weights as long as neither's errors are well known (Bates and Granger, "The combination of forecasts",
1969, and what followed it).
"""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from scipy.ndimage import gaussian_filter1d

from daemon.engines.engine import Material
from daemon.engines.rewrite.prediction import Prediction, from_log, to_log, with_log
from daemon.engines.rewrite.prior import read_lips
from daemon.engines.rewrite.regression import fit, leave_out, skill
from daemon.engines.rewrite.rule import (
    Rule,
    find_lead,
    general_rule,
    log_spread,
    rule_at,
    to_unit,
    usual_spread,
)
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

_MIN_TRAINING_S = 1.5
_MIN_SKILL = 0.12  # correlation on left-out footage below which the source's sound teaches nothing
_SKILL_ROWS, _FIT_ROWS = 600, 1200  # at most, of neighbouring frames that say much the same
_SMILE_S = 0.2
_SMILE_SHARE = 0.5
_RULE_SHARE = 0.5
_MIN_SPOKEN = 10  # frames
_OPEN = (-0.4, 0.4)  # deviations between which an aperture asked for begins to speak against closed lips
_LIVELY = (0.67, 1.5)  # how much more or less than the lesson's a voice may move the mouth
_RAISED_SHARE = 0.5  # of how much wider than for the lesson any mouth would be open, in what to expect


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
    if not heard.active.any() or not said.active.any():
        return general_rule(voice, rate, count)
    lips = read_lips(heard)
    lead_s = find_lead(lips, lesson.times_s, to_log(lesson.measures[:, 0]))
    if heard.active_s < _MIN_TRAINING_S:
        return general_rule(voice, rate, count, lead_s)
    rules = rule_at(lips, lesson.times_s, lead_s), rule_at(read_lips(said), times_s, lead_s)
    floor = common_floor([heard, said])
    heard, said = relate(heard, floor), relate(said, floor)
    scale = feature_scale(heard, lesson.times_s)
    learned = frame_features(heard, lesson.times_s + lead_s, scale)
    asked = frame_features(said, times_s + lead_s, scale)
    targets = _targets(lesson)
    rows, all_rows = _thin(len(learned), _SKILL_ROWS), _thin(len(learned), _FIT_ROWS)
    left_out = leave_out(learned[rows], targets[rows])
    trust = skill(left_out, targets[rows], lesson.times_s[rows])
    if trust[0] < _MIN_SKILL:
        return general_rule(voice, rate, count, lead_s)
    values = fit(learned[all_rows], targets[all_rows])(asked)
    gain = np.clip(_true_spread(lesson) / (left_out.std(axis=0) + 1e-6), 1.0, 3.0)
    spoken = at_times(said.active.astype(float), times_s) > 0.5
    was_spoken = at_times(heard.active.astype(float), lesson.times_s) > 0.5
    values = _restore_spread(values, lesson, gain, is_speech=spoken)
    closed = rules[1].closed
    if spoken.sum() >= _MIN_SPOKEN and was_spoken.sum() >= _MIN_SPOKEN:
        values = _join_rule(values, rules, with_log(lesson.measures), (was_spoken, spoken))
        closed = closed * _not_open(to_unit(values[:, 0], spoken))
    return Prediction(values, np.clip(trust, 0, 1), asked, learned, is_learned=True, closed=closed)


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


def _join_rule(
    learned: np.ndarray, rules: tuple[Rule, Rule], actor: np.ndarray, spoken: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    """Return the (n, 5) learned measures with the general rule's say in aperture and width.

    rules, spoken: of the lesson and of the voice; actor: (m, 5), aperture as a logarithm. Both are brought
    to unit size in speech, joined, and given the actor's own middle and spread, which averaging and
    regression take, as far as any mouth would open and move for this voice as for the lesson's.
    """
    out = learned.copy()
    was, now = spoken
    generals = [(from_log(rule.aperture), rule.width) for rule in rules]
    raised = float(rules[1].aperture[now].mean() - rules[0].aperture[was].mean())
    for column, (before, general) in enumerate(zip(*generals, strict=True)):
        joined = _RULE_SHARE * to_unit(general, now) + (1 - _RULE_SHARE) * to_unit(learned[:, column], now)
        unit, middle = to_unit(joined, now), float(actor[was, column].mean())
        lively = float(np.clip(general[now].std() / (before[was].std() + 1e-6), *_LIVELY))
        if column == 0:
            middle += _RAISED_SHARE * raised
            wanted = usual_spread(float(from_log(actor[was, 0]).std())) * lively
            spread = log_spread(unit[now], middle, wanted)
        else:
            spread = actor[was, column].std() * lively
        out[:, column] = middle + unit * spread
    return _within(out, actor)


def _not_open(height: np.ndarray) -> np.ndarray:
    """Return (n,) 1 where the aperture asked for (deviations of unit size) lets the lips meet, 0 where it is
    open.
    """
    low, high = _OPEN
    return np.clip((high - height) / (high - low), 0, 1)


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
    if speaking.sum() >= _MIN_SPOKEN:
        own = targets.std(axis=0) / (values[speaking].std(axis=0) + 1e-6)
        gain = np.exp((1 - trust) * np.log(gain) + trust * np.log(np.clip(own, 1.0, 4.0)))
        middle = middle + trust * (values[speaking].mean(axis=0) - middle)
    return _within(targets.mean(axis=0) + (values - middle) * gain, targets)


def _within(values: np.ndarray, actor: np.ndarray) -> np.ndarray:
    """Return the (n, 5) measures kept within what the actor shows, and a little beyond."""
    low, high = np.percentile(actor, (1, 99), axis=0)
    room = 0.15 * (high - low)
    return np.clip(values, low - room, high + room)
