"""The plan: anchored ends, pauses, cross-fades, and the mouth of the fallback."""

from collections.abc import Callable

import numpy as np

from daemon.engines.rewrite.plan import _cross_fade, pauses, ramp_in
from daemon.engines.rewrite.prediction import APERTURE_SHIFT, Prediction
from daemon.engines.rewrite.shape import CONTROLS, INNER, OUTER, keep_lips_apart, measure
from daemon.engines.rewrite.units import Units
from daemon.engines.rewrite.warp_only import general_modes, plan_warp


def still_mouth() -> np.ndarray:
    """Return a (c, 3) closed mouth in head space."""
    shape = np.zeros((len(CONTROLS), 3))
    for ring, (width, height) in ((OUTER, (0.28, 0.06)), (INNER, (0.24, 0.001))):
        turn = np.pi - np.arange(20) / 20 * 2 * np.pi
        shape[ring, 0], shape[ring, 1] = width * np.cos(turn), 0.72 + height * np.sin(turn)
    rest = np.arange(40, len(CONTROLS))
    shape[rest, 0], shape[rest, 1] = 0.5 * np.cos(rest * 2.4), 0.72 + 0.4 * np.sin(rest * 2.4)
    return shape


def test_both_ends_start_from_the_source():
    amount = ramp_in(np.ones(50, bool), 25.0)
    assert amount[0] < 0.2
    assert amount[-1] < 0.2
    assert (np.diff(amount[:6]) >= 0).all()
    assert (amount[6:-6] == 1).all()


def test_frames_left_alone_are_approached_softly():
    editable = np.ones(60, bool)
    editable[30:34] = False
    amount = ramp_in(editable, 25.0)
    assert (amount[30:34] == 0).all()
    assert np.abs(np.diff(amount)).max() < 0.45


def test_short_gaps_between_words_are_no_pauses():
    speech = np.ones(100, np.float32)
    speech[20:24] = 0
    speech[50:90] = 0
    rest = pauses(speech, 25.0)
    assert rest[22] < 0.1
    assert rest[70] > 0.9
    assert rest[10] < 0.01


def test_shares_always_add_up_and_fade_over_joins(make_units: Callable[..., Units]):
    units = make_units()
    path = np.array([3, 4, 5, 6, 7, 40, 41, 42, 43, 44, 44, 44, 45, 90, 91, 92])
    pairs, shares = _cross_fade(path, units, 25.0)
    assert np.allclose(shares.sum(axis=1), 1)
    assert (pairs[:, 0] == path).all()
    assert shares[5, 1] > 0
    assert pairs[5, 1] == 8
    assert pairs[4, 1] == 39
    assert shares[2, 1] == 0


def test_lips_that_passed_each_other_meet_half_way():
    shape = still_mouth()[None].copy()
    shape[0, INNER[5], 1] -= 0.05
    assert np.ptp(keep_lips_apart(shape)[0, [INNER[5], INNER[15]], 1]) < 1e-9


def test_a_still_mouth_opens_as_far_as_asked():
    shape = still_mouth()
    change = np.zeros((1, 5))
    change[0, 0] = 0.1
    moved = general_modes(shape).move_all(shape[None], change)
    assert np.isclose(measure(moved)[0, 0] - measure(shape[None])[0, 0], 0.1, atol=0.025)
    lower, upper = moved[0, OUTER[5]] - shape[OUTER[5]], moved[0, OUTER[15]] - shape[OUTER[15]]
    assert lower[1] > 0 > upper[1]


def test_the_fallback_speaks_only_where_the_voice_does():
    own = np.repeat(still_mouth()[None], 50, axis=0)
    values = np.zeros((50, 5))
    values[:, 0] = np.log(0.12 + APERTURE_SHIFT)
    speech = np.zeros(50, np.float32)
    speech[20:35] = 1
    prediction = Prediction(values, np.zeros(5), None, None, is_learned=False)
    plan = plan_warp(prediction, own, speech, np.ones(50), 25.0)
    aperture = measure(plan.shapes)[:, 0]
    assert aperture[25:30].min() > 0.08
    assert aperture[:10].max() < 0.01
