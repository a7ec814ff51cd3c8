"""The durable queue: jobs, their log and their takes. What it says is done is on disk.

One object belongs to one thread. Every change runs in one transaction, and its events go to the listener
after the commit. Only `_move` changes a job's state, and only along `TRANSITIONS`.

A worker that lost its job (it hung, was declared dead, and comes back) cannot harm the job's next run: what
it says carries the attempt it was claimed under, and each claim raises the job's attempt by one.
"""

import secrets
import sqlite3
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from daemon.protocol.errors import ErrorInfo, InternalError, RequestError
from daemon.protocol.jobs import FINAL_STATES, TRANSITIONS, Job, JobSpec, JobState, Progress, Take
from daemon.protocol.messages import (
    Event,
    JobChanged,
    JobLogged,
    JobProgressed,
    LogEntry,
    TakeAdded,
    TakeChanged,
)
from daemon.queue.database import open_database, transaction
from daemon.queue.order import LISTING, NEXT, place_before
from daemon.queue.rows import ROLES, job_from, spec_from, take_from, to_json

CRASH_LIMIT = 3
"""A job that took this many workers down with it fails."""

LEASE_S = 30.0
"""A running job whose worker says nothing for this long is taken from it."""

SEQ_LEAP = 2**20
"""Added to a job's event number when its last numbers were only in memory; no job reports as often."""

Listener = Callable[[Event, int], None]
"""Called with each event and its job's `seq`."""

_SUMMARY = """number, job_id, spec, state, priority, submitted_at, submitted_by, attempt, started_at,
              finished_at, progress, error, NULL AS result, seq"""

_ON_ENTRY: dict[JobState, str] = {
    JobState.RUNNING: "attempt = attempt + 1, started_at = :now, lease_until = :lease",
    JobState.QUEUED: "lease_until = NULL, error = NULL, finished_at = NULL, crashes = :crashes",
    JobState.HELD: "lease_until = NULL",
    JobState.PAUSED: "lease_until = NULL",
    JobState.DONE: "lease_until = NULL, finished_at = :now, result = :result",
    JobState.FAILED: "lease_until = NULL, finished_at = :now, error = :error, crashes = :crashes",
    JobState.CANCELLED: "lease_until = NULL, finished_at = :now",
}
"""What else changes when a job enters a state."""


class StaleAttemptError(Exception):
    """The job has been taken from this worker; what it says no longer counts."""


@dataclass(frozen=True)
class Claim:
    """A job in a worker's hands, and the attempt that proves it."""

    job_id: str
    attempt: int
    spec: JobSpec


class JobStore:
    """The queue of one daemon.

    `broken` is where an unreadable queue was set aside when this one was opened, else None.
    """

    def __init__(self, path: Path, listener: Listener | None = None) -> None:
        self.path = path
        self.listener = listener
        self._db, self.broken = open_database(path)
        self._live: dict[
            str, tuple[int, Progress]
        ] = {}  # running jobs: event number and progress, newer than disk
        self._events: list[tuple[Event, int]] = []

    def close(self) -> None:
        """Close the file; safe to call twice."""
        self._db.close()

    # Jobs come and change.

    def submit(
        self,
        spec: JobSpec,
        *,
        key: str | None = None,
        priority: int = 0,
        submitted_by: str = "",
        hold: bool = False,
    ) -> tuple[Job, bool]:
        """Put a job on the queue and return it, and whether it is new: the same key and spec is the same job.

        Raises RequestError `job.key_reused`.
        """
        with self._change() as db:
            if key is not None and (job := self._job_of_key(db, key, spec)):
                return job, False
            job_id = _new_id()
            db.execute(
                """INSERT INTO jobs
                   (job_id, role, spec, key, state, priority, submitted_at, submitted_by, position)
                   VALUES (?, ?, ?, ?, ?, ?, ?, ?, (SELECT ifnull(max(number), 0) + 1 FROM jobs))""",
                (
                    job_id,
                    ROLES[type(spec)],
                    to_json(spec),
                    key,
                    JobState.HELD if hold else JobState.QUEUED,
                    priority,
                    time.time(),
                    submitted_by,
                ),
            )
            return self._changed(db, job_id), True

    def move(
        self,
        job_id: str,
        to: JobState,
        *,
        only_from: Collection[JobState] | None = None,
        attempt: int | None = None,
        error: ErrorInfo | None = None,
        result: dict[str, Any] | None = None,
        takes: Collection[Take] = (),
    ) -> Job:
        """Move a job to another state; with `takes`, record them in the same breath.

        `attempt` fences a worker's word; `only_from` narrows the states that the caller means.
        Raises RequestError `job.not_found`, `job.wrong_state`; StaleAttemptError.
        """
        with self._change() as db:
            row = self._row(db, job_id)
            if only_from is not None and row["state"] not in only_from:
                raise _wrong_state(row, to)
            self._move(db, row, to, attempt=attempt, error=error, result=result)
            for take in takes:
                self._add_take(db, job_id, take)
            return self._changed(db, job_id)

    def claim(self, role: str) -> Claim | None:
        """Take the next job for a worker of `role`, or None when none waits."""
        with self._change() as db:
            row = db.execute(NEXT, (role,)).fetchone()
            if row is None:
                return None
            self._move(db, row, JobState.RUNNING)
            job = self._changed(db, row["job_id"])
            return Claim(job.job_id, job.attempts, job.spec)

    def lose(self, job_id: str, attempt: int, why: str) -> Job:
        """Take a job from a worker that died: back to the queue, or failed when it took too many with it.

        Raises StaleAttemptError.
        """
        with self._change() as db:
            row = self._row(db, job_id)
            crashes = row["crashes"] + 1
            if crashes < CRASH_LIMIT:
                self._move(db, row, JobState.QUEUED, attempt=attempt, crashes=crashes)
                self._log(db, job_id, f"{why} The job goes on from its last finished chunk.")
            else:
                sentence = f"{why} That was the worker number {crashes} lost to this job, so it was stopped."
                error = InternalError("worker.died", sentence).to_info()
                self._move(db, row, JobState.FAILED, attempt=attempt, error=error, crashes=crashes)
                self._log(db, job_id, sentence)
            return self._changed(db, job_id)

    def release_running(self, *, expired_only: bool = False, spare: Collection[str] = ()) -> list[str]:
        """Put running jobs that nobody holds back on the queue, uncounted as crashes; return their ids.

        At start that is every running job; later only those whose lease ran out, except `spare`.
        """
        now = time.time() if expired_only else float("inf")
        with self._change() as db:
            found = db.execute(
                "SELECT * FROM jobs WHERE state = 'running' AND ifnull(lease_until, 0) < ?", (now,)
            ).fetchall()
            lost = [row for row in found if row["job_id"] not in spare]
            for row in lost:
                db.execute("UPDATE jobs SET seq = seq + ? WHERE job_id = ?", (SEQ_LEAP, row["job_id"]))
                self._move(db, row, JobState.QUEUED, crashes=row["crashes"])
                self._log(
                    db, row["job_id"], "The daemon ended while the job ran; it goes on from its last chunk."
                )
                self._changed(db, row["job_id"])
        return [row["job_id"] for row in lost]

    def reorder(self, job_id: str, *, priority: int | None = None, before: str | None = None) -> Job:
        """Give a waiting job another priority, or the place just before another waiting job.

        Raises RequestError `job.not_found`, `job.wrong_state`.
        """
        with self._change() as db:
            row = self._row(db, job_id)
            target = self._row(db, before) if before is not None else None
            for each in (row, target):
                if each is not None and (each["state"] in FINAL_STATES or each["state"] == JobState.RUNNING):
                    raise RequestError(
                        "job.wrong_state",
                        f"Job {each['job_id']} is {each['state']}; only a waiting job has a place.",
                    )
            if priority is not None:
                db.execute("UPDATE jobs SET priority = ? WHERE job_id = ?", (priority, job_id))
            if target is not None and target["job_id"] != job_id:
                place_before(db, job_id, target)
            return self._changed(db, job_id)

    # A running job's life.

    def report(self, job_id: str, progress: Progress) -> None:
        """Tell listeners how far a running job is; on disk with the next heartbeat."""
        seq = self._next_seq(self._db, job_id)
        self._live[job_id] = (seq, progress)
        if self.listener is not None:
            self.listener(JobProgressed(job_id=job_id, progress=progress), seq)

    def heartbeat(self, job_id: str, attempt: int) -> None:
        """Renew a running job's lease and keep its progress. Raises StaleAttemptError."""
        _, progress = self._live.get(job_id, (0, None))
        with self._change() as db:
            renewed = db.execute(
                """UPDATE jobs SET lease_until = ?, progress = ifnull(?, progress)
                   WHERE job_id = ? AND attempt = ? AND state = 'running'""",
                (time.time() + LEASE_S, to_json(progress), job_id, attempt),
            )
            if not renewed.rowcount:
                raise StaleAttemptError(job_id)

    def log(self, job_id: str, sentence: str) -> None:
        """Add a sentence to a job's log. Raises RequestError `job.not_found`."""
        with self._change() as db:
            self._row(db, job_id)
            self._log(db, job_id, sentence)

    # What there is.

    def get(self, job_id: str) -> Job:
        """Return a job with its takes and result. Raises RequestError `job.not_found`."""
        return self.snapshot(job_id)[0]

    def snapshot(self, job_id: str) -> tuple[Job, int]:
        """Return a job and the number of the latest event that is part of it."""
        row = self._row(self._db, job_id)
        seq, progress = self._live.get(job_id, (0, None))
        return job_from(row, self.takes(job_id), progress), max(seq, row["seq"])

    def list(self, states: Collection[JobState] = (), limit: int = -1, offset: int = 0) -> list[Job]:
        """Return jobs without takes and results: running, waiting in the order they will run, then ended.

        No states: all. A negative limit: no limit.
        """
        wanted = states or list(JobState)
        marks = ", ".join("?" * len(wanted))
        sql = f"SELECT {_SUMMARY} FROM jobs WHERE state IN ({marks}) {LISTING} LIMIT ? OFFSET ?"
        rows = self._db.execute(sql, (*wanted, limit, offset))
        live = self._live
        return [job_from(row, [], live[row["job_id"]][1] if row["job_id"] in live else None) for row in rows]

    def counts(self) -> dict[str, int]:
        """Return how many jobs are in each state."""
        found = dict(self._db.execute("SELECT state, count(*) FROM jobs GROUP BY state").fetchall())
        return {str(state): found.get(state, 0) for state in JobState}

    def waits(self, role: str) -> bool:
        """Return whether a job waits for a worker of `role`."""
        return self._db.execute(NEXT, (role,)).fetchone() is not None

    def job_log(self, job_id: str) -> "list[LogEntry]":
        """Return a job's log, oldest first. Raises RequestError `job.not_found`."""
        self._row(self._db, job_id)
        rows = self._db.execute("SELECT at, sentence FROM job_log WHERE job_id = ? ORDER BY seq", (job_id,))
        return [LogEntry(at=row["at"], sentence=row["sentence"]) for row in rows]

    # Takes.

    def add_take(self, job_id: str, attempt: int, take: Take) -> None:
        """Record a take of a running job. Raises StaleAttemptError."""
        with self._change() as db:
            row = self._row(db, job_id)
            if row["state"] != JobState.RUNNING or row["attempt"] != attempt:
                raise StaleAttemptError(job_id)
            self._add_take(db, job_id, take)

    def takes(self, job_id: str | None = None) -> "list[Take]":
        """Return the takes, of one job or of all, oldest first."""
        where, values = ("", ()) if job_id is None else ("WHERE takes.job_id = ?", (job_id,))
        rows = self._db.execute(
            f"""SELECT body FROM takes JOIN jobs USING (job_id) {where} ORDER BY jobs.number, takes.number""",
            values,
        )
        return [take_from(row["body"]) for row in rows]

    def take(self, take_id: str) -> Take:
        """Return a take. Raises RequestError `take.not_found`."""
        row = self._db.execute("SELECT body FROM takes WHERE take_id = ?", (take_id,)).fetchone()
        if row is None:
            raise RequestError("take.not_found", f"There is no take {take_id}.")
        return take_from(row["body"])

    def set_verdict(self, take_id: str, verdict: Literal["none", "accepted", "rejected"]) -> Take:
        """Keep what the editor thinks of a take. Raises RequestError `take.not_found`."""
        with self._change() as db:
            take = msgspec.structs.replace(self.take(take_id), verdict=verdict)
            db.execute("UPDATE takes SET body = ? WHERE take_id = ?", (to_json(take), take_id))
            job_id = db.execute("SELECT job_id FROM takes WHERE take_id = ?", (take_id,)).fetchone()["job_id"]
            self._event(db, job_id, TakeChanged(job_id=job_id, take=take))
            return take

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

    def _move(
        self,
        db: sqlite3.Connection,
        row: sqlite3.Row,
        to: JobState,
        *,
        attempt: int | None = None,
        error: ErrorInfo | None = None,
        result: dict[str, Any] | None = None,
        crashes: int = 0,
    ) -> None:
        """Move the job of `row`, read in this transaction. The only place that writes a job's state."""
        if attempt is not None and (row["attempt"] != attempt or row["state"] != JobState.RUNNING):
            raise StaleAttemptError(row["job_id"])
        if to not in TRANSITIONS[JobState(row["state"])]:
            raise _wrong_state(row, to)
        now = time.time()
        values = {"to": to, "now": now, "lease": now + LEASE_S, "crashes": crashes, "job_id": row["job_id"]}
        values |= {"error": to_json(error), "result": to_json(result), "progress": None}
        if row["state"] == JobState.RUNNING:
            self._leave_running(db, row, values)
        db.execute(f"UPDATE jobs SET state = :to, {_ON_ENTRY[to]} WHERE job_id = :job_id", values)

    def _leave_running(self, db: sqlite3.Connection, row: sqlite3.Row, values: dict[str, Any]) -> None:
        """Write down what a running job kept in memory: its event number and its progress."""
        seq, progress = self._live.get(row["job_id"], (0, None))
        db.execute(
            "UPDATE jobs SET seq = max(seq, ?), progress = ifnull(?, progress) WHERE job_id = ?",
            (seq, to_json(progress), row["job_id"]),
        )

    def _changed(self, db: sqlite3.Connection, job_id: str) -> Job:
        """Number and note the event that a job changed; return the job."""
        seq = self._next_seq(db, job_id)
        db.execute("UPDATE jobs SET seq = ? WHERE job_id = ?", (seq, job_id))
        job = self.get(job_id)
        self._events.append((JobChanged(job_id=job_id, job=job), seq))
        return job

    def _log(self, db: sqlite3.Connection, job_id: str, sentence: str) -> None:
        now = time.time()
        seq = self._event(db, job_id, JobLogged(job_id=job_id, at=now, sentence=sentence))
        db.execute("INSERT INTO job_log VALUES (?, ?, ?, ?)", (job_id, seq, now, sentence))

    def _add_take(self, db: sqlite3.Connection, job_id: str, take: Take) -> None:
        """Record a take; one that is recorded already (its job was run again) stays with its verdict."""
        number = int(take.take_id.rpartition("-")[2])
        added = db.execute(
            "INSERT INTO takes VALUES (?, ?, ?, ?) ON CONFLICT (take_id) DO NOTHING",
            (take.take_id, job_id, number, to_json(take)),
        )
        if added.rowcount:
            self._event(db, job_id, TakeAdded(job_id=job_id, take=take))

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

    def _job_of_key(self, db: sqlite3.Connection, key: str, spec: JobSpec) -> Job | None:
        row = db.execute("SELECT job_id, spec FROM jobs WHERE key = ?", (key,)).fetchone()
        if row is None:
            return None
        if spec_from(row["spec"]) != spec:
            raise RequestError(
                "job.key_reused", f"The key {key!r} belongs to job {row['job_id']}, which differs."
            )
        return self.get(row["job_id"])


def _wrong_state(row: sqlite3.Row, to: JobState) -> RequestError:
    allowed = ", ".join(sorted(TRANSITIONS[JobState(row["state"])])) or "nothing"
    return RequestError(
        "job.wrong_state",
        f"Job {row['job_id']} is {row['state']} and cannot become {to}; it can become {allowed}.",
    )


def _new_id() -> str:
    """Return 8 letters and digits that are easy to read out; 40 random bits."""
    return "".join(secrets.choice("0123456789abcdefghjkmnpqrstvwxyz") for _ in range(8))
