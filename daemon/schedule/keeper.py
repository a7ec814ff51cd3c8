"""Keeps the night: opens and closes the windows, lets work give way, holds sleep off, has the report written.

It looks at the clock and the machine every two seconds and sets right what is not as it should be, so that a
clock that jumps, a machine that slept and a daemon that was killed need no case of their own. Belongs to the
event loop's thread; reports are written and sent in another.
"""

import asyncio
import functools
import logging
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import tzinfo
from pathlib import Path

import daemon
from daemon.config import ReportConfig
from daemon.machine import notify
from daemon.machine.awake import Awake
from daemon.machine.sensors import Sensors
from daemon.paths import Paths
from daemon.protocol.errors import DubwrightError
from daemon.protocol.events import Event, ReportWritten, ScheduleChanged
from daemon.protocol.jobs import JobState
from daemon.protocol.night import NightReport, ScheduleSettings
from daemon.queue.eta import cost_name
from daemon.queue.rows import role_of
from daemon.queue.store import JobStore
from daemon.schedule.forecast import Estimate, Planned, estimate
from daemon.schedule.report import (
    headline,
    is_worth_telling,
    make_report,
    report_path,
    save_report,
)
from daemon.schedule.settings import load_schedule, save_schedule
from daemon.schedule.sharing import Readings, Sharing, decide
from daemon.schedule.windows import Window, find_window, is_quiet, last_window
from daemon.worker.supervisor import ENGINE, Supervisor

log = logging.getLogger(__name__)

TICK_S = 2.0
PAGE_PATIENCE_S = 300.0
FORETOLD = 1000
"""Jobs that a forecast goes over."""

TOLD = 50
"""Jobs that are told why they wait."""

HEAVY_STATES = (JobState.QUEUED, JobState.HELD, JobState.RUNNING)


class Keeper:
    """The night shift of one daemon. `clock`: seconds since the epoch; `zone`: None is this machine's."""

    def __init__(
        self,
        store: JobStore,
        supervisor: Supervisor,
        publish: Callable[[Event, int], None],
        loop: asyncio.AbstractEventLoop,
        *,
        paths: Paths,
        report: ReportConfig | None = None,
        clock: Callable[[], float] = time.time,
        zone: tzinfo | None = None,
        read: Callable[[], Readings] | None = None,
    ) -> None:
        self.settings = load_schedule(paths)
        self.sensors = Sensors(lambda: [worker.pid for worker in supervisor.workers()])
        self.sharing = Sharing()
        self._store, self._supervisor, self._publish, self._loop = store, supervisor, publish, loop
        self._paths, self._clock, self._zone = paths, clock, zone
        self._report = report or ReportConfig()
        self._read = read or self.sensors.readings
        self._awake = Awake()
        self._given_way: dict[str, None] = {}  # why work rested in this window; a set that keeps its order
        self._told: tuple[bool, list[str]] | None = None
        self._reported = ""  # the last night whose report has been seen to
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to keep the night."""
        self._apply(self.settings)
        self.sensors.start()
        self._tick()

    def stop(self) -> None:
        """Keep it no longer; the machine may sleep."""
        if self._timer is not None:
            self._timer.cancel()
        self.sensors.stop()
        self._awake.hold(False)

    def change(self, settings: ScheduleSettings) -> None:
        """Put another schedule in force and on disk. Raises RequestError `schedule.invalid`, MachineError."""
        save_schedule(self._paths, settings)
        self._apply(settings)
        self._told = None
        self.keep()

    def window(self) -> Window | None:
        """Return the window that is open, else the next one."""
        return find_window(self.settings, self._clock(), self._zone)

    @property
    def is_open(self) -> bool:
        """Whether a window is open."""
        window = self.window()
        return window is not None and window.opens_at <= self._clock()

    @property
    def held_back(self) -> list[str]:
        """Why jobs of the night and of the GPU do not run now, in sentences."""
        return list(self.sharing.reasons)

    def now(self) -> float:
        """Return the time by which the night is kept, in seconds since the epoch."""
        return self._clock()

    def planned(self) -> list[Planned]:
        """Return the jobs that will run, in their order, with what is left of each."""
        found = []
        samples = functools.cache(self._store.timings)
        for job in self._store.list((JobState.RUNNING, JobState.QUEUED, JobState.HELD)):
            if role_of(job.spec) != ENGINE or (job.state is JobState.HELD and not job.tonight):
                continue
            guess = estimate(job.spec, samples(cost_name(job.spec)))
            is_running = job.state is JobState.RUNNING
            if is_running and job.progress is not None and job.progress.eta_s is not None:
                left_s = job.progress.eta_s
                guess = (
                    Estimate(left_s * 0.5, left_s, left_s * 2) if guess is None else _scaled(guess, left_s)
                )
            found.append(Planned(job.job_id, guess, job.tonight, is_running, job.deadline))
        return found[:FORETOLD]

    def report(self) -> NightReport | None:
        """Return the report of the window that is open, or of the last one; None when there was none."""
        now = self._clock()
        window = self.window() if self.is_open else last_window(self.settings, now, self._zone)
        return None if window is None else make_report(self._store, window, now, list(self._given_way))

    def look(self) -> None:
        """Keep the night; what cannot be done now is done at the next look."""
        try:
            self.keep()
        except DubwrightError as error:  # the disk is full, say
            log.error("The night could not be kept: %s", error)

    def keep(self) -> None:
        """Set right what the clock and the machine ask for."""
        now = self._clock()
        is_open = self.is_open
        self._keep_window(is_open)
        self._keep_sharing(now)
        self._awake.hold(self._supervisor.is_busy)
        if self._told != (is_open, self.held_back):
            self._told = is_open, self.held_back
            self._publish(ScheduleChanged(is_open=is_open, held_back=self.held_back), 0)
        self._keep_report(now)

    def _tick(self) -> None:
        self._timer = self._loop.call_later(TICK_S, self._tick)  # first: what fails below must not end it
        self.look()

    def _apply(self, settings: ScheduleSettings) -> None:
        self.settings = settings
        self.sensors.programs = settings.render_programs
        self.sensors.asks_idle = settings.only_when_away

    def _keep_window(self, is_open: bool) -> None:
        if not is_open:
            self._supervisor.close_night()
        elif self._store.tonight(JobState.HELD):
            self._store.move_night(JobState.HELD, JobState.QUEUED)
            self._supervisor.poke()

    def _keep_sharing(self, now: float) -> None:
        if not self._store.heavy_jobs(*HEAVY_STATES):
            self.sharing = Sharing()
            self._supervisor.go_on()
            return
        quiet = is_quiet(self.settings, now, self._zone)
        before = self.sharing
        self.sharing = decide(before, self.settings, self._read(), is_quiet=quiet, now=time.monotonic())
        if self.sharing.reasons != before.reasons:
            log.info("Work %s. %s", "rests" if self.sharing.at_rest else "goes on", " ".join(self.held_back))
        if self.sharing.at_rest:
            if self.sharing.reasons != before.reasons:
                self._tell_waiting()
            self._given_way |= dict.fromkeys(self.sharing.reasons)
            self._supervisor.rest()
        else:
            self._supervisor.go_on()

    def _tell_waiting(self) -> None:
        """Write into the logs of the jobs that would run now why they do not."""
        for job_id in sorted(self._store.heavy_jobs(JobState.QUEUED, JobState.RUNNING))[:TOLD]:
            self._store.log(job_id, f"It waits. {' '.join(self.held_back)}")

    def _keep_report(self, now: float) -> None:
        """Write the report of the last window, if that has not been done and its jobs have stopped."""
        window = last_window(self.settings, now, self._zone)
        if window is None or window.night.isoformat() == self._reported:
            return
        if self._store.tonight(JobState.RUNNING) and not self.is_open:
            return  # they are stopping
        self._reported = window.night.isoformat()
        given_way, self._given_way = list(self._given_way), {}
        if report_path(self._paths, self._reported).exists():
            return
        report = make_report(self._store, window, now, given_way)
        if is_worth_telling(report):
            path = save_report(self._paths, report)
            self._loop.run_in_executor(None, self._tell, report, path)

    def _tell(self, report: NightReport, path: Path) -> None:
        """Write the page and tell everyone who wants to know; in a thread of its own."""
        page = write_page(path)
        if self._report.notify:
            notify.show("Dubwright", headline(report))
        if self._report.command:
            notify.run_command(self._report.command, path)
        if self._report.webhook:
            notify.post(self._report.webhook, path)
        event = ReportWritten(night=report.night, json=str(path), html=None if page is None else str(page))
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._publish, event, 0)


def write_page(report: Path) -> Path | None:
    """Have the page of a report made, in a process of its own, because it looks into media files."""
    page = report.with_suffix(".html")
    command = [sys.executable, "-P", "-m", "daemon.redub.morning", str(report), str(page)]
    try:
        subprocess.run(
            command, cwd=Path(daemon.__file__).parents[1], check=True, timeout=PAGE_PATIENCE_S,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        log.warning("The page of %s could not be made: %s.", report, error)
        return None
    return page


def _scaled(guess: Estimate, left_s: float) -> Estimate:
    """Return the uncertainty of a whole job on what is left of it."""
    usual = max(guess.usual, 1e-9)
    return Estimate(left_s * guess.fast / usual, left_s, left_s * guess.slow / usual)
