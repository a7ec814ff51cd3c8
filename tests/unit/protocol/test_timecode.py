"""Timecode there and back at every rate, over midnight, and the positions people write."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.protocol.errors import RequestError
from daemon.protocol.timecode import (
    can_drop_frames,
    clip_timecode,
    conform_timecode,
    format_timecode,
    parse_timecode,
    resolve_position,
)

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


@pytest.mark.parametrize(("start", "rate", "frame", "shown"), [
    ("23:59:59:20", Fraction(25), 10, "00:00:00:05"), ("23:59:59;28", NTSC, 2, "00:00:00;00"),
    (None, FILM, 24, "00:00:01:00"),
])  # fmt: skip
def test_what_is_shown_of_a_frame_leads_back_to_it(
    start: str | None, rate: Fraction, frame: int, shown: str
) -> None:
    assert clip_timecode(frame, rate, start) == shown
    assert resolve_position(shown, rate, start, 100) == frame


@pytest.mark.parametrize(("written", "source_rate", "rate", "start"), [
    ("01:00:00;00", Fraction(25), Fraction(25), "01:00:00:00"),
    ("01:00:00.00", Fraction(25), Fraction(25), "01:00:00:00"),
    ("01:00:00.02", NTSC, NTSC, "01:00:00;02"), ("01:00:00:40", Fraction(50), Fraction(25), "01:00:00:20"),
    ("99:99:99:99", Fraction(25), Fraction(25), None),
])  # fmt: skip
def test_what_files_say_is_counted_at_the_rate_or_left_out(
    written: str, source_rate: Fraction, rate: Fraction, start: str | None
) -> None:
    assert conform_timecode(written, source_rate, rate) == start
