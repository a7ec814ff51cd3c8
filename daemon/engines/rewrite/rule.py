"""The general rule: what most mouths do for a sound (prior.py), at the frames of a take.

It leads where a source does not tell what this actor's mouth does, and helps where it tells little.
Letters: n frames, m frames of a lesson.
"""

from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from scipy.ndimage import gaussian_filter1d, maximum_filter1d

from daemon.engines.rewrite.prediction import APERTURE_SHIFT, Prediction, from_log, to_log, with_log
from daemon.engines.rewrite.prior import Lips, read_lips
from daemon.engines.rewrite.regression import correlations
from daemon.engines.rewrite.sound import analyse, at_times, frame_times

USUAL_LEAD_S = 0.06  # by which lips are ahead of what is heard, beyond what the prior was taught
_LEADS_S = np.arange(-0.10, 0.161, 0.02)
_USUAL_LEADS_S = np.arange(-0.06, 0.181, 0.04)
_LEAD_SPREAD_S = 0.09  # between people, and between the picture and sound of their files
_PIECES_A_SECOND = 4.0  # of speech, that say something of their own about the lead
_DRIFT_S = 0.6
_WIDE = 0.16  # eye distances of a mouth wide open
_WIDTH = 0.06  # eye distances between rest and the roundest or most spread mouth
_SPREAD = 0.032  # eye distances: the usual standard deviation of an aperture in speech
_OWN_SHARE = 0.65  # of an actor's own, as seen for a few seconds, in what to expect
_SMOOTH_ROWS = (3.0, 4.0, 1.0)  # of aperture, width and closure; 10 ms each
_HELD_ROWS = 3  # lips that meet between two frames are seen to meet
_MEET_LATER_S = 0.02  # vowels are shaped before they sound; lips that stop a sound are not so early


@dataclass(frozen=True)
class Rule:
    """What most mouths would do in n frames: `aperture` (n,) a logarithm (`to_log`), `width` (n,) and the
    certainty (n,) 0..1 that a sound has `closed` the lips.
    """

    aperture: np.ndarray
    width: np.ndarray
    closed: np.ndarray


def rule_at(lips: Lips, times_s: np.ndarray, lead_s: float = USUAL_LEAD_S) -> Rule:
    """Return the general mouth at times in its sound, `lead_s` ahead of what is heard."""
    closing = maximum_filter1d(lips.closed, _HELD_ROWS, mode="nearest")
    ahead_s = lead_s, lead_s, lead_s - _MEET_LATER_S
    gap, width, closed = (
        at_times(gaussian_filter1d(row, rows, mode="nearest"), times_s + early_s)
        for row, rows, early_s in zip((lips.gap, lips.width, closing), _SMOOTH_ROWS, ahead_s, strict=True)
    )
    return Rule(to_log(_WIDE * gap), _WIDTH * width, closed)


def find_lead(lips: Lips, times_s: np.ndarray, aperture: np.ndarray) -> float:
    """Return by how many seconds this actor's lips are ahead of the sound.

    lips: of the lesson's sound; times_s, aperture: (m,), a logarithm. Each lead is weighed by how well it
    explains the aperture and by how usual it is, so that little speech moves it little.
    """
    rows = _DRIFT_S * len(times_s) / max(float(times_s[-1] - times_s[0]), 1e-3)
    actual = _quick(aperture, rows)
    fit = np.array([_agree(rule_at(lips, times_s, lead).aperture, actual, rows) for lead in _LEADS_S])
    pieces = _PIECES_A_SECOND * float(times_s[-1] - times_s[0])
    belief = -0.5 * pieces * np.log(1 - np.clip(fit, 0, 0.99) ** 2)
    belief -= 0.5 * ((_LEADS_S - USUAL_LEAD_S) / _LEAD_SPREAD_S) ** 2
    weight = np.exp(belief - belief.max())
    return float((weight * _LEADS_S).sum() / weight.sum())


def expected_mouths(sound: np.ndarray, count: int, rate: Fraction) -> np.ndarray:
    """Return (leads, n, 2) aperture, a logarithm, and width of most mouths for `sound` (16 kHz mono).

    Each lead is another time by which lips may be ahead of what is heard.
    """
    lips, times_s = read_lips(analyse(sound)), frame_times(count, rate)
    rules = [rule_at(lips, times_s, lead) for lead in _USUAL_LEADS_S]
    return np.stack([np.stack([rule.aperture, rule.width], axis=1) for rule in rules])


def general_rule(voice: np.ndarray, rate: Fraction, count: int, lead_s: float = USUAL_LEAD_S) -> Prediction:
    """Return what most mouths would do for `voice` (16 kHz mono) in `count` frames. Measures are deviations
    of unit size; aperture is a logarithm.
    """
    said = analyse(voice)
    values = np.zeros((count, 5))
    if not said.active.any():
        values[:, 0] = np.log(APERTURE_SHIFT)
        return Prediction(values, np.zeros(5), None, None, is_learned=False, closed=np.zeros(count))
    rule = rule_at(read_lips(said), frame_times(count, rate), lead_s)
    values[:, 0], values[:, 1] = rule.aperture, rule.width
    return Prediction(values, np.zeros(5), None, None, is_learned=False, closed=rule.closed)


def fit_rule(rule: Prediction, measures: np.ndarray, speech: np.ndarray) -> Prediction:
    """Return the general rule's prediction brought to the (m, 5) measures of an actor's mouths."""
    actor, values = with_log(measures), rule.values.copy()
    speaking = speech > 0.5 if (speech > 0.5).sum() >= 10 else np.ones(len(values), bool)
    for column in (0, 1):
        values[:, column] = (
            actor[:, column].mean() + to_unit(values[:, column], speaking) * actor[:, column].std()
        )
    values[:, 2:] = actor[:, 2:].mean(axis=0)
    low, high = np.percentile(actor, (1, 99), axis=0)
    return replace(rule, values=np.clip(values, low, high))


def to_unit(values: np.ndarray, spoken: np.ndarray) -> np.ndarray:
    """Return (n,) values with mean 0 and spread 1 where `spoken`."""
    return (values - values[spoken].mean()) / (values[spoken].std() + 1e-6)


def usual_spread(shown: float) -> float:
    """Return the aperture's standard deviation to expect of an actor who has `shown` that of a few seconds.

    It lies nearer to other people's than what was shown: a laugh or a calm sentence does not come again.
    """
    return shown**_OWN_SHARE * _SPREAD ** (1 - _OWN_SHARE)


def log_spread(unit: np.ndarray, middle: float, spread: float) -> float:
    """Return the factor by which (n,) deviations of unit size, logarithms around `middle`, give the aperture
    itself the standard deviation `spread`.
    """
    low, high = 0.02, 3.0
    for _ in range(20):
        factor = (low + high) / 2
        low, high = (low, factor) if from_log(middle + unit * factor).std() > spread else (factor, high)
    return (low + high) / 2


def _agree(aperture: np.ndarray, actual: np.ndarray, rows: float) -> float:
    return float(correlations(_quick(aperture, rows)[:, None], actual[:, None])[0])


def _quick(values: np.ndarray, rows: float) -> np.ndarray:
    return values - gaussian_filter1d(values, rows, mode="nearest")
