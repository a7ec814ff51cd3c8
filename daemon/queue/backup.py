"""Copies of the queue's file: made while it is used, and put in its place when it turns out to be broken.

A copy is checked before it takes the last one's place. After a restore, jobs newer than the copy are taken
from the broken file row by row, as far as they can be read: finished takes are on disk anyway, and a job that
is run again finds its own and makes nothing twice.
"""

import contextlib
import logging
import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

log = logging.getLogger(__name__)


def backup_path(queue: Path) -> Path:
    """Return where the last good copy of a queue lies."""
    return queue.with_name(f"{queue.stem}.backup{queue.suffix}")


def make_backup(queue: Path) -> None:
    """Copy the queue as it is now. For any thread. Raises sqlite3.DatabaseError if it is broken, OSError."""
    final = backup_path(queue)
    part = final.with_name(f"{final.name}.part")
    part.unlink(missing_ok=True)
    with (
        contextlib.closing(sqlite3.connect(queue, timeout=10)) as source,
        contextlib.closing(sqlite3.connect(part)) as copy,
    ):
        source.backup(copy, pages=256, sleep=0.01)
        copy.execute("PRAGMA journal_mode = DELETE")  # one file, with no journal beside it
        found = copy.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise sqlite3.DatabaseError(found)
    part.chmod(0o600)
    with part.open("rb+") as file:
        os.fsync(file.fileno())
    os.replace(part, final)


def restore(queue: Path) -> float | None:
    """Put the last good copy in the queue's place; return when it was made, or None when there is none."""
    copy = backup_path(queue)
    if not copy.exists():
        return None
    part = queue.with_name(f"{queue.name}.part")
    shutil.copyfile(copy, part)
    part.chmod(0o600)
    os.replace(part, queue)
    return copy.stat().st_mtime


def salvage(connection: sqlite3.Connection, broken: Path) -> int:
    """Bring jobs that the broken file knows better up to date, with their takes and logs; return how many.

    Better: it alone has them, or with a later event.
    """
    known = dict(connection.execute("SELECT job_id, seq FROM jobs"))
    newer = set()
    for row in _readable(broken, "jobs"):
        job_id, seq = row["job_id"], row["seq"]
        if isinstance(seq, int) and seq > known.get(job_id, -1) and _put(connection, "jobs", row):
            newer.add(job_id)
    for table in ("takes", "job_log"):
        for row in _readable(broken, table):
            if row["job_id"] in newer:
                _put(connection, table, row)
    connection.executemany(_WITHOUT_TAKES, [(job_id,) for job_id in newer])
    return len(newer)


_WITHOUT_TAKES = """
UPDATE jobs SET state = 'queued', finished_at = NULL, result = NULL
WHERE job_id = ? AND state = 'done' AND json_extract(spec, '$.kind') IN ('redub', 'speak', 'generate')
AND (SELECT count(*) FROM takes WHERE takes.job_id = jobs.job_id) < ifnull(json_extract(spec, '$.takes'), 1)
"""
"""A job that is known to be done, but whose takes could not be read, runs again: it finds them on disk."""


def _put(connection: sqlite3.Connection, table: str, row: dict[str, object]) -> bool:
    """Write a row, in the place of an older one of its key; return whether it makes sense here."""
    key = {"jobs": "job_id", "takes": "take_id", "job_log": "job_id, seq"}[table]
    names = [name for name in row if table != "jobs" or name != "number"]  # the order of arrival is our own
    values = ", ".join(f"{name} = excluded.{name}" for name in names)
    with contextlib.suppress(sqlite3.DatabaseError):
        connection.execute(
            f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))}) "
            f"ON CONFLICT ({key}) DO UPDATE SET {values}",
            [row[name] for name in names],
        )
        return True
    return False


def _readable(broken: Path, table: str) -> Iterator[dict[str, object]]:
    """Yield the rows of a table that can be read: newest first until one cannot, then from the other end."""
    order = "job_id" if table == "job_log" else "rowid"
    for direction in ("DESC", "ASC"):
        try:
            with contextlib.closing(sqlite3.connect(f"{broken.as_uri()}?mode=ro", uri=True)) as connection:
                connection.row_factory = sqlite3.Row
                for row in connection.execute(f"SELECT * FROM {table} ORDER BY {order} {direction}"):
                    yield dict(row)
            return
        except sqlite3.Error as error:
            log.warning("Of %s in %s no more can be read (%s): %s.", table, broken, direction, error)
