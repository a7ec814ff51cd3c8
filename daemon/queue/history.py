"""Forgets jobs that ended long ago, so that the queue's file and every list stay small.

A job with a take that nobody has accepted or rejected yet is not forgotten for its place among many, only for
its age. Takes on disk are the editor's: forgetting a job leaves them, with their sidecars, where they are.
"""

import sqlite3
from typing import NamedTuple

from daemon.protocol.jobs import Job
from daemon.queue.database import storage_error
from daemon.queue.takes import TakeJournal

KEPT = 1000
"""The newest jobs that ended stay, however old: a clock that was set wrong for a while costs no history."""

BATCH = 200
"""Jobs forgotten in one transaction, so that no request waits long."""

DAY_S = 86_400.0
VACUUM_SHARE = 0.25  # of the file's pages, unused, from which it is made smaller
VACUUM_PAGES = 1024  # 4 MB; below it there is no point

_ENDED = "state IN ('done', 'failed', 'cancelled')"
_UNDECIDED = "SELECT job_id FROM takes WHERE json_extract(body, '$.verdict') = 'none'"
_OLD = f"""SELECT job_id FROM (SELECT job_id, finished_at FROM jobs WHERE {_ENDED}
                                ORDER BY number DESC LIMIT -1 OFFSET ?) WHERE finished_at < ?
           UNION
           SELECT job_id FROM (SELECT job_id FROM jobs WHERE {_ENDED} ORDER BY number DESC LIMIT -1 OFFSET ?)
           WHERE job_id NOT IN ({_UNDECIDED})
           LIMIT ?"""


class Forgotten(NamedTuple):
    """A job that the queue knows no more, with its takes, and whose it was."""

    job: Job
    client: str


class HistoryJournal(TakeJournal):
    """The queue's past."""

    def forget(self, *, days: float, jobs: int, kept: int = KEPT) -> list[Forgotten]:
        """Forget some jobs that ended too long ago, or that came before the newest `jobs`; return them.

        The newest `kept` of them are never too old. None are returned when nothing is left to forget.
        """
        before = self.clock() - days * DAY_S
        with self._change() as db:
            old = [row["job_id"] for row in db.execute(_OLD, (kept, before, jobs, BATCH))]
            gone = [Forgotten(self.get(job_id), self.client_of(job_id)) for job_id in old]
            for table in ("takes", "job_log", "runs", "jobs"):
                db.executemany(f"DELETE FROM {table} WHERE job_id = ?", [(job_id,) for job_id in old])
        return gone

    def compact(self) -> bool:
        """Make the file smaller if much of it is unused; return whether it was done. Raises MachineError."""
        pages = self._db.execute("PRAGMA page_count").fetchone()[0]
        free = self._db.execute("PRAGMA freelist_count").fetchone()[0]
        if free < max(VACUUM_PAGES, VACUUM_SHARE * pages):
            return False
        try:
            self._db.execute("VACUUM")
        except sqlite3.DatabaseError as error:  # it needs room for a second file
            raise storage_error(error, self.path) from error
        return True
