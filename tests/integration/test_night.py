"""A night, played with a clock of our own: real jobs in real workers, windows, giving way, the report."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from daemon.config import ReportConfig
from daemon.protocol.events import ReportWritten, ScheduleChanged
from daemon.protocol.jobs import GenerateSpec, Job, JobState, RedubSpec
from daemon.protocol.night import NightReport, ScheduleSettings
from daemon.redub import morning
from daemon.schedule.forecast import forecast
from daemon.schedule.keeper import Keeper
from daemon.schedule.report import load_report
from daemon.schedule.sharing import Readings
from daemon.worker import supervisor as supervisor_module
from daemon.worker import watch
from tests.clips import make_clip, make_voice
from tests.fakes.daemon import RUNNER, FakeDaemon, running

EVENING, NIGHT, MORNING, NOON = (
    datetime(2026, 11, day, hour, tzinfo=UTC).timestamp()
    for day, hour in ((18, 20), (18, 23), (19, 7), (19, 12))
)


class Clock:
    """Time that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = EVENING

    def __call__(self) -> float:
        self.now += 0.001  # so that what follows is later
        return self.now


class Night:
    """Queue, workers and keeper, with a clock and readings to move by hand."""

    def __init__(self, daemon: FakeDaemon, clock: Clock, report: ReportConfig | None = None) -> None:
        self.daemon, self.clock = daemon, clock
        daemon.paths.make()
        self.readings = Readings()
        self.keeper = Keeper(
            daemon.store, daemon.supervisor, daemon.hear, asyncio.get_running_loop(), paths=daemon.paths,
            report=report or ReportConfig(notify=False), clock=clock, zone=UTC, read=lambda: self.readings,
        )  # fmt: skip

    def at(self, moment: float) -> None:
        """Move the clock and have the keeper look."""
        self.clock.now = moment
        self.keeper.keep()

    def submit(
        self, spec: RedubSpec | GenerateSpec, *, tonight: bool = True, deadline: float | None = None
    ) -> Job:
        job, _ = self.daemon.store.submit(spec, tonight=tonight, deadline=deadline)
        self.keeper.keep()
        self.daemon.supervisor.poke()
        return job

    def state(self, job: Job) -> JobState:
        return self.daemon.store.get(job.job_id).state

    async def until(self, job: Job, *states: JobState) -> None:
        await self.daemon.until_state(job.job_id, *states)


@asynccontextmanager
async def night(report: ReportConfig | None = None) -> AsyncIterator[Night]:
    clock = Clock()
    async with running(clock=clock) as daemon:
        found = Night(daemon, clock, report)
        yield found
        found.keeper.stop()


def play(scene: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(scene())  # type: ignore[arg-type]


@pytest.fixture
def scripted(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUBWRIGHT_RUNNER", RUNNER)


def script(name: str, dest: Path, seed: int = 0) -> RedubSpec:
    return RedubSpec(source="a.mov", voice=name, in_=0, out=30, seed=seed, dest=str(dest))


def test_a_night_of_real_jobs_ends_with_a_report(
    home: Path, face_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DUBWRIGHT_FACE_MODELS", str(face_models))
    shot, voice = make_clip(tmp_path / "shot & co.mov", count=40), make_voice(tmp_path / "voice.wav")
    told = tmp_path / "told"
    teller = tmp_path / "tell.py"
    teller.write_text(f"import shutil, sys; shutil.copy(sys.argv[1], {str(told)!r})")

    def spec(voice: Path, takes: int = 1) -> RedubSpec:
        return RedubSpec(
            source=str(shot), voice=str(voice), in_=8, out=26, takes=takes, dest=str(tmp_path / "takes")
        )

    async def scene() -> None:
        report = ReportConfig(notify=False, command=[sys.executable, str(teller)])
        async with night(report) as shift:
            good = shift.submit(spec(voice))
            bad = shift.submit(spec(tmp_path / "nobody.wav"))
            urgent = shift.submit(spec(voice, takes=2), deadline=NIGHT + 3600)
            assert {shift.state(job) for job in (good, bad, urgent)} == {JobState.HELD}
            foretold = forecast(shift.keeper.planned(), shift.keeper.window(), shift.clock())
            assert [job.job_id for job in foretold] == [urgent.job_id, good.job_id, bad.job_id]
            assert {job.fits for job in foretold} == {"yes"}
            shift.at(NIGHT)
            for job in (urgent, good, bad):
                await shift.until(job, JobState.DONE, JobState.FAILED)
            begun = [shift.daemon.store.get(job.job_id).started_at or 0 for job in (urgent, good, bad)]
            assert begun == sorted(begun)
            late = shift.submit(spec(voice), deadline=NIGHT)  # it runs into the morning
            shift.at(MORNING)
            await shift.until(late, JobState.HELD)
            shift.keeper.keep()
            await shift.daemon.until(
                lambda: any(isinstance(e, ReportWritten) for e, _ in shift.daemon.events)
            )
            check_report(load_report(shift.daemon.paths, "2026-11-18"), good, bad, urgent)
            (written,) = [e for e, _ in shift.daemon.events if isinstance(e, ReportWritten)]
            assert written.html is not None
            page = Path(written.html).read_text()
            assert page.count("data:image/jpeg;base64,") == 3
            assert "shot &amp; co.mov at 8" in page
            monkeypatch.setattr(morning, "PICTURES", 2)  # of a night so long that its page would take hours
            page = morning.page(load_report(shift.daemon.paths, "2026-11-18"))
            assert (page.count("data:image/jpeg;base64,"), page.count("class='path'")) == (2, 3)
            assert json.loads(told.read_text())["night"] == "2026-11-18"
            shift.at(NOON)  # once is enough
            assert sum(isinstance(e, ReportWritten) for e, _ in shift.daemon.events) == 1

    play(scene)


def check_report(report: NightReport, good: Job, bad: Job, urgent: Job) -> None:
    assert [job.job_id for job in report.done] == [urgent.job_id, good.job_id]
    assert [job.job_id for job in report.failed] == [bad.job_id]
    assert report.failed[0].error is not None
    assert report.failed[0].error.code == "voice.missing"
    assert sum(report.badges.values()) == 3
    assert (report.gpu_hours, len(report.left)) == (0.0, 1)
    assert report.busy_hours > 0
    assert report.left[0].missed


def test_a_running_job_is_held_when_its_window_closes_and_goes_on_the_next_night(
    scripted: None, tmp_path: Path
) -> None:
    async def scene() -> None:
        async with night() as shift:
            job = shift.submit(script("loop", tmp_path))
            ordinary = shift.submit(script("loop", tmp_path), tonight=False)
            await shift.until(ordinary, JobState.RUNNING)
            assert shift.state(job) is JobState.HELD
            shift.daemon.supervisor.cancel(ordinary.job_id)
            await shift.until(ordinary, JobState.CANCELLED)
            shift.at(NIGHT)
            await shift.until(job, JobState.RUNNING)
            shift.at(MORNING)
            await shift.until(job, JobState.HELD)
            shift.at(EVENING + 24 * 3600)
            assert shift.state(job) is JobState.HELD
            shift.at(NIGHT + 24 * 3600)
            await shift.until(job, JobState.RUNNING)
            shift.at(EVENING)  # the clock is set back by more than a day
            await shift.until(job, JobState.HELD)

    play(scene)


def test_a_job_of_the_night_that_is_released_runs_now(scripted: None, tmp_path: Path) -> None:
    async def scene() -> None:
        async with night() as shift:
            job = shift.submit(script("paint", tmp_path))
            shift.daemon.store.move(job.job_id, JobState.QUEUED, only_from={JobState.HELD}, tonight=False)
            shift.keeper.keep()
            shift.daemon.supervisor.poke()
            await shift.until(job, JobState.DONE)

    play(scene)


def test_work_gives_way_to_a_program_that_renders_and_is_taken_up_again(
    scripted: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = [0.0]
    monkeypatch.setattr("daemon.schedule.keeper.time", type("", (), {"monotonic": lambda: moments[0]}))

    async def scene() -> None:
        async with night() as shift:
            shift.at(NIGHT)
            job = shift.submit(script("paint", tmp_path))
            await shift.until(job, JobState.RUNNING)
            pid = shift.daemon.pid()
            shift.readings = Readings(rendering=["melt"])
            shift.keeper.keep()
            await shift.until(job, JobState.QUEUED)
            await shift.daemon.until(
                lambda: all(worker.pid != pid for worker in shift.daemon.supervisor.workers())
            )  # what it held of the GPU is free
            draft = shift.submit(script("chatter", tmp_path), tonight=False)
            await shift.until(draft, JobState.DONE)  # a draft somebody asked for runs all the same
            assert shift.state(job) is JobState.QUEUED
            shift.readings = Readings()
            moments[0] += 10
            shift.keeper.keep()
            assert shift.keeper.held_back == ["melt renders."]  # it has not been quiet for long
            moments[0] += 61
            shift.keeper.keep()
            assert shift.keeper.held_back == []
            await shift.until(job, JobState.DONE)
            changes = [event for event, _ in shift.daemon.events if isinstance(event, ScheduleChanged)]
            assert [event.held_back for event in changes][-2:] == [["melt renders."], []]
            report = shift.keeper.report()
            assert report is not None
            assert report.given_way == ["melt renders."]

    play(scene)


def test_a_worker_that_is_deaf_gives_way_all_the_same(
    scripted: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor_module, "YIELD_GRACE_S", 0.2)

    async def scene() -> None:
        async with night() as shift:
            shift.at(NIGHT)
            job = shift.submit(script("deaf", tmp_path))
            await shift.until(job, JobState.RUNNING)
            shift.readings = Readings(on_battery=True)
            shift.keeper.keep()
            await shift.until(job, JobState.QUEUED)
            assert shift.daemon.store.get(job.job_id).attempts == 1

    play(scene)


def test_jobs_on_the_gpu_give_way_by_day_too(scripted: None, tmp_path: Path) -> None:
    async def scene() -> None:
        async with night() as shift:
            shift.readings = Readings(on_battery=True)
            job = shift.submit(GenerateSpec(ckpt_dir=str(tmp_path)), tonight=False)
            draft = shift.submit(script("chatter", tmp_path), tonight=False)
            await shift.until(draft, JobState.DONE)
            assert shift.state(job) is JobState.QUEUED
            shift.keeper.change(ScheduleSettings(on_battery=True, quiet_after_s=5))
            assert shift.keeper.held_back == ["The machine runs on battery."]

    play(scene)


def test_a_job_that_makes_no_step_gets_one_restart_and_then_fails_with_its_own_code(
    scripted: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "HANG_S", 1.0)
    monkeypatch.setattr(watch, "HANG_FACTOR", 0.0)
    monkeypatch.setattr(supervisor_module, "TICK_S", 0.1)

    async def scene() -> None:
        async with night() as shift:
            job = shift.submit(script("deaf", tmp_path), tonight=False)
            following = shift.submit(script("chatter", tmp_path), tonight=False)
            await shift.until(job, JobState.FAILED)
            found = shift.daemon.store.get(job.job_id)
            assert found.error is not None
            assert (found.error.code, found.attempts) == ("worker.hung", 2)
            assert "made no step" in shift.daemon.store.job_log(job.job_id)[0].sentence
            await shift.until(following, JobState.DONE)

    play(scene)
