"""The queue's promises: states, keys, order, fences, events, takes."""

import itertools
import multiprocessing
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from daemon.protocol.errors import ErrorInfo, RequestError
from daemon.protocol.events import Event, JobChanged, JobLogged, JobProgressed, TakeAdded, TakeChanged
from daemon.protocol.jobs import (
    TRANSITIONS,
    CheckSpec,
    FacesSpec,
    JobState,
    ProbeSpec,
    Progress,
    RedubSpec,
    Take,
)
from daemon.queue import journal
from daemon.queue.journal import StaleAttemptError
from daemon.queue.store import CRASH_LIMIT, JobStore

SPEC = RedubSpec(source="/footage/a.mov", voice="/voice/b.wav", in_=0, out=125)
OTHER = RedubSpec(source="/footage/a.mov", voice="/voice/c.wav", in_=0, out=125)
ERROR = ErrorInfo("source.missing", "There is no file.")

PATHS: dict[JobState, list[JobState]] = {
    JobState.QUEUED: [],
    JobState.HELD: [JobState.HELD],
    JobState.RUNNING: [JobState.RUNNING],
    JobState.PAUSED: [JobState.RUNNING, JobState.PAUSED],
    JobState.DONE: [JobState.RUNNING, JobState.DONE],
    JobState.FAILED: [JobState.RUNNING, JobState.FAILED],
    JobState.CANCELLED: [JobState.CANCELLED],
}
"""How a new job gets into each state."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[JobStore]:
    store = JobStore(tmp_path / "queue.sqlite")
    yield store
    store.close()


def job_in(store: JobStore, state: JobState) -> str:
    job, _ = store.submit(SPEC)
    for step in PATHS[state]:
        store.move(job.job_id, step, error=ERROR if step == JobState.FAILED else None)
    return job.job_id


def take(job_id: str, number: int = 1) -> Take:
    return Take(
        take_id=f"{job_id}-{number}",
        path=f"/takes/{number}.mov",
        sidecar=f"/takes/{number}.json",
        frames=125,
        rate=(24000, 1001),
        seed=number,
        engine="rewrite",
        badge="pass",
        checks={"av_offset_ms": 4.0},
    )


def waiting(store: JobStore) -> list[str]:
    return [job.job_id for job in store.list([JobState.QUEUED])]


@pytest.mark.parametrize(("start", "to"), list(itertools.product(JobState, JobState)))
def test_only_the_transitions_of_the_table_are_possible(
    store: JobStore, start: JobState, to: JobState
) -> None:
    job_id = job_in(store, start)
    if to in TRANSITIONS[start]:
        assert store.move(job_id, to).state == to
        assert store.get(job_id).state == to
        return
    with pytest.raises(RequestError) as caught:
        store.move(job_id, to)
    assert caught.value.code == "job.wrong_state"
    assert store.get(job_id).state == start


def test_move_refuses_a_state_the_caller_did_not_mean(store: JobStore) -> None:
    job_id = job_in(store, JobState.FAILED)
    with pytest.raises(RequestError) as caught:
        store.move(job_id, JobState.QUEUED, only_from={JobState.PAUSED})
    assert caught.value.code == "job.wrong_state"


def test_same_key_and_spec_is_one_job(store: JobStore) -> None:
    first, is_new = store.submit(SPEC, key="night 1")
    second, is_new_again = store.submit(SPEC, key="night 1")
    assert (is_new, is_new_again) == (True, False)
    assert first.job_id == second.job_id
    assert len(store.list()) == 1


def test_same_key_and_another_spec_is_refused(store: JobStore) -> None:
    store.submit(SPEC, key="night 1")
    with pytest.raises(RequestError) as caught:
        store.submit(OTHER, key="night 1")
    assert caught.value.code == "job.key_reused"
    assert len(store.list()) == 1


def test_unknown_job_is_an_error_everywhere(store: JobStore) -> None:
    calls = (
        lambda: store.get("nothing"),
        lambda: store.move("nothing", JobState.CANCELLED),
        lambda: store.log("nothing", "A sentence."),
        lambda: store.job_log("nothing"),
        lambda: store.reorder("nothing", priority=1),
    )
    for call in calls:
        with pytest.raises(RequestError) as caught:
            call()
        assert caught.value.code == "job.not_found"


def test_jobs_survive_reopening(store: JobStore) -> None:
    job, _ = store.submit(SPEC, priority=3, submitted_by="cli")
    store.close()
    again = JobStore(store.path)
    assert again.get(job.job_id) == job
    again.close()


def test_higher_priority_runs_first_then_the_order_of_arrival(store: JobStore) -> None:
    wanted = {
        priority: [store.submit(SPEC, priority=priority)[0].job_id for _ in range(2)] for priority in (0, 5)
    }
    claims = [store.claim("engine") for _ in range(4)]
    assert [claim.job_id for claim in claims if claim] == wanted[5] + wanted[0]


def test_each_role_gets_its_own_kind_of_job(store: JobStore) -> None:
    redub, _ = store.submit(SPEC)
    faces, _ = store.submit(FacesSpec(source="a.mov", in_=0, out=10))
    probe, _ = store.submit(ProbeSpec(redub=SPEC))
    check, _ = store.submit(CheckSpec(take="/takes/a.mov"))
    claims = [store.claim("inspect") for _ in range(3)]
    assert [claim.job_id for claim in claims if claim] == [faces.job_id, probe.job_id, check.job_id]
    claim = store.claim("engine")
    assert claim is not None
    assert claim.job_id == redub.job_id
    assert store.claim("inspect") is None
    assert store.claim("engine") is None


def test_held_and_paused_jobs_are_not_claimed(store: JobStore) -> None:
    store.submit(SPEC, hold=True)
    job_in(store, JobState.PAUSED)
    assert not store.waits("engine")
    assert store.claim("engine") is None


def test_reorder_puts_a_job_before_another(store: JobStore) -> None:
    jobs = [store.submit(SPEC)[0].job_id for _ in range(4)]
    store.reorder(jobs[3], before=jobs[1])
    assert waiting(store) == [jobs[0], jobs[3], jobs[1], jobs[2]]
    store.reorder(jobs[2], before=jobs[0])
    assert waiting(store) == [jobs[2], jobs[0], jobs[3], jobs[1]]


def test_reorder_takes_over_the_priority_of_the_job_it_goes_before(store: JobStore) -> None:
    urgent, _ = store.submit(SPEC, priority=9)
    job, _ = store.submit(SPEC)
    assert store.reorder(job.job_id, before=urgent.job_id).priority == 9
    assert waiting(store) == [job.job_id, urgent.job_id]


def test_reorder_never_runs_out_of_room(store: JobStore) -> None:
    first, left, right = (store.submit(SPEC)[0].job_id for _ in range(3))
    for _ in range(100):  # each swap halves the gap: without renumbering, floats give out after some fifty
        store.reorder(left, before=right)
        store.reorder(right, before=left)
        assert waiting(store) == [first, right, left]
    following, _ = store.submit(SPEC)
    assert waiting(store)[-1] == following.job_id


def test_only_waiting_jobs_are_reordered(store: JobStore) -> None:
    job_id = job_in(store, JobState.DONE)
    with pytest.raises(RequestError) as caught:
        store.reorder(job_id, priority=1)
    assert caught.value.code == "job.wrong_state"


def test_worker_that_lost_its_job_is_fenced_off(store: JobStore) -> None:
    store.submit(SPEC)
    old = store.claim("engine")
    assert old is not None
    store.lose(old.job_id, old.attempt, "It hung.")
    new = store.claim("engine")
    assert new is not None
    assert new.attempt == old.attempt + 1
    for call in (
        lambda: store.move(old.job_id, JobState.DONE, attempt=old.attempt, takes=[take(old.job_id)]),
        lambda: store.heartbeat(old.job_id, old.attempt),
        lambda: store.lose(old.job_id, old.attempt, "It hung."),
    ):
        with pytest.raises(StaleAttemptError):
            call()
    assert store.takes() == []
    assert store.move(new.job_id, JobState.DONE, attempt=new.attempt).state == JobState.DONE


def test_job_fails_after_it_lost_three_workers(store: JobStore) -> None:
    job, _ = store.submit(SPEC)
    states = []
    for _ in range(CRASH_LIMIT):
        claim = store.claim("engine")
        assert claim is not None
        states.append(store.lose(claim.job_id, claim.attempt, "The worker died.").state)
    assert states == [JobState.QUEUED] * (CRASH_LIMIT - 1) + [JobState.FAILED]
    error = store.get(job.job_id).error
    assert error is not None
    assert error.code == "worker.died"


def test_retry_gives_a_job_all_its_attempts_again(store: JobStore) -> None:
    job, _ = store.submit(SPEC)
    for _ in range(CRASH_LIMIT):
        claim = store.claim("engine")
        assert claim is not None
        store.lose(claim.job_id, claim.attempt, "The worker died.")
    assert store.move(job.job_id, JobState.QUEUED).error is None
    claim = store.claim("engine")
    assert claim is not None
    assert store.lose(claim.job_id, claim.attempt, "The worker died.").state == JobState.QUEUED


def test_jobs_that_ran_when_the_daemon_died_are_queued_again_in_their_place(store: JobStore) -> None:
    first, second = (store.submit(SPEC)[0].job_id for _ in range(2))
    store.claim("engine")
    store.report(first, Progress(stage="track", done=5, total=10, fraction=0.1))
    seq = store.snapshot(first)[1]
    store.close()
    again = JobStore(store.path)
    assert again.recover() == [first]
    assert waiting(again) == [first, second]
    assert again.snapshot(first)[1] > seq
    assert "goes on" in again.job_log(first)[0].sentence
    again.close()


def test_sweep_takes_only_expired_jobs_that_nobody_holds(
    store: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    expired, held, fresh = (store.submit(SPEC)[0].job_id for _ in range(3))
    monkeypatch.setattr("daemon.queue.store.LEASE_S", -1.0)
    store.claim("engine")
    store.claim("engine")
    monkeypatch.setattr("daemon.queue.store.LEASE_S", 30.0)
    store.claim("engine")
    assert store.sweep({held}) == [expired]
    assert store.get(fresh).state == JobState.RUNNING


def test_heartbeat_keeps_the_progress_on_disk(store: JobStore) -> None:
    job, _ = store.submit(SPEC)
    claim = store.claim("engine")
    assert claim is not None
    progress = Progress(stage="engine", done=50, total=125, fraction=0.5, eta_s=4.0)
    store.report(job.job_id, progress)
    assert store.get(job.job_id).progress == progress
    store.heartbeat(job.job_id, claim.attempt)
    store.close()
    again = JobStore(store.path)
    assert again.get(job.job_id).progress == progress
    again.close()


def test_every_change_is_an_event_with_the_next_number(tmp_path: Path) -> None:
    heard: list[tuple[Event, int]] = []
    store = JobStore(tmp_path / "queue.sqlite", lambda event, seq: heard.append((event, seq)))
    job, _ = store.submit(SPEC)
    claim = store.claim("engine")
    assert claim is not None
    store.log(job.job_id, "The face was found.")
    store.report(job.job_id, Progress(stage="track", done=1, total=2, fraction=0.1))
    store.move(job.job_id, JobState.DONE, attempt=claim.attempt, takes=[take(job.job_id)])
    store.set_verdict(f"{job.job_id}-1", "accepted")
    kinds = [type(event) for event, _ in heard]
    assert kinds == [JobChanged, JobChanged, JobLogged, JobProgressed, TakeAdded, JobChanged, TakeChanged]
    assert [seq for _, seq in heard] == list(range(1, 8))
    assert store.snapshot(job.job_id)[1] == 7
    store.close()


def test_undone_change_is_never_heard_of(tmp_path: Path) -> None:
    heard: list[Event] = []
    store = JobStore(tmp_path / "queue.sqlite", lambda event, seq: heard.append(event))
    job, _ = store.submit(SPEC)
    store.claim("engine")
    heard.clear()
    nameless = msgspec.structs.replace(take(job.job_id), take_id="without-number")
    with pytest.raises(ValueError, match="invalid literal"):
        store.move(job.job_id, JobState.DONE, takes=[take(job.job_id), nameless])
    assert heard == []
    assert store.get(job.job_id).state == JobState.RUNNING
    assert store.takes() == []
    store.close()


def test_take_recorded_twice_keeps_its_verdict(store: JobStore) -> None:
    job_id = job_in(store, JobState.RUNNING)
    store.move(job_id, JobState.FAILED, takes=[take(job_id)], error=ERROR)
    store.set_verdict(f"{job_id}-1", "rejected")
    store.move(job_id, JobState.QUEUED)
    store.claim("engine")
    store.move(job_id, JobState.DONE, takes=[take(job_id), take(job_id, 2)])
    assert [(found.take_id[-1], found.verdict) for found in store.takes(job_id)] == [
        ("1", "rejected"),
        ("2", "none"),
    ]
    assert store.get(job_id).takes == store.takes(job_id)


def test_unknown_take_has_no_verdict(store: JobStore) -> None:
    with pytest.raises(RequestError) as caught:
        store.set_verdict("x-1", "accepted")
    assert caught.value.code == "take.not_found"


def test_list_shows_running_then_waiting_then_ended_jobs(store: JobStore) -> None:
    ended = [job_in(store, state) for state in (JobState.DONE, JobState.CANCELLED)]
    late, _ = store.submit(SPEC, priority=-1)
    soon, _ = store.submit(SPEC, priority=1)
    running = job_in(store, JobState.RUNNING)
    listed = [job.job_id for job in store.list()]
    assert listed == [running, soon.job_id, late.job_id, *reversed(ended)]
    assert [job.job_id for job in store.list(limit=2, offset=1)] == listed[1:3]
    assert store.counts() == dict.fromkeys(map(str, JobState), 0) | {
        "queued": 2,
        "running": 1,
        "done": 1,
        "cancelled": 1,
    }


def claim_all(path: Path) -> list[str]:
    store = JobStore(path)
    claimed = []
    while claim := store.claim("engine"):
        claimed.append(claim.job_id)
    store.close()
    return claimed


def test_threads_never_claim_a_job_twice(store: JobStore) -> None:
    jobs = [store.submit(SPEC)[0].job_id for _ in range(60)]
    claimed: list[str] = []
    threads = [threading.Thread(target=lambda: claimed.extend(claim_all(store.path))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(claimed) == Counter(jobs)


def test_processes_never_claim_a_job_twice(store: JobStore) -> None:
    jobs = [store.submit(SPEC)[0].job_id for _ in range(60)]
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        claimed = list(itertools.chain(*pool.map(claim_all, [store.path] * 2)))
    assert Counter(claimed) == Counter(jobs)


def test_event_numbers_leap_over_what_only_memory_knew(store: JobStore) -> None:
    job_id = job_in(store, JobState.RUNNING)
    before = store.snapshot(job_id)[1]
    store.recover()
    assert store.snapshot(job_id)[1] > before + journal.SEQ_LEAP
