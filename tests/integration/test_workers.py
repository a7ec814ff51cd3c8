"""The real supervisor with real worker processes, whose jobs are scripted (tests/fakes/runner.py)."""

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil
import pytest

from daemon.protocol.events import JobProgressed, TakeAdded, WorkerChanged
from daemon.protocol.jobs import FacesSpec, JobState, RedubSpec
from daemon.worker import starts, watch
from daemon.worker import supervisor as supervisor_module
from tests.fakes import daemon as fake_daemon
from tests.fakes import runner
from tests.fakes.daemon import FakeDaemon, running

CHECKOUT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the scripts use POSIX signals")


@pytest.fixture(autouse=True)
def scripted_runner(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUBWRIGHT_RUNNER", fake_daemon.RUNNER)


def script(name: str, dest: Path, seed: int = 0) -> RedubSpec:
    return RedubSpec(source="a.mov", voice=name, in_=0, out=30, seed=seed, dest=str(dest))


def play(scene: Callable[[FakeDaemon], Awaitable[None]], prewarm_s: float | None = None) -> None:
    async def act() -> None:
        async with running(prewarm_s) as daemon:
            await scene(daemon)

    asyncio.run(act())


def undisturbed(seed: int, tmp_path: Path) -> bytes:
    """Return the take's bytes as one uninterrupted run makes them, in this process."""
    from daemon.redub.progress import SilentReporter

    folder = tmp_path / "undisturbed"
    folder.mkdir()
    done = runner.paint(script("paint", folder, seed), folder / "work", "x", SilentReporter())
    return Path(done.takes[0].path).read_bytes()


def test_job_runs_to_its_take(tmp_path: Path) -> None:
    async def scene(daemon: FakeDaemon) -> None:
        job, _ = daemon.store.submit(script("paint", tmp_path))
        daemon.supervisor.poke()
        await daemon.until_state(job.job_id, JobState.DONE)
        assert daemon.states(job.job_id) == [JobState.QUEUED, JobState.RUNNING, JobState.DONE]
        assert [take.take_id for take in daemon.store.takes(job.job_id)] == [f"{job.job_id}-1"]
        assert [entry.sentence for entry in daemon.store.job_log(job.job_id)] == ["The take is painted."]
        seqs = [seq for event, seq in daemon.events if getattr(event, "job_id", "") == job.job_id]
        assert seqs == sorted(set(seqs))
        assert set(daemon.store.timings("rewrite")) == {"engine", "deliver"}

    play(scene)
    assert next(tmp_path.glob("*.take")).read_bytes() == undisturbed(0, tmp_path)


def test_the_end_of_a_job_is_kept_once_the_queue_can_be_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As on a disk that is full of the job's own chunks."""
    monkeypatch.setattr(supervisor_module, "KEEP_AGAIN_S", 0.05)

    async def scene(daemon: FakeDaemon) -> None:
        job, _ = daemon.store.submit(script("full_when_told", tmp_path))
        work = daemon.paths.work / job.job_id
        daemon.supervisor.poke()
        await daemon.until_progress(job.job_id)
        daemon.store._db.execute("PRAGMA query_only = ON")
        (work / "go").touch()
        while "cannot be kept" not in caplog.text:  # the log is the event
            await asyncio.sleep(0.01)
        daemon.store._db.execute("PRAGMA query_only = OFF")
        await daemon.until_state(job.job_id, JobState.FAILED)
        error = daemon.store.get(job.job_id).error
        assert error is not None
        assert error.code == "disk.full"

    play(scene)


def test_a_take_counts_as_soon_as_it_is_on_disk_and_once(tmp_path: Path) -> None:
    async def scene(daemon: FakeDaemon) -> None:
        job, _ = daemon.store.submit(script("first_only", tmp_path))
        daemon.supervisor.poke()
        await daemon.until_state(job.job_id, JobState.FAILED)
        daemon.store.move(job.job_id, JobState.QUEUED)
        daemon.supervisor.poke()
        await daemon.until_state(job.job_id, JobState.FAILED)
        assert [take.take_id for take in daemon.store.takes(job.job_id)] == [f"{job.job_id}-1"]
        told = [event for event, _ in daemon.events if isinstance(event, TakeAdded)]
        assert [event.take.take_id for event in told] == [f"{job.job_id}-1"]

    play(scene)


def test_worker_stays_warm_for_the_next_job(tmp_path: Path) -> None:
    async def scene(daemon: FakeDaemon) -> None:
        pids = []
        for seed in range(2):
            job, _ = daemon.store.submit(script("paint", tmp_path, seed))
            daemon.supervisor.poke()
            await daemon.until_state(job.job_id, JobState.DONE)
            pids.append(daemon.pid())
        assert pids[0] == pids[1]

    play(scene)


def test_prewarmed_worker_is_ready_before_any_job() -> None:
    async def scene(daemon: FakeDaemon) -> None:
        await daemon.until(lambda: [worker.state for worker in daemon.supervisor.workers()] == ["idle"])

    play(scene, prewarm_s=0.0)


def test_faces_job_does_not_wait_behind_a_redub(tmp_path: Path) -> None:
    async def scene(daemon: FakeDaemon) -> None:
        redub, _ = daemon.store.submit(script("loop", tmp_path))
        faces, _ = daemon.store.submit(FacesSpec(source="a.mov", in_=0, out=10))
        daemon.supervisor.poke()
        await daemon.until_progress(redub.job_id)
        await daemon.until_state(faces.job_id, JobState.DONE)
        assert daemon.store.get(faces.job_id).result == {"faces": []}
        assert daemon.store.get(redub.job_id).state == JobState.RUNNING

    play(scene)


@pytest.mark.parametrize("name", ["loop", "deaf"])
def test_cancel_stops_a_running_job_within_a_second(tmp_path: Path, name: str) -> None:
    async def scene(daemon: FakeDaemon) -> None:
        job, _ = daemon.store.submit(script(name, tmp_path))
        daemon.supervisor.poke()
        while not (daemon.paths.work / job.job_id / "begun").exists():  # the file is the event
            await asyncio.sleep(0.001)
        asked = time.monotonic()
        daemon.supervisor.cancel(job.job_id)
        await daemon.until_state(job.job_id, JobState.CANCELLED)
        assert time.monotonic() - asked < 1.0
        assert not (daemon.paths.work / job.job_id).exists()
        following, _ = daemon.store.submit(script("paint", tmp_path))
        daemon.supervisor.poke()
        await daemon.until_state(following.job_id, JobState.DONE)

    play(scene)


def test_paused_job_goes_on_from_its_last_chunk(tmp_path: Path) -> None:
    made = tmp_path / "made.txt"

    async def scene(daemon: FakeDaemon) -> None:
        job, _ = daemon.store.submit(script("paint", tmp_path))
        daemon.supervisor.poke()
        await daemon.until_state(job.job_id, JobState.RUNNING)
        while not made.exists():  # the file is the event: the first chunk is on disk
            await asyncio.sleep(0.001)
        daemon.supervisor.pause(job.job_id)
        await daemon.until_state(job.job_id, JobState.PAUSED)
        assert made.read_text().count("\n") < runner.CHUNKS
        assert list((daemon.paths.work / job.job_id).rglob("*.chunk"))
        daemon.store.move(job.job_id, JobState.QUEUED, only_from={JobState.PAUSED})
        daemon.supervisor.poke()
        await daemon.until_state(job.job_id, JobState.DONE)

    play(scene)
    assert made.read_text().split() == [str(index) for index in range(runner.CHUNKS)]
    assert next(tmp_path.glob("*.take")).read_bytes() == undisturbed(0, tmp_path)


@pytest.mark.parametrize("seed", range(3))
def test_killed_workers_leave_the_same_bytes(tmp_path: Path, seed: int) -> None:
    moments = random.Random(seed)

    async def scene(daemon: FakeDaemon) -> None:
        job, _ = daemon.store.submit(script("paint", tmp_path, seed))
        daemon.supervisor.poke()
        for attempt in (1, 2):
            await daemon.until(
                lambda attempt=attempt: (
                    daemon.store.get(job.job_id).attempts == attempt
                    and daemon.store.get(job.job_id).state == JobState.RUNNING
                )
            )
            await asyncio.sleep(moments.uniform(0.0, 0.05))  # a random moment of the job
            if daemon.store.get(job.job_id).state == JobState.RUNNING:
                os.kill(daemon.pid(), signal.SIGKILL)
        await daemon.until_state(job.job_id, JobState.DONE)
        assert len(daemon.store.takes(job.job_id)) == 1

    play(scene)
    assert next(tmp_path.glob("*.take")).read_bytes() == undisturbed(seed, tmp_path)
    made = (tmp_path / "made.txt").read_text().split()
    assert len(made) <= runner.CHUNKS + 2  # a kill costs the chunk in flight, no more


def test_job_that_kills_its_workers_fails_after_three(tmp_path: Path) -> None:
    async def scene(daemon: FakeDaemon) -> None:
        job, _ = daemon.store.submit(script("die", tmp_path))
        following, _ = daemon.store.submit(script("paint", tmp_path))
        daemon.supervisor.poke()
        await daemon.until_state(following.job_id, JobState.DONE)
        failed = daemon.store.get(job.job_id)
        assert (failed.state, failed.attempts) == (JobState.FAILED, 3)
        assert failed.error is not None
        assert failed.error.code == "worker.died"
        assert "SIGKILL" in failed.error.message

    play(scene)


def test_silent_worker_is_killed_and_its_job_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "SILENCE_S", 1.5)
    monkeypatch.setattr(supervisor_module, "TICK_S", 0.2)

    async def scene(daemon: FakeDaemon) -> None:
        job, _ = daemon.store.submit(script("frozen", tmp_path))
        daemon.supervisor.poke()
        await daemon.until_state(job.job_id, JobState.DONE)
        assert daemon.store.get(job.job_id).attempts == 2
        assert "did not answer" in daemon.store.job_log(job.job_id)[0].sentence

    play(scene)


def test_progress_comes_at_least_once_a_second_while_a_call_hangs(tmp_path: Path) -> None:
    async def scene(daemon: FakeDaemon) -> None:
        job, _ = daemon.store.submit(script("deaf", tmp_path))
        daemon.supervisor.poke()
        await daemon.until_progress(job.job_id)
        begun = time.monotonic()

        def heard() -> int:
            return sum(isinstance(event, JobProgressed) for event, _ in daemon.events)

        await daemon.until(lambda: heard() >= 4)
        assert time.monotonic() - begun < 3.0
        progress = daemon.store.get(job.job_id).progress
        assert progress is not None
        assert (progress.stage, progress.total) == ("track", 10)
        assert progress.eta_s is not None

    play(scene)


@pytest.mark.parametrize(
    ("name", "code"), [("missing", "source.missing"), ("full", "disk.full"), ("slip", "internal")]
)
def test_what_a_job_raises_becomes_one_clear_error(tmp_path: Path, name: str, code: str) -> None:
    async def scene(daemon: FakeDaemon) -> None:
        job, _ = daemon.store.submit(script(name, tmp_path))
        daemon.supervisor.poke()
        await daemon.until_state(job.job_id, JobState.FAILED)
        error = daemon.store.get(job.job_id).error
        assert error is not None
        assert error.code == code
        assert error.hint
        assert "Traceback" in error.detail

    play(scene)


def test_what_libraries_print_does_not_reach_the_messages(tmp_path: Path) -> None:
    async def scene(daemon: FakeDaemon) -> None:
        job, _ = daemon.store.submit(script("chatter", tmp_path))
        daemon.supervisor.poke()
        await daemon.until_state(job.job_id, JobState.DONE)
        assert daemon.store.get(job.job_id).result == {"chatter": True}
        assert "a library's greeting" in (daemon.paths.logs / "worker-engine.log").read_text(errors="replace")

    play(scene)


def test_worker_that_cannot_start_fails_the_job_and_shows_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DUBWRIGHT_RUNNER", "tests.fakes.nothing_here:run_job")
    monkeypatch.setattr(starts, "BACKOFF_S", (0.0,))

    async def scene(daemon: FakeDaemon) -> None:
        job, _ = daemon.store.submit(script("paint", tmp_path))
        daemon.supervisor.poke()
        await daemon.until_state(job.job_id, JobState.FAILED)
        error = daemon.store.get(job.job_id).error
        assert error is not None
        assert error.code == "worker.died"
        assert "nothing_here" in error.detail

    play(scene)


def test_job_whose_work_folder_cannot_be_made_fails_and_the_next_one_runs(tmp_path: Path) -> None:
    async def scene(daemon: FakeDaemon) -> None:
        bad, _ = daemon.store.submit(script("paint", tmp_path))
        good, _ = daemon.store.submit(script("paint", tmp_path))
        daemon.paths.work.mkdir(parents=True, exist_ok=True)
        (daemon.paths.work / bad.job_id).write_text("a file where the folder should be")
        daemon.supervisor.poke()
        await daemon.until_state(good.job_id, JobState.DONE, JobState.FAILED)

        failed = daemon.store.get(bad.job_id)
        assert failed.state is JobState.FAILED
        assert failed.error is not None
        assert daemon.states(bad.job_id).count(JobState.RUNNING) == 1
        assert daemon.store.get(good.job_id).state is JobState.DONE

    play(scene)


def test_idle_inspect_worker_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "IDLE_S", 0.3)
    monkeypatch.setattr(supervisor_module, "TICK_S", 0.1)

    async def scene(daemon: FakeDaemon) -> None:
        job, _ = daemon.store.submit(FacesSpec(source="a.mov", in_=0, out=10))
        daemon.supervisor.poke()
        await daemon.until_state(job.job_id, JobState.DONE)
        await daemon.until(
            lambda: any(
                isinstance(event, WorkerChanged) and event.worker.state == "ended"
                for event, _ in daemon.events
            )
        )
        assert daemon.supervisor.workers() == []

    play(scene)


def test_stopped_daemon_leaves_its_job_on_the_queue(tmp_path: Path) -> None:
    kept: list[str] = []

    async def begin(daemon: FakeDaemon) -> None:
        job, _ = daemon.store.submit(script("loop", tmp_path))
        kept.append(job.job_id)
        daemon.supervisor.poke()
        await daemon.until_progress(job.job_id)

    async def look(daemon: FakeDaemon) -> None:
        assert daemon.store.get(kept[0]).state in (JobState.QUEUED, JobState.RUNNING)
        assert daemon.store.snapshot(kept[0])[1] > 0

    play(begin)
    play(look)


@pytest.mark.parametrize("seed", range(2))
def test_killed_server_takes_its_worker_along_and_loses_nothing(tmp_path: Path, seed: int) -> None:
    moments = random.Random(seed)
    kept: list[str] = []

    async def submit(daemon: FakeDaemon) -> None:
        daemon.supervisor.stop()
        job, _ = daemon.store.submit(script("paint", tmp_path, seed))
        kept.append(job.job_id)

    async def finish(daemon: FakeDaemon) -> None:
        daemon.supervisor.poke()
        await daemon.until_state(kept[0], JobState.DONE)

    play(submit)
    for _ in range(4):
        kill_server_while_it_works(moments.uniform(0.0, 0.04))
    play(finish)
    assert next(tmp_path.glob("*.take")).read_bytes() == undisturbed(seed, tmp_path)
    made = (tmp_path / "made.txt").read_text().split()
    assert len(made) <= runner.CHUNKS + 4  # a kill costs the chunk in flight, no more


def kill_server_while_it_works(after_s: float) -> None:
    """Run the fake server, kill -9 it some time into its job, and see that its worker is gone too."""
    environment = os.environ | {"PYTHONPATH": str(CHECKOUT)}
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.fakes.daemon"], env=environment, stdout=subprocess.PIPE
    )
    assert server.stdout is not None
    with server, server.stdout as told:
        worker = psutil.Process(int(told.readline()))
        time.sleep(after_s)  # a random moment of the job
        server.kill()
    dead_by = time.monotonic() + 2.0
    while lives(worker):
        assert time.monotonic() < dead_by, worker
        time.sleep(0.002)


def lives(process: psutil.Process) -> bool:
    """Return whether a process still runs; one that nobody has buried yet does not."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_worker_that_takes_too_much_memory_is_ended_and_its_job_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor_module, "TICK_S", 0.1)
    monkeypatch.setattr(watch, "MEMORY_SHARE", 1e-6)

    async def scene(daemon: FakeDaemon) -> None:
        job, _ = daemon.store.submit(script("loop", tmp_path))
        daemon.supervisor.poke()
        await daemon.until_state(job.job_id, JobState.FAILED)
        failed = daemon.store.get(job.job_id)
        assert failed.error is not None
        assert (failed.error.code, failed.attempts) == ("memory.full", 1)

    play(scene)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_worker_can_gain_no_rights_and_leaves_no_core(tmp_path: Path) -> None:
    async def scene(daemon: FakeDaemon) -> None:
        job, _ = daemon.store.submit(script("loop", tmp_path))
        daemon.supervisor.poke()
        await daemon.until_progress(job.job_id)
        process = Path(f"/proc/{daemon.pid()}")
        assert "NoNewPrivs:\t1" in (process / "status").read_text()
        limits = (process / "limits").read_text()
        assert "Max core file size        0                    0" in limits
        assert "Max open files            1024                 1024" in limits

    play(scene)
