"""What fits into a window, honestly."""

from datetime import date

import pytest

from daemon.protocol.jobs import RedubSpec
from daemon.queue.eta import Sample, cost_name, frames_of
from daemon.schedule.forecast import Estimate, Planned, estimate, forecast
from daemon.schedule.windows import Window

WINDOW = Window(date(2026, 11, 18), 1000.0, 2000.0)


def planned(
    name: str, usual: float | None, *, tonight: bool = True, deadline: float | None = None
) -> Planned:
    guess = None if usual is None else Estimate(usual / 2, usual, usual * 2)
    return Planned(name, guess, tonight, deadline=deadline)


def test_jobs_of_the_night_wait_for_the_window_and_the_others_do_not() -> None:
    jobs = [planned("night", 100), planned("now", 50, tonight=False)]
    night, now = forecast(jobs, WINDOW, now=0.0)
    assert (now.begins_at, now.ends_at) == (0.0, 50.0)
    assert (night.begins_at, night.ends_at, night.fits) == (1000.0, 1100.0, "yes")
    assert (night.earliest, night.latest) == (1050.0, 1200.0)


def test_what_fits_for_certain_perhaps_and_not_at_all() -> None:
    jobs = [planned(str(index), 300) for index in range(8)]
    assert [job.fits for job in forecast(jobs, WINDOW, now=0.0)] == [
        "yes", "maybe", "maybe", "maybe", "maybe", "maybe", "no", "no",
    ]  # fmt: skip


def test_after_a_job_nobody_knows_nothing_is_known() -> None:
    jobs = [planned("a", 10), planned("new", None), planned("b", 10)]
    assert [job.fits for job in forecast(jobs, WINDOW, now=1000.0)] == ["yes", "unknown", "unknown"]


def test_deadlines_are_judged_by_themselves() -> None:
    jobs = [planned("a", 100, deadline=1150.0), planned("b", 100, deadline=1500.0), planned("c", 5)]
    assert [job.in_time for job in forecast(jobs, WINDOW, now=0.0)] == ["maybe", "yes", None]


def test_without_a_window_nothing_of_the_night_fits() -> None:
    assert [job.fits for job in forecast([planned("a", 10)], None, now=0.0)] == ["no"]


def spec(**fields: object) -> RedubSpec:
    return RedubSpec(**{"source": "a", "voice": "b", "in_": 0, "out": 100, **fields})  # type: ignore[arg-type]


def test_an_estimate_learns_from_what_jobs_cost_here() -> None:
    unlearned = estimate(spec(), {})
    samples = {"engine": [Sample(100, 2.0, 50.0), Sample(100, 2.0, 40.0), Sample(100, 2.0, 60.0)]}
    learned = estimate(spec(), samples)
    assert unlearned is not None
    assert learned is not None
    assert learned.usual > unlearned.usual + 30
    three = estimate(spec(takes=3), samples)
    assert three is not None
    assert three.usual > 2.5 * learned.usual
    assert learned.fast < learned.usual < learned.slow


def test_nothing_is_said_of_a_wan_job_before_one_was_done() -> None:
    assert estimate(spec(engine="wan"), {}) is None
    assert estimate(spec(engine="wan"), {"engine": [Sample(100, 2.0, 900.0)]}) is not None


def test_qualities_of_the_wan_engine_are_learned_apart() -> None:
    names = {cost_name(spec(engine="wan", quality=quality)) for quality in ("draft", "standard", "final")}
    assert len(names) == 3
    assert cost_name(spec(engine="wan", steps=4)) != cost_name(spec(engine="wan", steps=40))
    assert cost_name(spec(), "rewrite") == cost_name(spec(engine="rewrite")) == "rewrite"


@pytest.mark.parametrize(
    ("first", "stop", "frames"),
    [
        (0, 50, 50),
        ("01:00:00:00", "01:00:04:00", 100),
        ("soon", 5, None),
        ("01:00:04:00", "01:00:00:00", None),
    ],
)
def test_the_length_of_a_range(first: int | str, stop: int | str, frames: int | None) -> None:
    assert frames_of(spec(in_=first, out=stop)) == frames
