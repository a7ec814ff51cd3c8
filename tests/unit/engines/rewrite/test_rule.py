"""The general rule: when a mouth is where it is, and how far an actor's is to move."""

import numpy as np

from daemon.engines.rewrite.prediction import from_log, to_log
from daemon.engines.rewrite.prior import Lips
from daemon.engines.rewrite.rule import USUAL_LEAD_S, find_lead, log_spread, rule_at, usual_spread

TIMES_S = np.arange(0, 6, 0.02)


def heard(seconds: float = 6.0) -> Lips:
    """Return a mouth that opens at 2 s, shuts at 4 s, and murmurs all the time."""
    rows = int(seconds * 100)
    murmur = np.convolve(np.random.default_rng(2).uniform(size=rows + 14), np.hanning(15) / 7, "valid")
    gap, closed = 0.4 * murmur, np.zeros(rows)
    gap[198:203] = 3.0
    closed[399:402] = 1.0
    return Lips(gap, np.zeros(rows), closed, np.zeros((rows, 1)))


def test_lips_are_ahead_of_the_sound_by_the_lead_and_meet_a_little_later():
    for lead_s in (-0.04, 0.1):
        rule = rule_at(heard(), TIMES_S, lead_s)
        assert abs(TIMES_S[rule.aperture.argmax()] - (2.0 - lead_s)) < 0.021
        assert abs(TIMES_S[rule.closed.argmax()] - (4.02 - lead_s)) < 0.011


def test_an_actors_own_lead_is_found_and_a_strange_one_is_not_believed():
    lips = heard()
    for lead_s in (-0.04, 0.06, 0.12):
        shown = rule_at(lips, TIMES_S, lead_s).aperture
        assert abs(find_lead(lips, TIMES_S, shown) - lead_s) < 0.011
    assert find_lead(lips, TIMES_S, rule_at(lips, TIMES_S, 0.4).aperture) <= 0.16
    short_s = TIMES_S[:12]
    moved = find_lead(lips, short_s, rule_at(lips, short_s, -0.04).aperture)
    assert -0.04 < moved < USUAL_LEAD_S
    assert abs(find_lead(lips, TIMES_S, np.zeros(len(TIMES_S))) - USUAL_LEAD_S) < 0.02


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
