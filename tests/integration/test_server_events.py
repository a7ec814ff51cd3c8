"""Events: complete, in order, and cancelling past everything else."""

import time
from collections.abc import Callable

from daemon.client import Client
from daemon.protocol.events import (
    DAEMON_TOPIC,
    JobChanged,
    JobPreviewed,
    JobProgressed,
    Subscribed,
    TakeAdded,
    WorkerChanged,
    job_topic,
)
from daemon.protocol.jobs import JobState

Script = Callable[[str], dict[str, object]]


def until_progress(client: Client, job_id: str) -> None:
    """Wait until a job is at work."""
    next(event for event in client.watch(job_id) if isinstance(event, JobProgressed))


def test_a_watched_job_is_seen_from_first_to_last(client: Client, script: Script) -> None:
    job = client.submit(script("paint"), hold=True)
    events = []
    for event in client.watch(job.job_id):
        if not events:
            client.release(job.job_id)
        events.append(event)
    states = [event.job.state for event in events if isinstance(event, JobChanged)]
    assert states == [JobState.HELD, JobState.QUEUED, JobState.RUNNING, JobState.DONE]
    fractions = [event.progress.fraction for event in events if isinstance(event, JobProgressed)]
    assert fractions == sorted(fractions)
    assert len([event for event in events if isinstance(event, TakeAdded)]) == 1


def test_numbers_of_a_jobs_events_only_rise(client: Client, script: Script) -> None:
    with client.subscribe(job_topic()) as subscription:
        assert isinstance((subscription.next(timeout_s=5) or (None,))[0], Subscribed)
        job = client.submit(script("paint"))
        numbers = []
        while True:
            event, seq = subscription.next(timeout_s=20) or (None, 0)
            assert event is not None
            numbers.append(seq)
            if isinstance(event, JobChanged) and event.job.state == JobState.DONE:
                break
    assert numbers == sorted(set(numbers))
    assert client.snapshot(job.job_id)[1] == numbers[-1]


def test_previews_come_one_a_second_and_too_large_ones_not_at_all(client: Client, script: Script) -> None:
    events = list(client.watch(client.submit(script("show")).job_id))
    (seen,) = [event for event in events if isinstance(event, JobPreviewed)]
    assert len(seen.picture) == 100
    assert (seen.frames, seen.chunk, seen.chunks, seen.step, seen.steps) == ([3, 7], 1, 2, 1, 5)


def test_a_finished_job_is_watched_in_one_event(client: Client, script: Script) -> None:
    job_id = client.submit(script("missing")).job_id
    list(client.watch(job_id))
    [only] = client.watch(job_id)
    assert isinstance(only, JobChanged)
    assert only.job.state == JobState.FAILED
    assert only.job.error is not None
    assert only.job.error.code == "source.missing"


def test_a_running_job_is_cancelled_within_a_second(client: Client, script: Script) -> None:
    for name in ("loop", "deaf"):
        job_id = client.submit(script(name)).job_id
        until_progress(client, job_id) if name == "loop" else until_running(client, job_id)
        began = time.monotonic()
        client.cancel(job_id)
        last = list(client.watch(job_id))[-1]
        assert isinstance(last, JobChanged)
        assert last.job.state == JobState.CANCELLED
        assert time.monotonic() - began < 1.5  # the promise is 1 s on a machine that is not busy with tests


def until_running(client: Client, job_id: str) -> None:
    """Wait until a job has its worker."""
    next(
        event
        for event in client.watch(job_id)
        if isinstance(event, JobChanged) and event.job.state == JobState.RUNNING
    )


def test_a_paused_job_goes_on_and_finishes(client: Client, script: Script) -> None:
    job_id = client.submit(script("paint")).job_id
    until_progress(client, job_id)
    client.pause(job_id)
    for event in client.watch(job_id):
        if isinstance(event, JobChanged) and event.job.state == JobState.PAUSED:
            break
    client.resume(job_id)
    last = list(client.watch(job_id))[-1]
    assert isinstance(last, JobChanged)
    assert last.job.state == JobState.DONE


def test_workers_are_seen_coming(client: Client, script: Script) -> None:
    with client.subscribe(DAEMON_TOPIC) as subscription:
        assert isinstance((subscription.next(timeout_s=5) or (None,))[0], Subscribed)
        job_id = client.submit(script("paint")).job_id
        while True:
            event, _ = subscription.next(timeout_s=20) or (None, 0)
            assert event is not None
            if isinstance(event, WorkerChanged) and event.worker.job_id == job_id:
                break
    assert event.worker.role == "engine"
