"""Keeps the takes of each job and what the editor thinks of them; shows jobs whole."""

import sqlite3
from typing import Literal

import msgspec

from daemon.protocol.errors import RequestError
from daemon.protocol.events import JobChanged, TakeAdded, TakeChanged
from daemon.protocol.jobs import Job, Take
from daemon.queue.journal import Journal
from daemon.queue.rows import COLUMNS, job_from, of_client, take_from, to_json


class TakeJournal(Journal):
    """Jobs with their takes."""

    def get(self, job_id: str) -> Job:
        """Return a job with its takes and result. Raises RequestError `job.not_found`."""
        return self.snapshot(job_id)[0]

    def snapshot(self, job_id: str) -> tuple[Job, int]:
        """Return a job and the number of the latest event that is part of it."""
        row = self._row(self._db, job_id)
        seq, progress = self._live.get(job_id, (0, None))
        values = [row[name] for name in COLUMNS]
        return job_from(values, self.takes(job_id), progress), max(seq, row["seq"])

    def takes(self, job_id: str | None = None, *, client: str | None = None) -> list[Take]:
        """Return the takes, of one job, of one client, or of all, oldest first."""
        where, values = of_client(client) if job_id is None else ("takes.job_id = ?", (job_id,))
        rows = self._db.execute(
            f"""SELECT body FROM takes JOIN jobs USING (job_id) WHERE {where}
                ORDER BY jobs.number, takes.number""",
            values,
        )
        return [take_from(row["body"]) for row in rows]

    def client_of(self, job_id: str) -> str:
        """Return the key of the paired machine whose job it is. Raises RequestError `job.not_found`."""
        return self._row(self._db, job_id)["client"]

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

    def _changed(self, db: sqlite3.Connection, job_id: str) -> Job:
        """Number and note the event that a job changed; return the job."""
        seq = self._next_seq(db, job_id)
        db.execute("UPDATE jobs SET seq = ? WHERE job_id = ?", (seq, job_id))
        job = self.get(job_id)
        self._events.append((JobChanged(job_id=job_id, job=job), seq))
        return job

    def _add_take(self, db: sqlite3.Connection, job_id: str, take: Take) -> None:
        """Record a take; one that is recorded already (its job was run again) stays with its verdict."""
        number = int(take.take_id.rpartition("-")[2])
        added = db.execute(
            "INSERT INTO takes VALUES (?, ?, ?, ?) ON CONFLICT (take_id) DO NOTHING",
            (take.take_id, job_id, number, to_json(take)),
        )
        if added.rowcount:
            self._event(db, job_id, TakeAdded(job_id=job_id, take=take))
