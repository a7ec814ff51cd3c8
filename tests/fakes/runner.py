"""A fake of `daemon.redub.pipeline.run_job`, for tests of the worker: the job's `voice` names a script.

It runs in the real worker process (DUBWRIGHT_RUNNER), with the real reporter and checkpoints.
"""

import errno
import hashlib
import os
import signal
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from daemon.protocol.errors import MediaError
from daemon.protocol.events import PREVIEW_LIMIT
from daemon.protocol.jobs import JobSpec, RedubSpec, Take
from daemon.redub.progress import Preview, Reporter
from daemon.worker.checkpoint import Checkpoints
from daemon.worker.process import PREVIEW_S

CHUNKS, FRAMES, SIDE = 6, 5, 16
FRAME_S = 0.004


@dataclass
class Done:
    """What a runner answers."""

    takes: list[Take] = field(default_factory=list)
    result: dict[str, Any] | None = None


def run_job(spec: JobSpec, *, work: Path, job_id: str, reporter: Reporter) -> Done:
    """Run the script that the job names."""
    if not isinstance(spec, RedubSpec):
        return Done(result={"faces": []})
    return SCRIPTS[Path(spec.voice).name](spec, work, job_id, reporter)


def paint(spec: RedubSpec, work: Path, job_id: str, reporter: Reporter) -> Done:
    """Make a take of chunks, each made from the one before it, and note every chunk made in `made.txt`."""
    assert spec.dest is not None
    folder = Path(spec.dest)
    folder.mkdir(parents=True, exist_ok=True)
    kept = Checkpoints(work / "take1", f"seed {spec.seed}")
    reporter.picture(1920, 1080)
    reporter.stage("engine", CHUNKS * FRAMES)
    last = np.zeros((FRAMES, SIDE, SIDE, 3), np.float32)
    chunks = []
    for index in range(CHUNKS):
        chunk = kept.load(index)
        if chunk is None:
            chunk = paint_chunk(spec.seed, index, last, reporter)
            kept.save(index, chunk)
            with (folder / "made.txt").open("a") as made:
                made.write(f"{index}\n")
        chunks.append(chunk)
        last = chunk
    reporter.stage("deliver", CHUNKS * FRAMES)
    path = folder / f"{spec.seed}.take"
    partial = path.with_suffix(".partial")
    partial.write_bytes(np.concatenate(chunks).tobytes())
    partial.replace(path)
    reporter.log("The take is painted.")
    return Done([take_at(path, job_id, spec.seed)])


def paint_chunk(seed: int, index: int, last: np.ndarray, reporter: Reporter) -> np.ndarray:
    """Return a chunk that depends on the seed and on the chunk before it."""
    before = int.from_bytes(hashlib.sha256(last.data).digest()[:4], "big")
    random = np.random.default_rng([seed, index, before])
    frames = []
    for frame in range(FRAMES):
        reporter.frames(index * FRAMES + frame)
        frames.append(random.random((SIDE, SIDE, 3), np.float32))
        time.sleep(FRAME_S)  # the work
    return np.stack(frames)


def loop(spec: RedubSpec, work: Path, job_id: str, reporter: Reporter) -> Done:
    """Never end, but look up at every frame."""
    reporter.stage("track", 1_000_000)
    (work / "begun").touch()
    for frame in range(1_000_000):
        reporter.frames(frame)
        time.sleep(FRAME_S)
    return Done()


def deaf(spec: RedubSpec, work: Path, job_id: str, reporter: Reporter) -> Done:
    """Hang in one call, like a decoder on a broken file."""
    reporter.stage("track", 10)
    (work / "begun").touch()
    threading.Event().wait()
    return Done()


def frozen(spec: RedubSpec, work: Path, job_id: str, reporter: Reporter) -> Done:
    """Stop every thread, the first time; later just finish."""
    reporter.stage("track", 10)
    seen = work / "seen"
    if not seen.exists():
        seen.touch()
        os.kill(os.getpid(), signal.SIGSTOP)
    return Done()


def show(spec: RedubSpec, work: Path, job_id: str, reporter: Reporter) -> Done:
    """Show many previews at once, and one that is too large."""
    reporter.stage("engine", 10)
    for size in (PREVIEW_LIMIT + 1, 100):
        time.sleep(PREVIEW_S)
        for step in range(1, 6):
            reporter.preview(lambda step=step, size=size: Preview(bytes(size), [3, 7], 1, 2, step, 5))
    return Done()


def die(spec: RedubSpec, work: Path, job_id: str, reporter: Reporter) -> Done:
    """Take the process down."""
    reporter.stage("track", 10)
    os.kill(os.getpid(), signal.SIGKILL)
    return Done()


def first_only(spec: RedubSpec, work: Path, job_id: str, reporter: Reporter) -> Done:
    """Make a first take, and fail at the second."""
    (take,) = paint(spec, work, job_id, reporter).takes
    reporter.take(take)
    raise MediaError("source.corrupt", "The clip is damaged.")


def chatter(spec: RedubSpec, work: Path, job_id: str, reporter: Reporter) -> Done:
    """Write to stdout, as libraries do, and read stdin."""
    print("a library's greeting", flush=True)
    os.write(1, b"\0\0\0\xffgarbage")
    assert os.read(0, 1) == b""
    return Done(result={"chatter": True})


def missing(spec: RedubSpec, work: Path, job_id: str, reporter: Reporter) -> Done:
    """Fail with one of our errors."""
    raise MediaError("source.missing", "There is no file a.mov.")


def full(spec: RedubSpec, work: Path, job_id: str, reporter: Reporter) -> Done:
    """Fail as a full disk does."""
    raise OSError(errno.ENOSPC, "No space left on device", "/takes/a.mov")


def full_when_told(spec: RedubSpec, work: Path, job_id: str, reporter: Reporter) -> Done:
    """Fail as a full disk does, once there is a file `go`."""
    reporter.stage("engine", 10)
    (work / "begun").touch()
    while not (work / "go").exists():
        reporter.frames(1)
        time.sleep(FRAME_S)
    return full(spec, work, job_id, reporter)


def slip(spec: RedubSpec, work: Path, job_id: str, reporter: Reporter) -> Done:
    """Fail with a fault of our own."""
    raise KeyError("mouth")


def take_at(path: Path, job_id: str, seed: int) -> Take:
    """Return the take that lies at `path`."""
    return Take(
        take_id=f"{job_id}-1",
        path=str(path),
        sidecar=f"{path}.json",
        frames=CHUNKS * FRAMES,
        rate=(25, 1),
        seed=seed,
        engine="rewrite",
        badge="pass",
        checks={},
    )


SCRIPTS = {
    script.__name__: script
    for script in (
        paint,
        loop,
        show,
        deaf,
        frozen,
        die,
        first_only,
        chatter,
        missing,
        full,
        full_when_told,
        slip,
    )
}
