"""Jobs of the night on the queue, when jobs ran, and a clock that jumps."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.protocol.jobs import GenerateSpec, JobState, RedubSpec
from daemon.queue.store import JobStore

SPEC = RedubSpec(source="a.mov", voice="b.wav", in_=0, out=10)
ON_GPU = GenerateSpec(ckpt_dir="/model")
HOUR = 3600.0


class Clock:
    """Time that is moved by hand."""

    def __init__(self) -> None:
        self.now = 1e9

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


def test_jobs_of_the_night_move_together_and_the_others_stay(store: JobStore) -> None:
    night = [store.submit(SPEC, tonight=True)[0].job_id for _ in range(3)]
    held, _ = store.submit(SPEC, hold=True)
    assert store.tonight(JobState.HELD) == night
    assert store.move_night(JobState.HELD, JobState.QUEUED) == night
    assert store.get(held.job_id).state is JobState.HELD
    assert store.move_night(JobState.QUEUED, JobState.HELD) == night
    assert store.move_night(JobState.QUEUED, JobState.HELD) == []


def test_at_rest_only_what_needs_no_gpu_and_was_not_meant_for_the_night_is_claimed(store: JobStore) -> None:
    store.submit(ON_GPU, priority=9)
    store.submit(SPEC, tonight=True, priority=9)
    store.move_night(JobState.HELD, JobState.QUEUED)
    draft, _ = store.submit(SPEC)
    claim = store.claim("engine", at_rest=True)
    assert claim is not None
    assert claim.job_id == draft.job_id
    assert not store.waits("engine", at_rest=True)
    assert store.waits("engine")
    assert len(store.heavy_jobs(JobState.QUEUED)) == 2


def test_what_is_due_first_is_claimed_first_within_a_priority(store: JobStore) -> None:
    plain, _ = store.submit(SPEC)
    late, _ = store.submit(SPEC, deadline=2e9)
    soon, _ = store.submit(SPEC, deadline=1.5e9)
    urgent, _ = store.submit(SPEC, priority=1)
    claimed = [claim.job_id for _ in range(4) if (claim := store.claim("engine"))]
    assert claimed == [urgent.job_id, soon.job_id, late.job_id, plain.job_id]


def test_runs_are_counted_in_the_window_alone_also_one_that_goes_on(store: JobStore, clock: Clock) -> None:
    job, _ = store.submit(SPEC)
    store.claim("engine")
    clock.now += 2 * HOUR
    store.move(job.job_id, JobState.DONE)
    store.submit(ON_GPU)
    store.claim("engine")
    clock.now += HOUR
    runs = store.runs(1e9 + HOUR, clock.now)
    assert [(run.uses_gpu, run.ended_at - run.began_at) for run in runs] == [(False, HOUR), (True, HOUR)]
    assert [ended.job_id for ended in store.ended(1e9, clock.now)] == [job.job_id]
    assert store.ended(clock.now, clock.now + 1) == []


def test_a_clock_set_forward_takes_no_job_from_a_worker_that_lives(store: JobStore, clock: Clock) -> None:
    job, _ = store.submit(SPEC)
    claim = store.claim("engine")
    assert claim is not None
    clock.now += 24 * HOUR
    assert store.sweep({job.job_id}) == []
    store.heartbeat(job.job_id, claim.attempt)
    assert store.sweep(()) == []  # the lease was renewed by the new clock


def test_a_clock_set_back_loses_nothing_and_counts_no_hours(store: JobStore, clock: Clock) -> None:
    first, _ = store.submit(SPEC)
    claim = store.claim("engine")
    assert claim is not None
    clock.now -= 24 * HOUR
    store.heartbeat(first.job_id, claim.attempt)
    second, _ = store.submit(SPEC)
    store.move(first.job_id, JobState.DONE, attempt=claim.attempt)
    assert store.runs(0, 2e9) == []
    following = store.claim("engine")
    assert following is not None
    assert following.job_id == second.job_id


def test_a_hang_is_forgiven_once_and_a_crash_twice(store: JobStore) -> None:
    for hung, times in ((True, 2), (False, 3)):
        job, _ = store.submit(SPEC)
        for _ in range(times):
            claim = store.claim("engine")
            assert claim is not None
            store.lose(job.job_id, claim.attempt, "It ended.", hung=hung)
        error = store.get(job.job_id).error
        assert error is not None
        assert error.code == ("worker.hung" if hung else "worker.died")
