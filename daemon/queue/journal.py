"""Keeps the queue's file and numbers what happens to each job; the ground on which the store stands.

One object belongs to one thread. Every change runs in one transaction, and its events go to the listener
after the commit, so nobody hears of what did not happen.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from daemon.protocol.errors import RequestError
from daemon.protocol.events import Event, JobChanged, JobLogged, JobPreviewed, JobProgressed
from daemon.protocol.job_messages import LogEntry
from daemon.protocol.jobs import JobState, Progress
from daemon.queue.database import open_database, transaction

SEQ_LEAP = 2**20
"""Added to a job's event number when its last numbers were only in memory; no job reports as often."""

Listener = Callable[[Event, int], None]
"""Called with each event and its job's `seq`."""


class StaleAttemptError(Exception):
    """The job has been taken from this worker; what it says no longer counts."""


class Journal:
    """The queue's file, its events and its logs.

    `broken` is what became of an unreadable queue when this one was opened, else None.
    """

    def __init__(
        self, path: Path, listener: Listener | None = None, *, clock: Callable[[], float] = time.time
    ) -> None:
        self.path = path
        self.clock = clock  # seconds since the epoch
        self.listener = listener
        self._db, self.broken = open_database(path)
        self._live: dict[
            str, tuple[int, Progress | None]
        ] = {}  # running jobs: event number and progress, newer than disk
        self._events: list[tuple[Event, int]] = []

    def close(self) -> None:
        """Close the file; safe to call twice."""
        self._db.close()

    def job_log(self, job_id: str) -> list[LogEntry]:
        """Return a job's log, oldest first. Raises RequestError `job.not_found`."""
        self._row(self._db, job_id)
        rows = self._db.execute("SELECT at, sentence FROM job_log WHERE job_id = ? ORDER BY seq", (job_id,))
        return [LogEntry(at=row["at"], sentence=row["sentence"]) for row in rows]

    def log(self, job_id: str, sentence: str) -> None:
        """Add a sentence to a job's log. Raises RequestError `job.not_found`."""
        with self._change() as db:
            self._row(db, job_id)
            self._log(db, job_id, sentence)

    def report(self, job_id: str, progress: Progress) -> None:
        """Tell listeners how far a running job is; on disk with the next heartbeat."""
        seq = self._next_seq(self._db, job_id)
        self._live[job_id] = (seq, progress)
        if self.listener is not None:
            self.listener(JobProgressed(job_id=job_id, progress=progress), seq)

    def tell(self, event: JobPreviewed) -> None:
        """Tell listeners of something about a running job that is kept nowhere."""
        _, progress = self._live.get(event.job_id, (0, None))
        seq = self._next_seq(self._db, event.job_id)
        self._live[event.job_id] = (seq, progress)
        if self.listener is not None:
            self.listener(event, seq)

    # Inside a transaction.

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        """Run the block in a transaction, then tell the listener what happened in it."""
        self._events.clear()
        with transaction(self._db) as db:
            yield db
        events, self._events = self._events, []
        for event, _ in events:
            if isinstance(event, JobChanged) and event.job.state != JobState.RUNNING:
                self._live.pop(event.job_id, None)
        if self.listener is not None:
            for event, seq in events:
                self.listener(event, seq)

    def _log(self, db: sqlite3.Connection, job_id: str, sentence: str) -> None:
        now = self.clock()
        seq = self._event(db, job_id, JobLogged(job_id=job_id, at=now, sentence=sentence))
        db.execute("INSERT INTO job_log VALUES (?, ?, ?, ?)", (job_id, seq, now, sentence))

    def _event(self, db: sqlite3.Connection, job_id: str, event: Event) -> int:
        seq = self._next_seq(db, job_id)
        db.execute("UPDATE jobs SET seq = ? WHERE job_id = ?", (seq, job_id))
        self._events.append((event, seq))
        return seq

    def _next_seq(self, db: sqlite3.Connection, job_id: str) -> int:
        live, _ = self._live.get(job_id, (0, None))
        return max(live, self._row(db, job_id)["seq"]) + 1

    def _row(self, db: sqlite3.Connection, job_id: str) -> sqlite3.Row:
        row = db.execute("SELECT * FROM jobs WHERE job_id = ?", (job_id,)).fetchone()
        if row is None:
            raise RequestError("job.not_found", f"There is no job {job_id}.")
        return row
