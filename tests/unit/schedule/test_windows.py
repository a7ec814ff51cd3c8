"""Hours of the schedule: over midnight, over changes of the clocks, joined, quiet."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from daemon.protocol.errors import RequestError
from daemon.protocol.night import ScheduleSettings
from daemon.schedule.windows import find_window, is_quiet, last_window, parse_hours

BERLIN = ZoneInfo("Europe/Berlin")
HOUR = 3600


def at(text: str, fold: int = 0) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN, fold=fold).timestamp()


def every_day(hours: str) -> ScheduleSettings:
    return ScheduleSettings(windows=dict.fromkeys(("mon", "tue", "wed", "thu", "fri", "sat", "sun"), hours))


@pytest.mark.parametrize(
    ("now", "opens", "closes"),
    [
        ("2026-11-18T12:00", "2026-11-18T22:00", "2026-11-19T06:30"),  # the coming night
        ("2026-11-18T22:00", "2026-11-18T22:00", "2026-11-19T06:30"),  # its first moment
        ("2026-11-19T03:00", "2026-11-18T22:00", "2026-11-19T06:30"),  # after midnight
        ("2026-11-19T06:30", "2026-11-19T22:00", "2026-11-20T06:30"),  # closed
    ],
)
def test_a_night_lasts_past_midnight(now: str, opens: str, closes: str) -> None:
    window = find_window(ScheduleSettings(), at(now), BERLIN)
    assert window is not None
    assert (window.opens_at, window.closes_at) == (at(opens), at(closes))
    assert window.night.isoformat() == opens[:10]


@pytest.mark.parametrize(
    ("night", "hours"), [("2026-03-28", 7.5), ("2026-10-24", 9.5), ("2026-11-18", 8.5)]
)  # the clocks go forward, go back, stay
def test_the_night_in_which_the_clocks_change_is_an_hour_shorter_or_longer(night: str, hours: float) -> None:
    window = find_window(ScheduleSettings(), at(f"{night}T21:00"), BERLIN)
    assert window is not None
    assert window.closes_at - window.opens_at == hours * HOUR


@pytest.mark.parametrize(
    ("hours", "night", "opens", "closes"),
    [
        ("22:00-02:30", "2026-10-24", at("2026-10-24T22:00"), at("2026-10-25T02:30", fold=1)),  # comes twice
        ("02:30-05:00", "2026-10-25", at("2026-10-25T02:30"), at("2026-10-25T05:00")),
        ("22:00-02:30", "2026-03-28", at("2026-03-28T22:00"), at("2026-03-29T03:30")),  # does not come
    ],
)
def test_times_that_come_twice_or_not_at_all(hours: str, night: str, opens: float, closes: float) -> None:
    window = find_window(every_day(hours), opens - 60, BERLIN)
    assert window is not None
    assert (window.night.isoformat(), window.opens_at, window.closes_at) == (night, opens, closes)


def test_windows_that_touch_are_one_and_a_day_without_one_is_skipped() -> None:
    settings = ScheduleSettings(windows={"fri": "20:00-24:00", "sat": "00:00-10:00,22:00-23:00"})
    window = find_window(settings, at("2026-11-18T12:00"), BERLIN)  # a Wednesday
    assert window is not None
    assert (window.opens_at, window.closes_at) == (at("2026-11-20T20:00"), at("2026-11-21T10:00"))
    assert last_window(settings, at("2026-11-21T12:00"), BERLIN) == window
    assert find_window(ScheduleSettings(windows={}), at("2026-11-18T12:00"), BERLIN) is None


@pytest.mark.parametrize(
    ("now", "quiet"),
    [("2026-11-18T23:30", True), ("2026-11-18T00:59", True), ("2026-11-18T01:00", False),
     ("2026-11-18T12:15", True), ("2026-11-18T13:00", False)],
)  # fmt: skip
def test_quiet_hours(now: str, quiet: bool) -> None:
    settings = ScheduleSettings(quiet="23:00-01:00, 12:00-13:00")
    assert is_quiet(settings, at(now), BERLIN) is quiet


@pytest.mark.parametrize("text", ["22-6", "25:00-06:00", "22:00-22:00", "22:60-23:00", "soon", "22:00-24:01"])
def test_hours_that_cannot_be_are_refused(text: str) -> None:
    with pytest.raises(RequestError) as caught:
        parse_hours(text)
    assert caught.value.code == "schedule.invalid"


def test_this_machines_own_zone_is_used_when_none_is_given() -> None:
    window = find_window(ScheduleSettings(), datetime(2026, 11, 18, 12).timestamp())  # noqa: DTZ001 - local
    assert window is not None
    assert datetime.fromtimestamp(window.opens_at).astimezone().hour == 22
