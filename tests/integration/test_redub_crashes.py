"""Kills, full disks, pauses and cancels while the real pipeline works: nothing lost, the same bytes after."""

import contextlib
import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from daemon.client import Client
from daemon.media.voice_file import load_voice
from daemon.protocol.errors import MachineError
from daemon.protocol.events import JobChanged, JobProgressed
from daemon.protocol.jobs import FINAL_STATES, Job, JobState
from tests.clips import make_clip, make_voice
from tests.studio import Studio, open_studio

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")

FIRST, STOP = 20, 50
SPEC = {"in": FIRST, "out": STOP}
HOW = {"deliver": "baked", "codec": "ffv1", "matte": True, "handles": 2, "takes": 2}
STAGES = ("track", "learn", "engine", "deliver", "check")


@pytest.fixture(scope="module")
def studio(face_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    with open_studio(tmp_path_factory.mktemp("studio"), face_models) as opened:
        yield opened


@pytest.fixture(scope="module")
def shot(studio: Studio) -> Path:
    return make_clip(studio.folder / "shot.mov", count=64)


@pytest.fixture(scope="module")
def voice(studio: Studio) -> Path:
    return make_voice(studio.folder / "voice.wav")


@pytest.fixture(scope="module")
def undisturbed(studio: Studio, shot: Path, voice: Path) -> list[str]:
    """The digests of an undisturbed job's files."""
    return digests(studio.finish(studio.submit(shot, voice, FIRST, STOP, **HOW)))


def digests(job: Job) -> list[str]:
    """Return the sha256 of each file that a job delivered."""
    assert job.state is JobState.DONE, job.error
    files = [name for take in job.takes for name in (take.path, take.matte or "")]
    return [hashlib.sha256(Path(name).read_bytes()).hexdigest() for name in files]


def files_of(job: Job) -> list[str]:
    """Return the names of all that lies in the takes folder under this job's name, unfinished files too."""
    spec = job.spec
    folder = Path(getattr(spec, "dest", ""))
    return sorted(path.name for path in folder.iterdir() if job.job_id[-8:] in path.name)


def check_nothing_is_left_over(job: Job) -> None:
    """There are two takes, each a clip with its manifest, a matte and a sidecar, and nothing else."""
    assert [take.take_id for take in job.takes] == [f"{job.job_id}-1", f"{job.job_id}-2"]
    expected = [
        name
        for take in job.takes
        for name in (take.path, f"{take.path}.c2pa", take.matte or "", take.sidecar)
    ]
    assert files_of(job) == sorted(Path(name).name for name in expected)


def worker_pid(client: Client) -> int:
    return next(worker.pid for worker in client.status().workers if worker.role == "engine")


def kill(pid: int) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(pid).kill()


def disturb(client: Client, job: Job, place: random.Random, *, server: bool) -> set[str]:
    """Kill a process at random moments, at most once a stage; return the stages when the job has ended."""
    left = dict.fromkeys(STAGES)
    done: set[str] = set()
    for event in client.watch(job.job_id):
        if isinstance(event, JobChanged) and event.job.state in FINAL_STATES:
            break
        if not isinstance(event, JobProgressed) or event.progress.stage not in left:
            continue
        if len(done) == 2:  # a job whose worker dies three times is given up
            continue
        stage = event.progress.stage
        if place.random() < 0.4:
            continue
        del left[stage]
        done.add(stage)
        status = client.status()
        kill(status.server_pid if server else worker_pid(client))
    return done


@pytest.mark.parametrize("seed", range(2))
def test_a_killed_worker_leaves_the_same_bytes(
    seed: int, studio: Studio, shot: Path, voice: Path, undisturbed: list[str]
) -> None:
    job = studio.submit(shot, voice, FIRST, STOP, **HOW)
    killed_in = disturb(studio.client, job, random.Random(seed), server=False)
    job = studio.client.job(job.job_id)
    assert killed_in
    assert job.attempts == 1 + len(killed_in)
    assert digests(job) == undisturbed
    check_nothing_is_left_over(job)


@pytest.mark.parametrize("stage", STAGES)
def test_a_killed_server_leaves_the_same_bytes(
    stage: str, studio: Studio, shot: Path, voice: Path, undisturbed: list[str]
) -> None:
    job = studio.submit(shot, voice, FIRST, STOP, **HOW)
    assert isinstance(studio.wait_for(job, stage), JobProgressed)
    status = studio.client.status()
    worker = psutil.Process(worker_pid(studio.client))
    kill(status.server_pid)
    worker.wait(20)  # it does not go on without the server
    job = studio.finish(job)
    assert studio.client.status().server_pid != status.server_pid
    assert digests(job) == undisturbed
    check_nothing_is_left_over(job)


def test_paused_and_resumed_it_is_the_same(
    studio: Studio, shot: Path, voice: Path, undisturbed: list[str]
) -> None:
    job = studio.submit(shot, voice, FIRST, STOP, **HOW)
    for stage in ("track", "deliver"):
        assert isinstance(studio.wait_for(job, stage), JobProgressed)
        studio.client.pause(job.job_id)
        for event in studio.client.watch(job.job_id):
            if isinstance(event, JobChanged) and event.job.state is JobState.PAUSED:
                break
        assert studio.client.resume(job.job_id).state in (JobState.QUEUED, JobState.RUNNING)
    job = studio.finish(job)
    assert digests(job) == undisturbed
    check_nothing_is_left_over(job)


@pytest.mark.parametrize("stage", ["track", "engine", "deliver", "check"])
def test_cancelled_it_stops_within_a_second_and_leaves_nothing(
    stage: str, studio: Studio, shot: Path, voice: Path
) -> None:
    job = studio.submit(shot, voice, FIRST, STOP, **HOW)
    assert isinstance(studio.wait_for(job, stage), JobProgressed)
    asked = time.monotonic()
    studio.client.cancel(job.job_id)
    job = studio.finish(job)
    assert job.state is JobState.CANCELLED
    assert time.monotonic() - asked < 1.0 + 1.0 * is_busy()
    assert not (studio.client.paths.work / job.job_id).exists()
    wait_until_nothing_is_left(studio, job)


def test_cancelled_after_a_kill_nothing_unfinished_stays(studio: Studio, shot: Path, voice: Path) -> None:
    job = studio.submit(shot, voice, FIRST, STOP, **HOW)
    assert isinstance(studio.wait_for(job, "deliver"), JobProgressed)
    kill(worker_pid(studio.client))
    studio.client.cancel(job.job_id)
    job = studio.finish(job)
    assert job.state is JobState.CANCELLED
    wait_until_nothing_is_left(studio, job)


def wait_until_nothing_is_left(studio: Studio, job: Job) -> None:
    """Wait for the folder's deletion, which happens in the background, and all that was begun elsewhere."""
    deadline = time.monotonic() + 20
    while files_of(job):
        assert time.monotonic() < deadline, files_of(job)
        studio.client.status()


def is_busy() -> bool:
    """Tell whether others use this machine, so that a second may take longer."""
    return os.getloadavg()[0] > (os.cpu_count() or 1)


@contextlib.contextmanager
def small_disk(folder: Path, size_kib: int) -> Iterator[None]:
    """Mount a disk of `size_kib` at `folder`, where we may."""
    folder.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size_kib}k", "tmpfs", str(folder)]
    try:
        made = subprocess.run(mount, capture_output=True, check=False)
    except OSError as error:
        pytest.skip(f"a small disk cannot be mounted: {error}")
    if made.returncode:
        pytest.skip(f"a small disk cannot be mounted: {made.stderr.decode().strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=False)


def enlarge(folder: Path) -> None:
    """Free space on a small disk."""
    subprocess.run(["mount", "-o", "remount,size=1g", str(folder)], check=True)


def test_a_full_disk_under_the_takes_is_told_and_retry_goes_on(
    studio: Studio, shot: Path, voice: Path, undisturbed: list[str], tmp_path: Path
) -> None:
    dest = tmp_path / "disk"
    with small_disk(dest, 2500):
        job = studio.finish(studio.submit(shot, voice, FIRST, STOP, **HOW, dest=str(dest)))
        assert (job.state, job.error and job.error.code) == (JobState.FAILED, "disk.full")
        assert job.error is not None
        assert str(dest) in job.error.message
        assert [name for name in files_of(job) if "part" in name] == []
        chunks = list((studio.client.paths.work / job.job_id).rglob("take*/*"))
        written = {path: path.stat().st_mtime_ns for path in chunks}
        assert written
        enlarge(dest)
        job = studio.finish(studio.client.retry(job.job_id))
        assert digests(job) == undisturbed
        check_nothing_is_left_over(job)


@pytest.mark.parametrize("size_kib", [64, 2000, 4000])
def test_a_full_disk_under_the_home_is_told_and_retry_goes_on(
    size_kib: int, studio: Studio, shot: Path, voice: Path, undisturbed: list[str]
) -> None:
    job = studio.client.submit(
        {"source": str(shot), "voice": str(voice), "in": FIRST, "out": STOP, **HOW,
         "dest": str(studio.folder / "takes")}, hold=True,
    )  # fmt: skip
    work = studio.client.paths.work
    with small_disk(work, size_kib):
        studio.client.release(job.job_id)
        job = studio.finish(job)
        assert (job.state, job.error and job.error.code) == (JobState.FAILED, "disk.full")
        enlarge(work)
        assert digests(studio.finish(studio.client.retry(job.job_id))) == undisturbed


def test_a_full_disk_under_temporary_files_is_no_fault_of_the_voice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_voice(tmp_path / "long.wav", seconds=3.0)
    with small_disk(tmp_path / "disk", 64):
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "disk"))
        with pytest.raises(MachineError) as caught:
            load_voice(path)
    assert caught.value.code == "disk.full"


def test_a_full_disk_under_the_queue_refuses_new_jobs_and_loses_none(
    face_models: Path, shot: Path, voice: Path, tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    with small_disk(disk, 4096), open_studio(disk, face_models) as studio:
        first = studio.submit(shot, voice, FIRST, STOP)
        studio.client.cancel(first.job_id)
        ballast = fill(disk)
        with pytest.raises(MachineError) as caught:
            submit_many(studio, {**SPEC, "source": str(shot), "voice": str(voice)})
        assert caught.value.code == "disk.full"
        jobs = {job.job_id for job in studio.client.jobs()}
        assert first.job_id in jobs
        ballast.unlink()
        job = studio.client.submit({**SPEC, "source": str(shot), "voice": str(voice)}, hold=True)
        assert {job.job_id, *jobs} == {job.job_id for job in studio.client.jobs()}


def submit_many(studio: Studio, spec: dict[str, object]) -> None:
    """Put so many jobs on the queue that the room left in its own files is used up."""
    for _ in range(200):
        studio.client.submit(spec, hold=True)


def fill(disk: Path) -> Path:
    """Write a file until there is no room left; return it."""
    path = disk / "ballast"
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(b"x" * 4096) == 4096:
            pass
    return path


def test_sigterm_in_the_middle_keeps_the_job(
    studio: Studio, shot: Path, voice: Path, undisturbed: list[str]
) -> None:
    job = studio.submit(shot, voice, FIRST, STOP, **HOW)
    assert isinstance(studio.wait_for(job, "engine"), JobProgressed)
    server = psutil.Process(studio.client.status().server_pid)
    server.send_signal(signal.SIGTERM)
    server.wait(30)
    with Client.connect(name="test"):
        pass
    assert digests(studio.finish(job)) == undisturbed
