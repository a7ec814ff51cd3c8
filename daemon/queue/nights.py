"""The jobs of the night on the queue, and when jobs ran: what the schedule and its report ask."""

import sqlite3
from typing import NamedTuple

from daemon.protocol.jobs import Job, JobState
from daemon.queue.takes import TakeJournal

RUNS_KEPT_S = 90 * 24 * 3600.0
"""Older runs are forgotten; no report asks for them."""


class Run(NamedTuple):
    """A job in a worker's hands, from when to when (seconds since the epoch)."""

    job_id: str
    uses_gpu: bool
    began_at: float
    ended_at: float


class NightJournal(TakeJournal):
    """Jobs that wait for the schedule."""

    def tonight(self, *states: JobState) -> list[str]:
        """Return the ids of the jobs of the night that are in one of `states`."""
        marks = ", ".join("?" * len(states))
        rows = self._db.execute(
            f"SELECT job_id FROM jobs WHERE tonight = 1 AND state IN ({marks}) ORDER BY number", states
        )
        return [row["job_id"] for row in rows]

    def heavy_jobs(self, *states: JobState) -> set[str]:
        """Return the ids of the jobs of the night or of the GPU that are in one of `states`."""
        marks = ", ".join("?" * len(states))
        rows = self._db.execute(
            f"SELECT job_id FROM jobs WHERE (tonight OR uses_gpu) AND state IN ({marks})", states
        )
        return {row["job_id"] for row in rows}

    def runs(self, since: float, until: float) -> list[Run]:
        """Return when jobs that make takes or videos ran between two moments, oldest first, cut to them.

        A job that still runs is among them, until now.
        """
        rows = self._db.execute(
            """SELECT runs.job_id, uses_gpu, began_at, ended_at FROM runs JOIN jobs USING (job_id)
               WHERE role = 'engine' AND ended_at > ? AND began_at < ?
               UNION ALL
               SELECT job_id, uses_gpu, started_at, ? FROM jobs
               WHERE role = 'engine' AND state = 'running' AND started_at < ?
               ORDER BY began_at""",
            (since, until, self.clock(), until),
        )
        found = [Run(row[0], bool(row[1]), max(row[2], since), min(row[3], until)) for row in rows]
        return [run for run in found if run.ended_at > run.began_at]

    def ended(self, since: float, until: float) -> list[Job]:
        """Return the jobs that make takes or videos and ended between two moments, oldest first, whole."""
        rows = self._db.execute(
            """SELECT job_id FROM jobs WHERE role = 'engine' AND finished_at > ? AND finished_at <= ?
               ORDER BY finished_at""",
            (since, until),
        ).fetchall()
        return [self.get(row["job_id"]) for row in rows]

    def _note_run(self, db: sqlite3.Connection, row: sqlite3.Row) -> None:
        """Keep when the running job of `row`, which stops now, ran."""
        now = self.clock()
        if row["started_at"] is not None and row["started_at"] < now:  # else the clock was set back
            db.execute(
                "INSERT INTO runs (job_id, began_at, ended_at) VALUES (?, ?, ?)",
                (row["job_id"], row["started_at"], now),
            )
            db.execute("DELETE FROM runs WHERE ended_at < ?", (now - RUNS_KEPT_S,))
