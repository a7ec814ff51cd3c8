"""What the queue forgets, and what it does not."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Literal

import pytest

from daemon.protocol.errors import MachineError, RequestError
from daemon.protocol.jobs import Job, JobState, RedubSpec, Take
from daemon.queue.history import DAY_S
from daemon.queue.store import JobStore

SPEC = RedubSpec(source="/a.mov", voice="/b.wav", in_=0, out=9)
EVER = 10_000


class Clock:
    """A clock that the test sets."""

    now = 1e9

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[JobStore]:
    opened = JobStore(tmp_path / "queue.sqlite", clock=clock)
    yield opened
    opened.close()


def done(store: JobStore, *, verdict: Literal["none", "accepted", "rejected"] | None = None) -> Job:
    """Run a job; with a verdict, it has a take."""
    job, _ = store.submit(SPEC)
    claim = store.claim("engine")
    assert claim is not None
    take_id = f"{job.job_id}-1"
    take = Take(
        take_id=take_id, path="/t", sidecar="/t.json", frames=9, rate=(25, 1), seed=0, engine="rewrite",
        badge="pass", checks={},
    )  # fmt: skip
    store.log(job.job_id, "It is done.")
    takes = [] if verdict is None else [take]
    store.move(job.job_id, JobState.DONE, attempt=claim.attempt, takes=takes)
    if verdict is not None:
        store.set_verdict(take_id, verdict)
    return job


def left(store: JobStore) -> list[str]:
    return [job.job_id for job in store.list()]


def test_old_jobs_are_forgotten_with_all_that_is_known_of_them(store: JobStore, clock: Clock) -> None:
    old = done(store, verdict="accepted")
    clock.now += 30 * DAY_S
    young = done(store)
    (gone,) = store.forget(days=10, jobs=EVER, kept=0)
    assert (gone.job.job_id, gone.client) == (old.job_id, "")
    assert [take.take_id for take in gone.job.takes] == [f"{old.job_id}-1"]
    assert left(store) == [young.job_id]
    assert store.takes() == []
    with pytest.raises(RequestError):
        store.job_log(old.job_id)
    assert store.forget(days=10, jobs=EVER, kept=0) == []


def test_too_many_jobs_are_forgotten_oldest_first_but_none_with_a_take_to_decide_on(store: JobStore) -> None:
    undecided = done(store, verdict="none")
    decided, looked_at = done(store, verdict="rejected"), done(store)
    newest = [done(store), done(store)]
    gone = {one.job.job_id for one in store.forget(days=EVER, jobs=2)}
    assert gone == {decided.job_id, looked_at.job_id}
    assert set(left(store)) == {undecided.job_id, *(job.job_id for job in newest)}


def test_jobs_that_wait_or_run_are_never_forgotten(store: JobStore, clock: Clock) -> None:
    running, _ = store.submit(SPEC)
    store.claim("engine")
    waiting, _ = store.submit(SPEC, hold=True)
    clock.now += 1000 * DAY_S
    last = done_by_cancel(store)
    store.forget(days=1, jobs=0, kept=0)
    assert set(left(store)) == {running.job_id, waiting.job_id}
    assert last.job_id not in left(store)


def done_by_cancel(store: JobStore) -> Job:
    job, _ = store.submit(SPEC)
    return store.move(job.job_id, JobState.CANCELLED)


def test_a_clock_that_leaps_ahead_costs_no_history(store: JobStore, clock: Clock) -> None:
    kept = done(store)
    clock.now += 5000 * DAY_S
    store.submit(SPEC)
    assert store.forget(days=365, jobs=EVER) == []
    assert kept.job_id in left(store)


def test_the_file_becomes_smaller_once_much_of_it_is_unused(store: JobStore, tmp_path: Path) -> None:
    for _ in range(20):
        store.log(done_by_cancel(store).job_id, "x" * 400_000)
    assert not store.compact()
    store._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before = size_of(tmp_path)
    assert len(store.forget(days=EVER, jobs=2)) == 18
    store._db.execute("PRAGMA busy_timeout = 0")
    with closing(sqlite3.connect(tmp_path / "queue.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(MachineError):
            store.compact()
    assert store.compact()
    store.close()  # and with it the journal
    assert size_of(tmp_path) < before / 5


def size_of(folder: Path) -> int:
    return (folder / "queue.sqlite").stat().st_size
