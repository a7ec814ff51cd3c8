"""Questions about a shot that the daemon answers with a job of its own: who is seen, where a reading fits."""

from collections.abc import Callable, Hashable
from typing import Any

from PySide6.QtCore import QObject, Signal

from daemon.protocol.errors import ErrorInfo
from daemon.protocol.jobs import FINAL_STATES, Job, JobSpec, JobState
from gui.link import Link
from gui.media.background import Background
from gui.models.job_table import JobTable

Prepare = Callable[[dict[str, Any]], Any]


class Look(QObject):
    """One kind of question, one at a time; answers are kept by what they were asked about."""

    changed = Signal()
    failed = Signal(ErrorInfo)

    def __init__(self, link: Link, jobs: JobTable, background: Background, prepare: Prepare) -> None:
        """prepare: makes of a job's result what is kept; runs off the window's thread and must not raise."""
        super().__init__()
        self._link, self._jobs, self._background, self._prepare = link, jobs, background, prepare
        self._answers: dict[Hashable, Any] = {}
        self._asked: Hashable = None
        self._job = ""
        self._is_fetching = False
        jobs.changed.connect(self._on_job)
        link.state_changed.connect(self._on_state)

    @property
    def is_busy(self) -> bool:
        """Whether an answer is under way."""
        return self._asked is not None

    def answer(self, key: Hashable) -> Any:
        """Return the answer about something, or None."""
        return self._answers.get(key)

    def forget(self, key: Hashable) -> None:
        """Drop an answer."""
        if self._answers.pop(key, None) is not None:
            self.changed.emit()

    def ask(self, key: Hashable, spec: JobSpec) -> None:
        """Have the daemon find out."""
        if self.is_busy:
            return
        self._asked, self._job = key, ""

        def sent(job: Job) -> None:
            self._job = job.job_id
            self._on_job(job.job_id)

        self._link.ask(lambda client: client.submit(spec), sent, self._give_up)
        self.changed.emit()

    def _on_job(self, job_id: str) -> None:
        job = self._jobs.job(job_id)
        if job_id == self._job and job is not None and job.state in FINAL_STATES and not self._is_fetching:
            self._fetch()

    def _fetch(self) -> None:
        job_id, self._is_fetching = self._job, True
        self._link.ask(lambda client: client.job(job_id), self._take, self._give_up)

    def _take(self, job: Job) -> None:
        self._is_fetching = False
        if job.state not in FINAL_STATES:
            return
        if job.state is not JobState.DONE:
            self._give_up(job.error)
            return
        result, key = job.result or {}, self._asked
        self._job = ""
        self._background.run(lambda: self._prepare(result), lambda answer: self._keep(key, answer))

    def _keep(self, key: Hashable, answer: Any) -> None:
        self._answers[key] = answer
        self._asked = None
        self.changed.emit()

    def _give_up(self, error: ErrorInfo | None) -> None:
        self._asked, self._job, self._is_fetching = None, "", False
        self.changed.emit()
        if error is not None:
            self.failed.emit(error)

    def _on_state(self) -> None:
        """The daemon went away or came back: what it was asked is asked for again, or was never heard."""
        if not self.is_busy:
            return
        if self._link.is_online and self._job:
            self._fetch()
        elif not self._link.is_online and not self._job:
            self._give_up(None)
