"""Rates as editors say them, and timecode held against the daemon's own arithmetic."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.protocol import timecode
from editor_plugin.shared.problems import PluginError
from editor_plugin.shared.rates import STANDARD_RATES, exact_rate, format_timecode, parse_timecode

NTSC = Fraction(30000, 1001)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("23.98", Fraction(24000, 1001)),
        ("23.976", Fraction(24000, 1001)),
        (23.976023976023978, Fraction(24000, 1001)),
        ("24", Fraction(24)),
        (24.0, Fraction(24)),
        ("29.97 DF", NTSC),
        (29.97002997002997, NTSC),
        ("30000/1001", NTSC),
        ("59.94", Fraction(60000, 1001)),
        (24 / 1.0010000467300415, Fraction(24000, 1001)),
        ("12.5", Fraction(25, 2)),
        ("20", Fraction(20)),
    ],
)
def test_a_rounded_rate_becomes_the_one_that_was_meant(said: str | float, meant: Fraction) -> None:
    assert exact_rate(said) == meant


@pytest.mark.parametrize("said", ["", "fast", "0", "-25", "1/0", "1000", float("inf"), float("nan")])
def test_what_is_no_rate_is_refused(said: str | float) -> None:
    with pytest.raises(PluginError, match="rate"):
        exact_rate(said)


def test_drop_frame_timecode_of_an_hour() -> None:
    assert parse_timecode("01:00:00;00", NTSC) == 107892
    assert parse_timecode("01:00:00:00", NTSC) == 108000
    assert format_timecode(107892, NTSC, drop=True) == "01:00:00;00"
    assert format_timecode(107892, NTSC, drop=False) == "00:59:56:12"


@pytest.mark.parametrize("text", ["00:01:00;00", "00:00:00;30", "24:00:00:00", "00:60:00:00", "x", "1:2:3"])
def test_timecode_that_does_not_exist_is_refused(text: str) -> None:
    with pytest.raises(PluginError):
        parse_timecode(text, NTSC)


def test_drop_frame_exists_only_at_its_rates() -> None:
    with pytest.raises(PluginError, match="drop-frame"):
        parse_timecode("00:00:01;00", Fraction(25))


@given(st.integers(0, 2_000_000), st.sampled_from(STANDARD_RATES), st.booleans())
def test_timecode_agrees_with_the_daemons(count: int, rate: Fraction, drop: bool) -> None:
    text = format_timecode(count, rate, drop=drop)
    assert text == timecode.format_timecode(count, rate, drop_frame=drop and timecode.can_drop_frames(rate))
    day = round(rate) * 86400
    if count < day * 0.99:
        assert parse_timecode(text, rate) == count
