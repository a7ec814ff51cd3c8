"""The order of the queue: higher priority first, then what is due first, then by position.

The position starts as the order of arrival. `due` is a job's deadline, until it is placed before another job.
"""

import sqlite3

NEXT = """SELECT * FROM jobs WHERE state = 'queued' AND role = ?
          ORDER BY priority DESC, due, position, number LIMIT 1"""
"""The job that runs next. The literal state lets SQLite use the partial index `jobs_ready`."""

NEXT_AT_REST = NEXT.replace("ORDER BY", "AND NOT tonight AND NOT uses_gpu ORDER BY")
"""The same while jobs of the night and of the GPU rest."""

NO_DEADLINE = 1e18
"""`due` of a job without a deadline: after every other."""

LISTING = """ORDER BY CASE state WHEN 'running' THEN 0 WHEN 'queued' THEN 1 WHEN 'held' THEN 1
                      WHEN 'paused' THEN 1 ELSE 2 END,
             CASE WHEN finished_at IS NULL THEN -priority END,
             CASE WHEN finished_at IS NULL THEN due END,
             CASE WHEN finished_at IS NULL THEN position END,
             finished_at DESC, number DESC"""
"""Jobs as people want to see them: what runs, what waits in the order it will run, what ended."""

WAITING = "state IN ('queued', 'held', 'paused')"


def place_before(db: sqlite3.Connection, job_id: str, target: sqlite3.Row) -> None:
    """Give a job the priority and the due time of the row `target`, and the place just before it."""
    position = _between(db, job_id, target)
    if position is None:
        _renumber(db, target["priority"])
        target = db.execute("SELECT * FROM jobs WHERE number = ?", (target["number"],)).fetchone()
        position = _between(db, job_id, target)
    db.execute(
        "UPDATE jobs SET priority = ?, due = ?, position = ? WHERE job_id = ?",
        (target["priority"], target["due"], position, job_id),
    )


def _between(db: sqlite3.Connection, job_id: str, target: sqlite3.Row) -> float | None:
    """Return a position between `target` and the job before it; None when floats have no room left."""
    place = target["position"]
    before = db.execute(
        f"""SELECT max(position) FROM jobs WHERE {WAITING} AND priority = ? AND due = ? AND position <= ?
            AND number NOT IN (?, (SELECT number FROM jobs WHERE job_id = ?))""",
        (target["priority"], target["due"], place, target["number"], job_id),
    ).fetchone()[0]
    if before is None:
        return place - 1.0
    middle = (before + place) / 2
    return middle if before < middle < place else None


def _renumber(db: sqlite3.Connection, priority: int) -> None:
    """Space the waiting jobs of a priority out to whole numbers, in their order."""
    rows = db.execute(
        f"SELECT number FROM jobs WHERE {WAITING} AND priority = ? ORDER BY due, position, number",
        (priority,),
    ).fetchall()
    top = db.execute("SELECT ifnull(max(number), 0) FROM jobs").fetchone()[0]
    first = top - len(rows)
    db.executemany(
        "UPDATE jobs SET position = ? WHERE number = ?",
        [(float(first + index), row["number"]) for index, row in enumerate(rows)],
    )
