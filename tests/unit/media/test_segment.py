"""Frame ranges, and exact sample positions at every rate."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.media.segment import FrameRange, sample_at

FILM, NTSC, NTSC60 = Fraction(24000, 1001), Fraction(30000, 1001), Fraction(60000, 1001)
RATES = [FILM, Fraction(24), Fraction(25), NTSC, Fraction(30), Fraction(50), NTSC60, Fraction(60)]


@pytest.mark.parametrize("rate", RATES)
@given(frame=st.integers(0, 10**9), sample_rate=st.sampled_from([8000, 16000, 44100, 48000, 96000]))
def test_samples_tile_the_timeline_without_drift(rate: Fraction, frame: int, sample_rate: int) -> None:
    exact = frame / rate * sample_rate
    assert abs(sample_at(frame, rate, sample_rate) - exact) <= Fraction(1, 2)
    assert sample_at(frame + 1, rate, sample_rate) - sample_at(frame, rate, sample_rate) > 0


def test_an_hour_of_ntsc_has_its_exact_samples() -> None:
    assert sample_at(107892, NTSC, 48000) == 172799827  # 3599.9964 s
    assert sample_at(30000, NTSC, 48000) == 1001 * 48000


def test_ranges_are_half_open() -> None:
    frames = FrameRange(3, 7)
    assert (len(frames), list(frames)) == (4, [3, 4, 5, 6])
    assert 3 in frames
    assert 7 not in frames
    assert "3" not in frames
    assert len(FrameRange(7, 3)) == 0
    assert frames.widen(2) == FrameRange(1, 9)
    assert FrameRange(-5, 50).clip(frames) == frames
    assert frames.clip(FrameRange(10, 20)) == FrameRange(10, 10)
    assert frames.clip(FrameRange(0, 2)) == FrameRange(2, 2)
