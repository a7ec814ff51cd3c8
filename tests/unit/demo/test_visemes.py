"""Phonemes become mouths that open, close and look ahead."""

import numpy as np

from daemon.demo.making.speech import Phoneme
from daemon.demo.making.visemes import mouth_curve


def curve_of(*sounds: tuple[str, float], end_s: float):
    phonemes = [Phoneme(symbol, start_s) for symbol, start_s in sounds]
    return mouth_curve(phonemes, end_s=end_s, frames=50, rate=25)


def test_the_mouth_opens_wide_on_a_and_closes_on_m() -> None:
    curve = curve_of(("m", 0.4), ("ɑ", 0.52), ("m", 0.9), end_s=1.02)  # noqa: RUF001
    assert curve.gap[18] > 0.7
    assert curve.gap[11] < 0.05
    assert curve.gap[24] < 0.05


def test_lips_round_on_u_and_spread_on_i() -> None:
    assert curve_of(("u", 0.4), end_s=0.9).width[16] < -0.6
    assert curve_of(("i", 0.4), end_s=0.9).width[16] > 0.4


def test_the_lower_lip_goes_under_the_teeth_on_f() -> None:
    assert curve_of(("f", 0.4), ("ɑ", 0.55), end_s=0.9).tuck[11] > 0.6  # noqa: RUF001


def test_lips_get_ready_for_a_rounded_vowel_before_it_sounds() -> None:
    before_u = curve_of(("t", 0.4), ("u", 0.5), end_s=0.9).width[11]
    before_i = curve_of(("t", 0.4), ("i", 0.5), end_s=0.9).width[11]
    assert before_u < before_i - 0.2


def test_the_mouth_is_shut_before_and_after_speech() -> None:
    curve = curve_of(("ɑ", 0.6), end_s=1.0)  # noqa: RUF001
    assert np.all(curve.gap[:8] < 0.05)
    assert np.all(curve.gap[34:] < 0.05)
