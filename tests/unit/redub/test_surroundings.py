"""How far an engine sees around a range: as far as a video model looks back, whatever the rate."""

from fractions import Fraction

import pytest

from daemon.media.segment import FrameRange
from daemon.redub.surroundings import surroundings

MOTION, PINNED = 73, 4  # frames of the model: those it looks back on, and those that pin its end
RATES = [Fraction(24000, 1001), Fraction(24), Fraction(25), Fraction(30000, 1001), Fraction(50), Fraction(60)]


@pytest.mark.parametrize("rate", RATES)
def test_there_is_all_that_the_model_looks_back_on(rate: Fraction) -> None:
    frames, footage = FrameRange(1000, 1100), FrameRange(0, 3000)
    native = surroundings(frames, footage, rate)
    assert frames.start - native.start >= MOTION
    assert native.stop - frames.stop >= PINNED
    slow = surroundings(frames, footage, rate, "model")
    assert (frames.start - slow.start) / (rate / 16) >= MOTION
    assert (slow.stop - frames.stop) / (rate / 16) >= PINNED


def test_a_clip_that_is_short_gives_what_it_has() -> None:
    assert surroundings(FrameRange(10, 20), FrameRange(4, 22), Fraction(25)) == FrameRange(4, 22)
