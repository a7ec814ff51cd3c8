"""Timecode of the app: every number of a day of drop-frame, and what people write."""

from fractions import Fraction

import pytest

from gui.models.timecode import clip_timecode, format_timecode, parse_position, parse_timecode

NTSC = Fraction(30000, 1001)


@pytest.mark.parametrize("rate", [NTSC, Fraction(60000, 1001)])
def test_drop_frame_comes_back_at_every_minute(rate: Fraction) -> None:
    for minute in range(130):
        start = round(minute * 60 * rate)
        for frame in range(max(0, start - 5), start + 5):
            assert parse_timecode(format_timecode(frame, rate, drop_frame=True), rate) == frame


def test_drop_frame_leaves_numbers_out_but_for_every_tenth_minute() -> None:
    assert format_timecode(1799, NTSC, drop_frame=True) == "00:00:59;29"
    assert format_timecode(1800, NTSC, drop_frame=True) == "00:01:00;02"
    assert format_timecode(17982, NTSC, drop_frame=True) == "00:10:00;00"
    with pytest.raises(ValueError, match="leaves out"):
        parse_timecode("00:01:00;00", NTSC)


def test_positions_are_frames_or_the_clips_own_timecode() -> None:
    rate = Fraction(24000, 1001)
    assert parse_position("01:00:02:11", rate, "01:00:00:00") == 59
    assert parse_position(" 12 ", rate, "01:00:00:00") == 12
    assert clip_timecode(59, rate, "01:00:00:00") == "01:00:02:11"
    with pytest.raises(ValueError, match="no timecode"):
        parse_position("soon", rate, None)
    with pytest.raises(ValueError, match="24 frames"):
        parse_position("00:00:00:24", rate, None)
