"""The general rule: what most mouths do for a sound, where a source does not tell what this actor's does."""

from fractions import Fraction

import numpy as np
from scipy.ndimage import gaussian_filter1d

from daemon.engines.rewrite.prediction import APERTURE_SHIFT, Prediction, to_log, with_log
from daemon.engines.rewrite.sound import Sound, analyse, at_times, frame_times


def general_rule(voice: np.ndarray, rate: Fraction, count: int) -> Prediction:
    """Return what most mouths would do: open with the energy of vowels, close in dips and silence, narrow
    when the spectrum lies low (rounded vowels). Measures are deviations of unit size; aperture is a
    logarithm.
    """
    times_s = frame_times(count, rate)
    said = analyse(voice)
    values = np.zeros((count, 5))
    if not said.active.any():
        values[:, 0] = np.log(APERTURE_SHIFT)
        return Prediction(values, np.zeros(5), None, None, is_learned=False)
    openness = at_times(_openness(said), times_s)
    values[:, 0] = to_log(0.16 * openness)
    values[:, 1] = 0.06 * (at_times(_brightness(said), times_s) - 0.4) * openness
    return Prediction(values, np.zeros(5), None, None, is_learned=False)


def fit_rule(rule: Prediction, measures: np.ndarray, speech: np.ndarray) -> Prediction:
    """Return the general rule's prediction brought to the (m, 5) measures of an actor's mouths."""
    actor, values = with_log(measures), rule.values.copy()
    speaking = speech > 0.5
    for column in (0, 1):
        spoken = values[speaking, column] if speaking.sum() >= 10 else values[:, column]
        middle, spread = float(spoken.mean()), float(spoken.std()) + 1e-6
        values[:, column] = (
            actor[:, column].mean() + (values[:, column] - middle) * actor[:, column].std() / spread
        )
    values[:, 2:] = actor[:, 2:].mean(axis=0)
    low, high = np.percentile(actor, (1, 99), axis=0)
    return Prediction(np.clip(values, low, high), rule.skill, None, None, is_learned=False)


def _openness(said: Sound) -> np.ndarray:
    """Return (t,) 0..1: the level from 300 to 2000 Hz where F1 and F2 lie, more for a high F1, nothing when
    silent.
    """
    relative = said.broad - said.broad[said.active].mean(axis=0)
    level = _soft(np.maximum(relative[:, 1], relative[:, 2]), -2.0, 1.0)
    first_formant = _soft(relative[:, 2] - relative[:, 0], -1.5, 1.5)  # open vowels are weak below 300 Hz
    spectrum = np.exp(said.mel)
    high = said.broad[:, 4] - np.logaddexp(said.broad[:, 1], said.broad[:, 2])
    hiss = _soft(high - np.median(high[said.active]), 1.0, 3.0)
    loud = _soft(np.log(spectrum.sum(axis=1)) - np.log(spectrum.sum(axis=1)).max(), -7.0, -3.5)
    openness = loud * level * (0.45 + 0.55 * first_formant) * (1 - 0.7 * hiss)
    return np.clip(gaussian_filter1d(openness, 2.5, mode="nearest") * 1.15, 0, 1)


def _brightness(said: Sound) -> np.ndarray:
    """Return (t,) 0..1: high for spread vowels (i, e), low for rounded ones (u, o)."""
    relative = said.broad - said.broad[said.active].mean(axis=0)
    return gaussian_filter1d(_soft(relative[:, 3] - relative[:, 1], -1.5, 1.5), 4.0, mode="nearest")


def _soft(value: np.ndarray, low: float, high: float) -> np.ndarray:
    share = np.clip((value - low) / (high - low), 0, 1)
    return share * share * (3 - 2 * share)
