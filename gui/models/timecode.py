"""Timecode: frames to HH:MM:SS:FF and back, drop-frame included. Pure."""

import re
from fractions import Fraction

_PATTERN = re.compile(r"^(\d{1,2}):(\d{2}):(\d{2})([:;])(\d{2,3})$")


def format_timecode(frame: int, rate: Fraction, *, drop_frame: bool = False) -> str:
    """Return the timecode of a frame counted from 00:00:00:00."""
    base = round(rate)
    if drop_frame:
        frame = _with_dropped_numbers(frame, base)
    frame %= 24 * 3600 * base
    seconds, frames = divmod(frame, base)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{';' if drop_frame else ':'}{frames:02}"


def parse_timecode(text: str, rate: Fraction) -> int:
    """Return the frame, counted from 00:00:00:00, that a timecode names. Raises ValueError."""
    match = _PATTERN.match(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is no timecode")
    hours, minutes, seconds, frames = (int(match.group(group)) for group in (1, 2, 3, 5))
    base = round(rate)
    if minutes > 59 or seconds > 59 or frames >= base:
        raise ValueError(f"{text!r} is no timecode at {base} frames a second")
    total = ((hours * 60 + minutes) * 60 + seconds) * base + frames
    if match.group(4) == ";":
        dropped = base // 15
        if seconds == 0 and frames < dropped and minutes % 10:
            raise ValueError(f"{text!r} is a number that drop-frame timecode leaves out")
        whole_minutes = hours * 60 + minutes
        total -= dropped * (whole_minutes - whole_minutes // 10)
    return total


def parse_position(text: str, rate: Fraction, start: str | None) -> int:
    """Return the frame of a clip that a person wrote: a frame number, `+12`, `-3`, or a timecode of the clip.

    start: the clip's first timecode. Raises ValueError.
    """
    text = text.strip()
    if text.lstrip("+-").isdigit():
        return int(text)
    return parse_timecode(text, rate) - parse_timecode(start or "00:00:00:00", rate)


def clip_timecode(frame: int, rate: Fraction, start: str | None) -> str:
    """Return the clip's own timecode at a frame of it."""
    first = start or "00:00:00:00"
    return format_timecode(parse_timecode(first, rate) + frame, rate, drop_frame=";" in first)


def _with_dropped_numbers(frame: int, base: int) -> int:
    dropped = base // 15
    per_minute = base * 60 - dropped
    per_ten = per_minute * 10 + dropped
    tens, rest = divmod(frame, per_ten)
    extra = (rest - dropped) // per_minute if rest >= dropped else 0
    return frame + dropped * 9 * tens + dropped * extra
