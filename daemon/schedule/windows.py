"""The hours of the schedule: when a window opens and closes, on this machine's clock.

A window belongs to the day on which it opens and may last past midnight. Clocks that are changed in it make
it an hour longer or shorter; a time of day that they leave out counts as if they had not been changed yet,
and of one that comes twice the first opens and the second closes.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo

from daemon.protocol.errors import RequestError
from daemon.protocol.night import WEEKDAYS, ScheduleSettings

DAY_MIN = 24 * 60
_SPAN = re.compile(r"(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})")


@dataclass(frozen=True)
class Span:
    """Hours of a day, in minutes since its midnight; `stop` lies in the next day when it is beyond 1440."""

    start: int
    stop: int


@dataclass(frozen=True)
class Window:
    """A window of the schedule. Times are seconds since the epoch; `night` is the date on which it opens."""

    night: date
    opens_at: float
    closes_at: float


def parse_hours(text: str) -> list[Span]:
    """Read hours such as "22:00-06:30,12:00-13:00". Raises RequestError `schedule.invalid`."""
    spans = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        found = _SPAN.fullmatch(part)
        if found is None:
            raise RequestError("schedule.invalid", f"{part!r} are no hours of a day.")
        hour, minute, stop_hour, stop_minute = (int(number) for number in found.groups())
        start, stop = hour * 60 + minute, stop_hour * 60 + stop_minute
        if minute > 59 or stop_minute > 59 or start >= DAY_MIN or stop > DAY_MIN:
            raise RequestError("schedule.invalid", f"{part!r} is beyond a day's 24 hours.")
        if start == stop:
            raise RequestError("schedule.invalid", f"{part!r} holds no minute.")
        spans.append(Span(start, stop if stop > start else stop + DAY_MIN))
    return spans


def check_schedule(settings: ScheduleSettings) -> None:
    """Refuse hours that cannot be. Raises RequestError `schedule.invalid`."""
    for hours in (*settings.windows.values(), settings.quiet):
        parse_hours(hours)


def find_window(settings: ScheduleSettings, now: float, zone: tzinfo | None = None) -> Window | None:
    """Return the window that is open now, else the next one, or None when there is none.

    Windows that touch or overlap are one. `zone`: None is this machine's.
    """
    return next((window for window in _windows(settings, now, zone) if window.closes_at > now), None)


def last_window(settings: ScheduleSettings, now: float, zone: tzinfo | None = None) -> Window | None:
    """Return the last window that has closed, or None when there was none within a week."""
    closed = [window for window in _windows(settings, now, zone) if window.closes_at <= now]
    return closed[-1] if closed else None


def is_quiet(settings: ScheduleSettings, now: float, zone: tzinfo | None = None) -> bool:
    """Return whether `now` lies in the quiet hours."""
    spans = parse_hours(settings.quiet)
    today = _day_of(now, zone)
    return any(
        _moment(day, span.start, zone) <= now < _moment(day, span.stop, zone, is_end=True)
        for day in (today - timedelta(days=1), today)
        for span in spans
    )


def _windows(settings: ScheduleSettings, now: float, zone: tzinfo | None) -> Iterator[Window]:
    """Yield the windows from a week before to a week after `now`, in order."""
    today = _day_of(now, zone)
    current: Window | None = None
    for offset in range(-8, 9):
        day = today + timedelta(days=offset)
        hours = settings.windows.get(WEEKDAYS[day.weekday()], "")
        for span in sorted(parse_hours(hours), key=lambda span: span.start):
            opens_at = _moment(day, span.start, zone)
            closes_at = _moment(day, span.stop, zone, is_end=True)
            if current is not None and opens_at <= current.closes_at:
                current = Window(current.night, current.opens_at, max(current.closes_at, closes_at))
                continue
            if current is not None:
                yield current
            current = Window(day, opens_at, closes_at)
    if current is not None:
        yield current


def _day_of(now: float, zone: tzinfo | None) -> date:
    return datetime.fromtimestamp(now, zone).date()


def _moment(day: date, minute: int, zone: tzinfo | None, *, is_end: bool = False) -> float:
    """Return when a minute of a day begins, in seconds since the epoch."""
    day += timedelta(days=minute // DAY_MIN)
    clock = datetime.combine(day, time(minute % DAY_MIN // 60, minute % 60), zone)
    first, second = clock.timestamp(), clock.replace(fold=1).timestamp()
    return max(first, second) if is_end else first
