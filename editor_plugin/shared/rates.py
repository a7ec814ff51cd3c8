"""Frame rates as fractions, and SMPTE timecode, drop-frame and not.

Editors hand rates out as rounded floats or text; the rate that was meant is found here.
"""

from __future__ import annotations

import functools
import re
from fractions import Fraction

from .problems import PluginError

STANDARD_RATES = tuple(
    [Fraction(whole) for whole in (12, 15, 16, 24, 25, 30, 48, 50, 60, 90, 96, 100, 120)]
    + [Fraction(whole * 1000, 1001) for whole in (24, 30, 48, 60, 96, 120)]
)
TOLERANCE = Fraction(1, 4000)
"""How far, in parts of the rate, a rounded rate may lie: 23.98 is 1/6000 off, 24 is 1/1000 from 23.976."""

_TIMECODE = re.compile(r"^(\d{1,2}):(\d{2}):(\d{2})([:;.])(\d{2,3})$")


@functools.lru_cache(maxsize=256)  # a timeline asks the same few again for each clip
def exact_rate(value: float | str | Fraction) -> Fraction:
    """Return the rate that a rounded number or a text such as `29.97 DF` or `24000/1001` means.

    Raises PluginError `rate.invalid`.
    """
    try:
        found = Fraction(str(value).split()[0]) if isinstance(value, str) else Fraction(value)
    except (ValueError, ZeroDivisionError, IndexError, OverflowError) as error:
        raise PluginError("rate.invalid", f"{value!r} is no frame rate.") from error
    if not 1 <= found <= 240:
        raise PluginError("rate.invalid", f"The rate {value} is not between 1 and 240 frames a second.")
    nearest = min(STANDARD_RATES, key=lambda rate: abs(rate - found))
    if abs(nearest - found) <= nearest * TOLERANCE:
        return nearest
    return found.limit_denominator(1001)


def rate_text(rate: Fraction) -> str:
    """Return `25` or `24000/1001`, as job specs and files take it."""
    return str(rate)


def nominal_rate(rate: Fraction) -> int:
    """Return the frames a timecode second counts: 24 for 23.976, 30 for 29.97."""
    return round(rate)


def can_drop_frames(rate: Fraction) -> bool:
    """Say whether drop-frame timecode exists at `rate`."""
    return rate.denominator == 1001 and nominal_rate(rate) % 30 == 0


def parse_timecode(text: str, rate: Fraction) -> int:
    """Return the frames since 00:00:00:00 that `text` names; `;` or `.` before the frames means drop-frame.

    Raises PluginError `timecode.invalid` for text that names no frame. Source: SMPTE ST 12-1, section 5.
    """
    match = _TIMECODE.match(text.strip())
    if match is None:
        raise PluginError("timecode.invalid", f"{text!r} is no timecode.")
    hours, minutes, seconds, frames = (int(match.group(group)) for group in (1, 2, 3, 5))
    base = nominal_rate(rate)
    if hours > 23 or minutes > 59 or seconds > 59 or frames >= base:
        raise PluginError("timecode.invalid", f"{text} does not exist at {float(rate):.3f} frames a second.")
    count = ((hours * 60 + minutes) * 60 + seconds) * base + frames
    if match.group(4) == ":":
        return count
    if not can_drop_frames(rate):
        raise PluginError("timecode.invalid", f"{text} is drop-frame, which {float(rate):.3f} has not.")
    dropped = base // 15
    if seconds == 0 and frames < dropped and minutes % 10:
        raise PluginError("timecode.invalid", f"{text} is a number that drop-frame timecode leaves out.")
    total = hours * 60 + minutes
    return count - dropped * (total - total // 10)


def format_timecode(count: int, rate: Fraction, *, drop: bool) -> str:
    """Return the timecode of the frame `count` frames after 00:00:00:00, wrapping after 24 hours."""
    base = nominal_rate(rate)
    drop = drop and can_drop_frames(rate)
    if drop:
        dropped = base // 15
        tens, rest = divmod(count, base * 600 - 9 * dropped)
        count += 9 * dropped * tens
        if rest >= base * 60:
            count += dropped * (1 + (rest - base * 60) // (base * 60 - dropped))
    seconds, frames = divmod(count % (base * 86400), base)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    separator = ";" if drop else ":"
    return f"{hours:02}:{minutes:02}:{seconds:02}{separator}{frames:02}"
