"""The benchmark's measure of closures: what counts as one, and what chance is."""

import numpy as np

from tests.benchmarks.rewrite_accuracy import closures, score


def speaking(seed: int = 0) -> np.ndarray:
    """Return (200, 5) measures of a mouth that closes for two frames every twenty."""
    rng = np.random.default_rng(seed)
    measures = rng.uniform(0.05, 0.12, size=(200, 5))
    for frame in range(10, 200, 20):
        measures[frame : frame + 2, 0] = 0.004
    return measures


def test_short_closures_in_speech_are_counted_and_pauses_are_not():
    aperture, spoken = speaking()[:, 0], np.ones(200, bool)
    assert len(closures(aperture, spoken, 25.0)) == 10
    aperture[60:90] = 0.004
    assert len(closures(aperture, spoken, 25.0)) == 8
    spoken[100:] = False
    assert len(closures(aperture, spoken, 25.0)) == 3


def test_the_actor_keeps_all_his_closures_and_another_mouth_as_many_as_chance():
    real, speech = speaking(), np.ones(200)
    same = score(real, real, speech, 25.0)
    assert (same.kept, same.closures, same.lag) == (10, 10, 0)
    assert 0.15 < same.chance < 0.25
    late = score(np.roll(real, 8, axis=0), real, speech, 25.0)
    assert late.kept == 0
