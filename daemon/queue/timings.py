"""Keeps what the stages of past jobs cost on this machine, for daemon/queue/eta.py."""

from collections.abc import Iterable

from daemon.queue.eta import Sample
from daemon.queue.journal import Journal

TIMINGS_KEPT = 200
"""Rows kept for an engine: some thirty jobs."""


class TimingJournal(Journal):
    """The costs of stages."""

    def add_timings(self, engine: str, timings: Iterable[tuple[str, Sample]]) -> None:
        """Keep what the stages of a job cost; of each stage the newest are enough."""
        with self._change() as db:
            for stage, sample in timings:
                db.execute(
                    """INSERT INTO stage_timings (engine, stage, frames, megapixels, seconds)
                       VALUES (?, ?, ?, ?, ?)""",
                    (engine, stage, sample.frames, sample.megapixels, sample.seconds),
                )
            db.execute(
                """DELETE FROM stage_timings WHERE engine = ? AND number NOT IN
                   (SELECT number FROM stage_timings WHERE engine = ? ORDER BY number DESC LIMIT ?)""",
                (engine, engine, TIMINGS_KEPT),
            )

    def timings(self, engine: str) -> dict[str, list[Sample]]:
        """Return what the stages of past jobs cost with `engine`, newest first; "auto": the last engine."""
        if engine == "auto":
            latest = "SELECT engine FROM stage_timings WHERE stage = 'engine' ORDER BY number DESC LIMIT 1"
            row = self._db.execute(latest).fetchone()
            engine = row["engine"] if row else "rewrite"
        found: dict[str, list[Sample]] = {}
        rows = self._db.execute(
            "SELECT * FROM stage_timings WHERE engine = ? ORDER BY number DESC", (engine,)
        )
        for row in rows:
            sample = Sample(row["frames"], row["megapixels"], row["seconds"])
            found.setdefault(row["stage"], []).append(sample)
        return found
