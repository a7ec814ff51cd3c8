"""The general rule's size: how far an actor's mouth is to move."""

import numpy as np

from daemon.engines.rewrite.prediction import from_log, to_log
from daemon.engines.rewrite.rule import log_spread, usual_spread


def test_a_few_seconds_of_an_actor_are_believed_in_part():
    assert 0.032 < usual_spread(0.06) < 0.06
    assert 0.01 < usual_spread(0.01) < 0.032
    assert np.isclose(usual_spread(0.032), 0.032)


def test_an_aperture_gets_the_spread_asked_for():
    unit = np.sin(np.arange(200) * 0.7) + 0.3 * np.cos(np.arange(200) * 0.13)
    middle = float(to_log(np.array(0.06)))
    for spread in (0.015, 0.03, 0.06):
        aperture = from_log(middle + unit * log_spread(unit, middle, spread))
        assert abs(aperture.std() / spread - 1) < 0.02


def test_a_mouth_that_cannot_move_so_far_stays_finite():
    assert np.isfinite(log_spread(np.zeros(20), -3.0, 0.03))
