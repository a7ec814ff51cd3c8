"""The app's line to the daemon: one thread that owns the client, signals back to the window.

The daemon may go away and come back: that is a state here, never an exception in the window. A daemon that
was killed is started again, one that was stopped stays stopped until somebody asks for it.
"""

import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from PySide6.QtCore import QObject, Signal

from daemon.client import Client
from daemon.pairing.hosts import Host, chosen_host
from daemon.paths import find_paths
from daemon.protocol.errors import DubwrightError, ErrorInfo, InternalError
from daemon.protocol.events import (
    DAEMON_TOPIC,
    DaemonStopping,
    Event,
    JobChanged,
    JobLogged,
    JobPreviewed,
    JobProgressed,
    ReportWritten,
    ScheduleChanged,
    Subscribed,
    TakeAdded,
    TakeChanged,
    WorkerChanged,
    job_topic,
)
from daemon.protocol.jobs import FINAL_STATES, Job, JobState, Take
from daemon.subscription import Subscription
from gui.models.job_table import compare, list_jobs
from gui.models.take_list import list_takes

ACTIVE_STATES = tuple(state for state in JobState if state not in FINAL_STATES)
RETRY_S = 1.0
QUIET_S = 3.0  # after this long without an event the waiting jobs are read again, in case events were lost
_POLL_S = 0.02

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")


class _Call(NamedTuple):
    """Something to ask the daemon, and whom to tell when that cannot be."""

    carry_out: Callable[[Client], None]
    failed: Callable[[ErrorInfo], object]


class LinkState(Enum):
    """How the line is."""

    CONNECTING = "connecting"
    ONLINE = "online"
    AWAY = "away"  # no daemon runs; `Link.start_daemon` brings one
    REFUSED = "refused"  # a daemon runs, but of another version or with other keys


class Link(QObject):
    """The daemon as the window sees it. Every signal arrives in the thread that made the link."""

    state_changed = Signal()
    jobs_listed = Signal(object)  # a Listing of every job, after each connection
    active_listed = Signal(object)  # an Active of the unfinished ones, in the order in which they will run
    takes_listed = Signal(object)  # a TakeListing
    job_changed = Signal(object)
    job_progressed = Signal(str, object)
    job_logged = Signal(str, float, str)
    take_changed = Signal(object)  # added, accepted, rejected
    workers_changed = Signal()
    job_previewed = Signal(object)  # a JobPreviewed: roughly what a running job paints now
    schedule_changed = Signal()  # a window opened or closed, or work rests or goes on
    report_written = Signal(str)  # of the night of this date
    _came_back = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.state = LinkState.CONNECTING
        self.error: ErrorInfo | None = None
        self.host: Host | None = None  # the other machine whose daemon this is; None: this machine's
        self._calls: deque[_Call] = deque()
        self._wake = threading.Event()
        self._is_closing = False
        self._should_start = True
        self._wants_active = False
        self._active: dict[str, Job] = {}
        self._came_back.connect(lambda call: call())
        self._thread = threading.Thread(target=self._run, name="link", daemon=True)

    @property
    def is_online(self) -> bool:
        """Whether requests get through now."""
        return self.state is LinkState.ONLINE

    def start(self) -> None:
        """Connect, and start the daemon if none runs."""
        self._thread.start()

    def start_daemon(self) -> None:
        """Start the daemon that is away."""
        self._should_start = True
        self._wake.set()

    def close(self) -> None:
        """Hang up. Jobs go on in the daemon."""
        self._is_closing = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout=20)

    def ask(
        self,
        call: Callable[[Client], Answer],
        done: Callable[[Answer], object] | None = None,
        failed: Callable[[ErrorInfo], object] | None = None,
    ) -> None:
        """Make a call on the link's thread; `done` or `failed` is called back in this one.

        While the daemon is away `failed` gets the reason at once.
        """
        if not self.is_online:
            if failed is not None:
                failed(self.error or _UNREACHABLE)
            return

        on_done, on_failed = done or _ignore, failed or _ignore

        def carry_out(client: Client) -> None:
            try:
                answer = call(client)
            except DubwrightError as error:
                info = error.to_info()
                self._came_back.emit(lambda: on_failed(info))
                if info.code in ("daemon.unreachable", "daemon.refused"):
                    raise
                return
            except Exception as error:  # a slip in one call must not end the line
                log.exception("A call failed.")
                info = InternalError("internal", f"{type(error).__name__}: {error}").to_info()
                self._came_back.emit(lambda: on_failed(info))
                return
            self._came_back.emit(lambda: on_done(answer))

        self._calls.append(_Call(carry_out, on_failed))

    # On the link's thread.

    def _run(self) -> None:
        while not self._is_closing:
            client = self._connect()
            if client is None:
                self._wake.wait(RETRY_S)
                self._wake.clear()
                continue
            with client, contextlib.suppress(DubwrightError):
                self._serve(client)
            self._give_up_calls()
            self._move(LinkState.CONNECTING if self._should_start else LinkState.AWAY, _UNREACHABLE)

    def _connect(self) -> Client | None:
        try:
            self.host = chosen_host(find_paths())
            if self._should_start:
                self._should_start = False
                Client.connect(start=True, name="app").close()
            client = Client.connect(start=False, name="app")
        except DubwrightError as error:
            info = error.to_info()
            is_away = info.code == "daemon.unreachable"
            self._move(LinkState.AWAY if is_away else LinkState.REFUSED, info)
            return None
        self._should_start = True  # if it dies now it was killed; `daemon_stopping` says otherwise
        return client

    def _give_up_calls(self) -> None:
        """Tell those who wait that the line is gone."""
        while self._calls:
            failed = self._calls.popleft().failed
            if not self._is_closing:
                self._came_back.emit(lambda failed=failed: failed(_UNREACHABLE))

    def _serve(self, client: Client) -> None:
        heard_at = time.monotonic()
        with client.subscribe(job_topic(), DAEMON_TOPIC) as subscription, self._last_words(subscription):
            while not self._is_closing:
                while self._calls:
                    self._calls.popleft().carry_out(client)
                found = subscription.next(timeout_s=_POLL_S)
                if found is not None:
                    heard_at = time.monotonic()
                    self._hear(client, found[0])
                elif self._wants_active or (self._active and time.monotonic() - heard_at > QUIET_S):
                    heard_at = time.monotonic()
                    self._list_active(client)

    @contextlib.contextmanager
    def _last_words(self, subscription: Subscription) -> Iterator[None]:
        """When a request fails because the daemon is gone, hear whether it had said that it was stopping."""
        try:
            yield
        except DubwrightError:
            with contextlib.suppress(DubwrightError):
                while (found := subscription.next(timeout_s=_POLL_S)) is not None:
                    if isinstance(found[0], DaemonStopping):
                        self._should_start = False
            raise

    def _hear(self, client: Client, event: Event) -> None:
        match event:
            case Subscribed(topic=topic) if topic == DAEMON_TOPIC:
                self._read_all(client)
            case JobChanged(job=job):
                self._note(job)
                self._wants_active = True
                self.job_changed.emit(job)
            case JobProgressed(job_id=job_id, progress=progress):
                self.job_progressed.emit(job_id, progress)
            case JobLogged(job_id=job_id, at=at, sentence=sentence):
                self.job_logged.emit(job_id, at, sentence)
            case TakeAdded(take=take) | TakeChanged(take=take):
                self.take_changed.emit(take)
            case WorkerChanged():
                self.workers_changed.emit()
            case JobPreviewed():
                self.job_previewed.emit(event)
            case ScheduleChanged():
                self.schedule_changed.emit()
            case ReportWritten(night=night):
                self.report_written.emit(night)
            case DaemonStopping():
                self._should_start = False
            case _:
                pass

    def _read_all(self, client: Client) -> None:
        jobs = client.jobs()
        takes = client.takes()
        self._active = {job.job_id: job for job in jobs if job.state not in FINAL_STATES}
        self._move(LinkState.ONLINE, None)
        self.jobs_listed.emit(list_jobs(jobs))
        self.takes_listed.emit(list_takes(takes))
        self._fetch(client, takes)

    def _fetch(self, client: Client, takes: list[Take]) -> None:
        """Have takes of a daemon on another machine here, and tell of those that were not."""
        absent = [take for take in takes if not Path(take.path).exists()] if client.host else []
        with contextlib.suppress(DubwrightError):
            client.fetch(absent)
            for take in absent:
                self.take_changed.emit(take)

    def _list_active(self, client: Client) -> None:
        self._wants_active = False
        jobs = client.jobs(ACTIVE_STATES)
        for job_id in self._active.keys() - {job.job_id for job in jobs}:
            self.job_changed.emit(client.job(job_id))
        found = compare(jobs, self._active)
        self._active = {job.job_id: job for job in jobs}
        self.active_listed.emit(found)

    def _note(self, job: Job) -> None:
        if job.state in FINAL_STATES:
            self._active.pop(job.job_id, None)
        else:
            self._active[job.job_id] = job

    def _move(self, state: LinkState, error: ErrorInfo | None) -> None:
        if not self._is_closing:
            self._came_back.emit(lambda: self._set_state(state, error))

    def _set_state(self, state: LinkState, error: ErrorInfo | None) -> None:
        if (state, error) != (self.state, self.error):
            self.state, self.error = state, error
            self.state_changed.emit()


def _ignore(_: object) -> None:
    pass


_UNREACHABLE = ErrorInfo("daemon.unreachable", "The daemon does not answer.", "Start it, or wait a moment.")


def describe(info: ErrorInfo) -> str:
    """Return an error as one text to copy."""
    parts: list[Any] = [info.message, info.hint, f"[{info.code}]", info.detail]
    return "\n".join(str(part) for part in parts if part)
