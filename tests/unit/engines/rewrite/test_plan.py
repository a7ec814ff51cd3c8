"""The plan: anchored ends, pauses, cross-fades, and the mouth of the fallback."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from daemon.engines.rewrite.plan import _cross_fade, make_plan, pauses, ramp_in
from daemon.engines.rewrite.prediction import APERTURE_SHIFT, Prediction, with_log
from daemon.engines.rewrite.shape import CONTROLS, INNER, OUTER, Modes, keep_lips_apart, learn_modes, measure
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
    prediction = Prediction(values, np.zeros(5), None, None, is_learned=False, closed=np.zeros(50))
    plan = plan_warp(prediction, own, speech, np.ones(50), 25.0)
    aperture = measure(plan.shapes)[:, 0]
    assert aperture[25:30].min() > 0.08
    assert aperture[:10].max() < 0.01
    closed = np.zeros(50)
    closed[27] = 1
    closing = plan_warp(replace(prediction, closed=closed), own, speech, np.ones(50), 25.0)
    assert measure(closing.shapes)[27, 0] < 0.5 * aperture[27]


def test_sure_closures_shut_the_lips_in_their_frames_alone():
    units, modes = speaking_units()
    asked = with_log(units.measures[:50])
    asked[:, 0] = np.log(0.08 + APERTURE_SHIFT)
    closed = np.zeros(50)
    closed[20:22] = 0.9
    plans = [
        make_plan(
            Prediction(asked, np.ones(5), None, None, is_learned=True, closed=certainty),
            units, modes, np.zeros((50, 2)), np.ones(50), np.ones(50), 25.0, 0,
        )
        for certainty in (np.zeros(50), closed)
    ]  # fmt: skip
    plain, shut = (measure(plan.shapes)[:, 0] for plan in plans)
    tightest = np.percentile(units.measures[:, 0], 5)
    assert plain[15:27].min() > 3 * tightest
    assert shut[20:22].max() < 0.4 * tightest
    assert np.allclose(shut[:14], plain[:14], rtol=0.1)
    assert np.allclose(shut[28:], plain[28:], rtol=0.1)


def test_a_jaw_that_moves_with_the_lips_does_not_halve_the_opening():
    units, modes = speaking_units()
    middle = np.median(units.shapes, axis=0)[None]
    change = np.zeros((1, 5))
    change[0, 0] = 0.02
    opened = measure(modes.move_all(middle, change))[0, 0] - measure(middle)[0, 0]
    assert abs(opened - 0.02) < 0.003


def speaking_units() -> tuple[Units, Modes]:
    """Return units of a mouth that opens and closes, and its modes."""
    still = still_mouth()
    opening = 0.005 + 0.06 * (1 - np.cos(np.arange(200) * 0.35))
    change = np.zeros((200, 5))
    change[:, 0] = opening - measure(still[None])[0, 0]
    shapes = general_modes(still).move_all(np.repeat(still[None], 200, axis=0), change)
    measures = measure(shapes)
    return (
        Units(np.arange(200), shapes, measures, np.zeros((200, 2)), np.zeros((200, 1)), np.zeros(200)),
        learn_modes(shapes, measures),
    )
