"""Positions: ranges, exact sample positions, and timecode there and back at every rate."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.media.segment import (
    FrameRange,
    can_drop_frames,
    format_timecode,
    parse_timecode,
    resolve_position,
    sample_at,
)
from daemon.protocol.errors import RequestError

FILM, NTSC, NTSC60 = Fraction(24000, 1001), Fraction(30000, 1001), Fraction(60000, 1001)
RATES = [FILM, Fraction(24), Fraction(25), NTSC, Fraction(30), Fraction(50), NTSC60, Fraction(60)]


@pytest.mark.parametrize("rate", RATES)
@given(data=st.data())
def test_timecode_comes_back_as_the_frame_it_names(rate: Fraction, data: st.DataObject) -> None:
    drop = can_drop_frames(rate) and data.draw(st.booleans())
    day = round(rate) * 86400 - (round(rate) // 15 * 9 * 144 if drop else 0)
    count = data.draw(st.integers(0, day - 1))
    text = format_timecode(count, rate, drop_frame=drop)
    assert parse_timecode(text, rate) == count
    assert format_timecode(count + day, rate, drop_frame=drop) == text


@pytest.mark.parametrize(("count", "rate", "text"), [
    (0, NTSC, "00:00:00;00"), (1799, NTSC, "00:00:59;29"), (1800, NTSC, "00:01:00;02"),
    (17981, NTSC, "00:09:59;29"), (17982, NTSC, "00:10:00;00"), (107892, NTSC, "01:00:00;00"),
    (2589407, NTSC, "23:59:59;29"), (3600, NTSC60, "00:01:00;04"), (35964, NTSC60, "00:10:00;00"),
    (215784, NTSC60, "01:00:00;00"),
])  # fmt: skip
def test_drop_frame_numbers_follow_the_standard(count: int, rate: Fraction, text: str) -> None:
    assert format_timecode(count, rate, drop_frame=True) == text
    assert parse_timecode(text, rate) == count


@pytest.mark.parametrize(("count", "rate", "text"), [
    (86400, FILM, "01:00:00:00"), (90000, Fraction(25), "01:00:00:00"), (108000, NTSC, "01:00:00:00"),
    (180000, Fraction(50), "01:00:00:00"), (216000, NTSC60, "01:00:00:00"),
    (25 * 86400, Fraction(25), "00:00:00:00"),
])  # fmt: skip
def test_other_timecode_counts_whole_frames(count: int, rate: Fraction, text: str) -> None:
    assert format_timecode(count, rate, drop_frame=False) == text


@pytest.mark.parametrize("rate", [NTSC, NTSC60])
def test_every_drop_frame_number_of_ten_minutes_is_used_once(rate: Fraction) -> None:
    base = round(rate)
    texts = {format_timecode(count, rate, drop_frame=True) for count in range(base * 600 - base // 15 * 9)}
    assert len(texts) == base * 600 - base // 15 * 9
    assert not any(text[5:] in (":00;00", ":00;01") and text[4] != "0" for text in texts)


@pytest.mark.parametrize(("text", "rate"), [
    ("", Fraction(25)), ("1:2:3", Fraction(25)), ("01:00:00:25", Fraction(25)), ("01:60:00:00", Fraction(25)),
    ("01:00:60:00", Fraction(25)), ("24:00:00:00", Fraction(25)),
    ("00:01:00;00", NTSC), ("00:01:00;01", NTSC),
    ("00:11:00;03", NTSC60), ("01:00:00;00", Fraction(25)),
    ("01:00:00;00", FILM), ("01:00:00;00", Fraction(30)),
    ("-1:00:00:00", Fraction(25)), ("01:00:00:00x", Fraction(25)), ("01:00:00:24", FILM),
])  # fmt: skip
def test_timecodes_that_do_not_exist_are_refused(text: str, rate: Fraction) -> None:
    with pytest.raises(RequestError) as error:
        parse_timecode(text, rate)
    assert error.value.code == "timecode.invalid"


@pytest.mark.parametrize(("position", "rate", "start", "frame"), [
    (17, Fraction(25), "01:00:00:00", 17), ("17", Fraction(25), "01:00:00:00", 17),
    (" 17 ", Fraction(25), None, 17),
    ("01:00:02:11", Fraction(25), "01:00:00:00", 61), ("00:00:02:11", Fraction(25), None, 61),
    ("00:01:00;02", NTSC, "00:00:59;29", 1), ("00:01:00:02", NTSC, "00:00:59;29", 1),
    ("01:00:00:00", FILM, "00:59:59:23", 1), ("00:59:59:00", Fraction(25), "01:00:00:00", -25),
    ("00:00:01:00", Fraction(25), "23:59:58:00", 75), ("00:00:00;00", NTSC, "23:59:59;28", 2),
])  # fmt: skip
def test_positions_count_from_the_clips_first_frame(
    position: int | str, rate: Fraction, start: str | None, frame: int
) -> None:
    assert resolve_position(position, rate, start, 100) == frame


def test_drop_frame_positions_need_a_drop_frame_clip() -> None:
    with pytest.raises(RequestError):
        resolve_position("01:00:00;02", NTSC, "01:00:00:00", 100)


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
