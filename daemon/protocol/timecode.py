"""SMPTE timecode, drop-frame and not: frames to HH:MM:SS:FF and back, and the positions that jobs name."""

import re
from fractions import Fraction

from daemon.protocol.errors import RequestError
from daemon.protocol.jobs import Position

_TIMECODE = re.compile(r"^(\d{1,2}):(\d{2}):(\d{2})([:;.])(\d{2,3})$")


def nominal_rate(rate: Fraction) -> int:
    """Return the frames a timecode second counts: 24 for 23.976, 30 for 29.97, 60 for 59.94."""
    return round(rate)


def can_drop_frames(rate: Fraction) -> bool:
    """Say whether drop-frame timecode exists at `rate` (29.97 and its multiples)."""
    return rate.denominator == 1001 and nominal_rate(rate) % 30 == 0


def parse_timecode(text: str, rate: Fraction) -> int:
    """Return the frame count since 00:00:00:00 that `text` names; `;` or `.` before the frames means
    drop-frame.

    Raises RequestError `timecode.invalid` for text that is no timecode or names a frame that does not exist.
    Source: SMPTE ST 12-1, section 5 (drop-frame compensation).
    """
    match = _TIMECODE.match(text.strip())
    if match is None:
        raise RequestError("timecode.invalid", f"{text!r} is neither a frame number nor a timecode.")
    hours, minutes, seconds, frames = (int(match[group]) for group in (1, 2, 3, 5))
    drop = match[4] != ":"
    base = nominal_rate(rate)
    if minutes > 59 or seconds > 59 or frames >= base or hours > 23:
        raise RequestError("timecode.invalid", f"{text} does not exist at {float(rate):.3f} frames a second.")
    count = ((hours * 60 + minutes) * 60 + seconds) * base + frames
    if not drop:
        return count
    if not can_drop_frames(rate):
        raise RequestError(
            "timecode.invalid", f"{text} is drop-frame, but the clip runs at {float(rate):.3f}."
        )
    dropped = base // 15
    if seconds == 0 and frames < dropped and minutes % 10:
        raise RequestError(
            "timecode.invalid", f"{text} is one of the numbers that drop-frame timecode leaves out."
        )
    total_minutes = hours * 60 + minutes
    return count - dropped * (total_minutes - total_minutes // 10)


def format_timecode(count: int, rate: Fraction, *, drop_frame: bool) -> str:
    """Return the timecode of the frame `count` frames after 00:00:00:00, wrapping after 24 hours."""
    base = nominal_rate(rate)
    if drop_frame and can_drop_frames(rate):
        dropped = base // 15
        tens, rest = divmod(count, base * 600 - 9 * dropped)
        count += 9 * dropped * tens
        if rest >= base * 60:
            count += dropped * (1 + (rest - base * 60) // (base * 60 - dropped))
    count %= base * 86400
    seconds, frames = divmod(count, base)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    separator = ";" if drop_frame else ":"
    return f"{hours:02}:{minutes:02}:{seconds:02}{separator}{frames:02}"


def clip_timecode(frame: int, rate: Fraction, start: str | None) -> str:
    """Return a clip's own timecode at a frame of it; a clip without one counts from 00:00:00:00."""
    start = start or "00:00:00:00"
    return format_timecode(parse_timecode(start, rate) + frame, rate, drop_frame=";" in start)


def resolve_position(position: Position, rate: Fraction, start_timecode: str | None, frame_count: int) -> int:
    """Return the frame, counted from the clip's first, that `position` names.

    A string of digits is a frame number. A timecode counts from `start_timecode`, or from 00:00:00:00 where
    the clip has none; on a drop-frame clip it is read as drop-frame whichever separator it is written with.
    In a clip of `frame_count` frames that goes on past midnight, it may be one of the next day.
    """
    if isinstance(position, int):
        return position
    if re.fullmatch(r"[+-]?\d+", position.strip()):
        return int(position)
    if start_timecode is None:
        return parse_timecode(position, rate)
    if ";" in start_timecode:
        position = ";".join(position.strip().rsplit(":", 1)) if ";" not in position else position
    elif ";" in position:
        raise RequestError(
            "timecode.invalid",
            f"{position} is drop-frame, but the clip's timecode ({start_timecode}) is not.",
        )
    frame = parse_timecode(position, rate) - parse_timecode(start_timecode, rate)
    next_day = frame + frames_of_a_day(rate, drop_frame=";" in start_timecode)
    return next_day if frame < 0 and next_day <= frame_count else frame


def frames_of_a_day(rate: Fraction, *, drop_frame: bool) -> int:
    """Return how many frames lie between 00:00:00:00 and the next one."""
    last = "23:59:59;" if drop_frame else "23:59:59:"
    return parse_timecode(f"{last}{nominal_rate(rate) - 1:02}", rate) + 1


def conform_timecode(timecode: str | None, source_rate: Fraction, rate: Fraction) -> str | None:
    """Return the clip's start timecode as it is counted at `rate`; None for no or for a senseless timecode.

    Between rates with another count of frames in a second, the seconds stay and the frames are scaled.
    """
    if timecode is None:
        return None
    is_drop = timecode[-3:-2] in (";", ".") and can_drop_frames(source_rate)
    try:
        count = parse_timecode(timecode if is_drop else re.sub("[;.]", ":", timecode), source_rate)
    except RequestError:
        return None
    if nominal_rate(source_rate) == nominal_rate(rate):
        return format_timecode(count, rate, drop_frame=is_drop and can_drop_frames(rate))
    if is_drop and can_drop_frames(rate):
        return format_timecode(round(count * rate / source_rate), rate, drop_frame=True)
    clock = format_timecode(count, source_rate, drop_frame=is_drop)
    frames = int(clock[9:]) * nominal_rate(rate) // nominal_rate(source_rate)
    return f"{clock[:8]}:{frames:02}"
