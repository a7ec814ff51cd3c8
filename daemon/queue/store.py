"""The durable queue: jobs, their log and their takes. What it says is done is on disk.

One object belongs to one thread. Every change runs in one transaction, and its events go to the listener
after the commit. Only `_move` changes a job's state, and only along `TRANSITIONS`.

A worker that lost its job (it hung, was declared dead, and comes back) cannot harm the job's next run: what
it says carries the attempt it was claimed under, and each claim raises the job's attempt by one.
"""

import secrets
import sqlite3
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from daemon.protocol.errors import ErrorInfo, InternalError, RequestError
from daemon.protocol.jobs import FINAL_STATES, TRANSITIONS, Job, JobSpec, JobState, Take
from daemon.queue.history import HistoryJournal
from daemon.queue.journal import SEQ_LEAP, StaleAttemptError
from daemon.queue.nights import NightJournal
from daemon.queue.order import LISTING, NEXT, NEXT_AT_REST, NO_DEADLINE, WAITING, place_before
from daemon.queue.rows import COLUMNS, job_from, of_client, role_of, spec_from, to_json, uses_gpu
from daemon.queue.timings import TimingJournal

CRASH_LIMIT = 3
"""A job that took this many workers down with it fails."""

HANG_LIMIT = 2
"""One whose worker makes no step fails a restart earlier: each costs far longer to notice."""

LEASE_S = 30.0
"""A running job whose worker says nothing for this long is taken from it."""

_SUMMARY = ", ".join(COLUMNS[:-1]) + ", NULL"
"""All but the result."""

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


@dataclass(frozen=True)
class Claim:
    """A job in a worker's hands, and the attempt that proves it."""

    job_id: str
    attempt: int
    spec: JobSpec


class JobStore(NightJournal, TimingJournal, HistoryJournal):
    """The queue of one daemon."""

    # Jobs come and change.

    def submit(
        self,
        spec: JobSpec,
        *,
        key: str | None = None,
        priority: int = 0,
        submitted_by: str = "",
        hold: bool = False,
        tonight: bool = False,
        deadline: float | None = None,
        client: str = "",
        most_waiting: int | None = None,
    ) -> tuple[Job, bool]:
        """Put a job on the queue and return it, and whether it is new: the same key and spec is the same job.

        With `hold` it waits to be released, with `tonight` for the schedule. `client` is the public key of
        the paired machine that it belongs to, or empty.
        Raises RequestError `job.key_reused`; `queue.full` for a new one where `most_waiting` wait.
        """
        with self._change() as db:
            if key is not None and (job := self._job_of_key(db, key, spec)):
                return job, False
            if most_waiting is not None and self._is_full(db, most_waiting):
                raise RequestError("queue.full", f"{most_waiting} jobs wait; the settings allow no more.")
            job_id = _new_id()
            db.execute(
                """INSERT INTO jobs
                   (job_id, role, spec, key, state, priority, submitted_at, submitted_by, tonight, deadline,
                    due, uses_gpu, client, position)
                   VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,
                           (SELECT ifnull(max(number), 0) + 1 FROM jobs))""",
                (
                    job_id,
                    role_of(spec),
                    to_json(spec),
                    key,
                    JobState.HELD if hold or tonight else JobState.QUEUED,
                    priority,
                    self.clock(),
                    submitted_by,
                    tonight and not hold,
                    deadline,
                    NO_DEADLINE if deadline is None else deadline,
                    uses_gpu(spec),
                    client,
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
        tonight: bool | None = None,
    ) -> Job:
        """Move a job to another state; with `takes`, record them in the same breath.

        `attempt` fences a worker's word; `only_from` narrows the states that the caller means; `tonight`
        says whether the job waits for the schedule from now on, None: as before.
        Raises RequestError `job.not_found`, `job.wrong_state`; StaleAttemptError.
        """
        with self._change() as db:
            row = self._row(db, job_id)
            if only_from is not None and row["state"] not in only_from:
                raise _wrong_state(row, to)
            self._move(db, row, to, attempt=attempt, error=error, result=result)
            if tonight is not None:
                db.execute("UPDATE jobs SET tonight = ? WHERE job_id = ?", (tonight, job_id))
            for take in takes:
                self._add_take(db, job_id, take)
            return self._changed(db, job_id)

    def move_night(self, from_: JobState, to: JobState) -> list[str]:
        """Move every job of the night that is in `from_` to `to`, all in one breath; return their ids."""
        with self._change() as db:
            rows = db.execute(
                "SELECT * FROM jobs WHERE tonight = 1 AND state = ? ORDER BY number", (from_,)
            ).fetchall()
            for row in rows:
                self._move(db, row, to)
                self._changed(db, row["job_id"])
        return [row["job_id"] for row in rows]

    def set_tonight(self, job_id: str, tonight: bool) -> Job:
        """Say whether a job waits for the schedule. Raises RequestError `job.not_found`."""
        with self._change() as db:
            self._row(db, job_id)
            db.execute("UPDATE jobs SET tonight = ? WHERE job_id = ?", (tonight, job_id))
            return self._changed(db, job_id)

    def claim(self, role: str, *, at_rest: bool = False) -> Claim | None:
        """Take the next job for a worker of `role`, or None when none waits.

        `at_rest`: leave the jobs of the night and of the GPU where they are.
        """
        with self._change() as db:
            row = db.execute(NEXT_AT_REST if at_rest else NEXT, (role,)).fetchone()
            if row is None:
                return None
            self._move(db, row, JobState.RUNNING)
            job = self._changed(db, row["job_id"])
            return Claim(job.job_id, job.attempts, job.spec)

    def lose(self, job_id: str, attempt: int, why: str, *, hung: bool = False) -> Job:
        """Take a job from a worker that died: back to the queue, or failed when it took too many with it.

        A worker that `hung` gets one restart. Raises StaleAttemptError.
        """
        with self._change() as db:
            row = self._row(db, job_id)
            crashes = row["crashes"] + 1
            if crashes < (HANG_LIMIT if hung else CRASH_LIMIT):
                self._move(db, row, JobState.QUEUED, attempt=attempt, crashes=crashes)
                self._log(db, job_id, f"{why} The job goes on from its last finished chunk.")
            else:
                sentence = f"{why} That was the worker number {crashes} lost to this job, so it was stopped."
                error = InternalError("worker.hung" if hung else "worker.died", sentence).to_info()
                self._move(db, row, JobState.FAILED, attempt=attempt, error=error, crashes=crashes)
                self._log(db, job_id, sentence)
            return self._changed(db, job_id)

    def recover(self) -> list[str]:
        """Put every running job back on the queue, uncounted as a crash; return their ids. For the start."""
        return self._take_back("SELECT * FROM jobs WHERE state = 'running'", ())

    def sweep(self, spare: Collection[str]) -> list[str]:
        """Put running jobs whose lease ran out back on the queue, except `spare`; return their ids."""
        expired = "SELECT * FROM jobs WHERE state = 'running' AND lease_until < ?"
        return self._take_back(expired, (self.clock(),), spare)

    def _take_back(self, question: str, values: tuple[float, ...], spare: Collection[str] = ()) -> list[str]:
        with self._change() as db:
            lost = [row for row in db.execute(question, values).fetchall() if row["job_id"] not in spare]
            for row in lost:
                db.execute("UPDATE jobs SET seq = seq + ? WHERE job_id = ?", (SEQ_LEAP, row["job_id"]))
                self._move(db, row, JobState.QUEUED, crashes=row["crashes"])
                self._log(
                    db, row["job_id"], "The daemon ended while the job ran; it goes on from its last chunk."
                )
                self._changed(db, row["job_id"])
        return [row["job_id"] for row in lost]

    def reorder(
        self,
        job_id: str,
        *,
        priority: int | None = None,
        before: str | None = None,
        deadline: float | None = None,
    ) -> Job:
        """Give a waiting job another priority or deadline (0: none), or the place just before another one.

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
            if deadline is not None:
                values = (deadline or None, deadline or NO_DEADLINE, job_id)
                db.execute("UPDATE jobs SET deadline = ?, due = ? WHERE job_id = ?", values)
            if target is not None and target["job_id"] != job_id:
                place_before(db, job_id, target)
            return self._changed(db, job_id)

    # A running job's life.

    def add_take(self, job_id: str, attempt: int, take: Take) -> None:
        """Record a take of a running job as soon as it is on disk. Raises StaleAttemptError."""
        with self._change() as db:
            row = self._row(db, job_id)
            if (row["attempt"], row["state"]) != (attempt, JobState.RUNNING):
                raise StaleAttemptError(job_id)
            self._add_take(db, job_id, take)

    def heartbeat(self, job_id: str, attempt: int) -> None:
        """Renew a running job's lease and keep its progress. Raises StaleAttemptError."""
        _, progress = self._live.get(job_id, (0, None))
        with self._change() as db:
            renewed = db.execute(
                """UPDATE jobs SET lease_until = ?, progress = ifnull(?, progress)
                   WHERE job_id = ? AND attempt = ? AND state = 'running'""",
                (self.clock() + LEASE_S, to_json(progress), job_id, attempt),
            )
            if not renewed.rowcount:
                raise StaleAttemptError(job_id)

    # What there is.

    def counts(self, client: str | None = None) -> dict[str, int]:
        """Return how many jobs are in each state; of one `client`, or of all."""
        where, values = of_client(client)
        found = dict(
            self._db.execute(
                f"SELECT state, count(*) FROM jobs WHERE {where} GROUP BY state", values
            ).fetchall()
        )
        return {str(state): found.get(state, 0) for state in JobState}

    def waits(self, role: str, *, at_rest: bool = False) -> bool:
        """Return whether a job waits for a worker of `role`; `at_rest` as for `claim`."""
        return self._db.execute(NEXT_AT_REST if at_rest else NEXT, (role,)).fetchone() is not None

    def list(
        self,
        states: Collection[JobState] = (),
        limit: int = -1,
        offset: int = 0,
        *,
        client: str | None = None,
    ) -> list[Job]:
        """Return jobs without takes and results: running, waiting in the order they will run, then ended.

        No states: all. A negative limit: no limit. `client`: only that one's.
        """
        where, values = of_client(client)
        wanted = states or list(JobState)
        marks = ", ".join("?" * len(wanted))
        sql = f"SELECT {_SUMMARY} FROM jobs WHERE {where} AND state IN ({marks}) {LISTING} LIMIT ? OFFSET ?"
        cursor = self._db.cursor()
        cursor.row_factory = None  # plain tuples
        live = {job_id: progress for job_id, (_, progress) in self._live.items()}
        rows = cursor.execute(sql, (*values, *wanted, limit, offset))
        return [job_from(row, [], live.get(row[0])) for row in rows]

    # Inside a transaction.

    def _is_full(self, db: sqlite3.Connection, most: int) -> bool:
        """Return whether `most` jobs or more wait."""
        waiting = f"SELECT 1 FROM jobs WHERE {WAITING} LIMIT 1 OFFSET ?"
        return db.execute(waiting, (most - 1,)).fetchone() is not None

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
        now = self.clock()
        values = {"to": to, "now": now, "lease": now + LEASE_S, "crashes": crashes, "job_id": row["job_id"]}
        values |= {"error": to_json(error), "result": to_json(result)}
        if row["state"] == JobState.RUNNING:
            self._leave_running(db, row)
        db.execute(f"UPDATE jobs SET state = :to, {_ON_ENTRY[to]} WHERE job_id = :job_id", values)

    def _leave_running(self, db: sqlite3.Connection, row: sqlite3.Row) -> None:
        """Write down what a running job kept in memory, and how long it ran."""
        seq, progress = self._live.get(row["job_id"], (0, None))
        db.execute(
            "UPDATE jobs SET seq = max(seq, ?), progress = ifnull(?, progress) WHERE job_id = ?",
            (seq, to_json(progress), row["job_id"]),
        )
        self._note_run(db, row)

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
    allowed = " or ".join(sorted(TRANSITIONS[JobState(row["state"])]))
    rest = f"it can become {allowed}" if allowed else "that is its end"
    message = f"Job {row['job_id']} is {row['state']} and cannot become {to}; {rest}."
    return RequestError("job.wrong_state", message)


def _new_id() -> str:
    """Return 8 letters and digits that are easy to read out; 40 random bits."""
    return "".join(secrets.choice("0123456789abcdefghjkmnpqrstvwxyz") for _ in range(8))
