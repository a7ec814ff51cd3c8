"""One worker process as the server sees it: its pipes, what it is at, and how to end it.

Everything here belongs to the event loop's thread, except two threads that do nothing but read from and write
to the pipes: a worker that hangs can never make the server wait.
"""

import asyncio
import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal, get_args

import msgspec
import psutil

import daemon
from daemon.protocol.daemon_messages import WorkerInfo
from daemon.queue.eta import JobEta
from daemon.queue.rows import uses_gpu
from daemon.queue.store import Claim
from daemon.worker.messages import REPORTS, Order, Report, Run, Stop, read_message, write_message

LOG_LIMIT = 5 * 2**20  # bytes; a larger log becomes `.old` when the next worker starts

StopKind = Literal["yield", "hold", "pause", "cancel"]
STOP_KINDS: tuple[StopKind, ...] = get_args(StopKind)
"""Why a job is to stop; a later one outweighs an earlier one."""

ONE_BLAS_THREAD = {"OPENBLAS_NUM_THREADS": "1"}
"""Our matrices are small: its threads only wait for each other (on a busy machine an engine stage took 23 s
instead of 3), and their number would change last bits of results."""

FEW_HEAPS = {"MALLOC_ARENA_MAX": "2"}
"""Of glibc: with a heap for each thread a worker keeps more of what its threads have freed."""


class Child:
    """A worker process of ours.

    `on_report(child, report)` and `on_exit(child, exit status)` are called on the loop.
    """

    def __init__(
        self,
        role: str,
        *,
        log: Path,
        loop: asyncio.AbstractEventLoop,
        on_report: "Callable[[Child, Report], None]",
        on_exit: "Callable[[Child, int], None]",
    ) -> None:
        self.role = role
        self.state = "starting"  # then "idle" or "busy", at last "ending" or "ended"
        self.claim: Claim | None = None
        self.eta: JobEta | None = None
        self.stopping: StopKind | None = None
        self.end_reason = ""  # why we killed it
        self.is_greedy = False  # it was ended because its job took too much memory
        self.is_hung = False  # it was ended because its job made no step
        self.has_used_gpu = False
        self.heard_at = self.renewed_at = self.stepped_at = time.monotonic()
        self.steps = 0
        self._loop = loop
        self._on_report = on_report
        self._on_exit = on_exit
        self._outbox: queue.SimpleQueue[Order | None] = queue.SimpleQueue()
        # Popen belongs on the loop's thread: Linux ends the child when its parent's *thread* ends.
        self._process = _spawn(log)
        self.pid = self._process.pid
        for work in (self._read, self._write):
            threading.Thread(target=work, name=f"{role} {self.pid}", daemon=True).start()

    def run(self, claim: Claim, work: Path, eta: JobEta) -> None:
        """Give the worker a job."""
        self.state, self.claim, self.eta, self.stopping = "busy", claim, eta, None
        self.heard_at = self.renewed_at = self.stepped_at = time.monotonic()
        self.steps = 0
        self.has_used_gpu |= uses_gpu(claim.spec)
        self._outbox.put(Run(claim.job_id, claim.attempt, claim.spec, str(work)))

    def ask_to_stop(self, kind: StopKind) -> None:
        """Ask the worker to end its job; a cancel is never weakened to a pause."""
        assert self.claim is not None
        if self.stopping is None or STOP_KINDS.index(kind) > STOP_KINDS.index(self.stopping):
            self.stopping = kind
        self._outbox.put(Stop(self.claim.job_id, self.claim.attempt))

    def rest(self) -> None:
        """Note that the worker has ended its job."""
        self.state, self.claim, self.eta, self.stopping = "idle", None, None, None
        self.heard_at = time.monotonic()

    def close(self) -> None:
        """Let the worker end by itself: its orders end. It gets no job any more."""
        self.state = "ending"
        self._outbox.put(None)

    def kill(self, reason: str) -> None:
        """End the process at once. Nothing on disk suffers: every file is written beside its place first."""
        self.end_reason = self.end_reason or reason
        with contextlib.suppress(OSError):
            self._process.kill()

    def wait(self, timeout_s: float) -> None:
        """Wait for a killed process to be gone."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout_s)

    def info(self) -> WorkerInfo:
        """Return the worker as clients see it."""
        rss = None
        if self.state != "ended":
            with contextlib.suppress(psutil.Error):
                rss = psutil.Process(self.pid).memory_info().rss
        job_id = self.claim.job_id if self.claim else None
        return WorkerInfo(pid=self.pid, role=self.role, state=self.state, job_id=job_id, rss=rss)

    def memory(self) -> int:
        """Return the bytes that are the worker's alone; files it mapped, such as weights, do not count."""
        with contextlib.suppress(psutil.Error):
            found = psutil.Process(self.pid).memory_info()
            return found.rss - getattr(found, "shared", 0)
        return 0

    def epitaph(self, status: int) -> str:
        """Say in a sentence or two how the worker ended."""
        if self.end_reason:
            return f"The worker process was ended. {self.end_reason}"
        if status < 0:
            name = signal.Signals(-status).name
            memory = ", perhaps because the memory ran out" if name == "SIGKILL" else ""
            return f"The worker process was killed by {name}{memory}."
        return f"The worker process ended by itself (status {status})."

    def _write(self) -> None:
        pipe = self._process.stdin
        assert pipe is not None
        with contextlib.suppress(OSError):  # the worker is gone; the reader notices
            while (order := self._outbox.get()) is not None:
                write_message(pipe, order)
        with contextlib.suppress(OSError):
            pipe.close()

    def _read(self) -> None:
        pipe = self._process.stdout
        assert pipe is not None
        try:
            while (data := read_message(pipe)) is not None:
                self._post(self._on_report, self, REPORTS.decode(data))
        except (ValueError, msgspec.MsgspecError):  # not our worker's words: something wrote into its pipe
            self.kill("It sent something that cannot be read.")
        with pipe:
            status = self._process.wait()
        self._outbox.put(None)
        self._post(self._on_exit, self, status)

    def _post(self, call: Callable[..., None], *arguments: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: the server is ending
            self._loop.call_soon_threadsafe(call, *arguments)


def _spawn(log: Path) -> "subprocess.Popen[bytes]":
    """Start `python -m daemon.worker`. Raises OSError."""
    log.parent.mkdir(exist_ok=True)  # no parents: a home that was deleted stays deleted
    if log.exists() and log.stat().st_size > LOG_LIMIT:
        log.replace(log.with_suffix(".old"))
    root = str(Path(daemon.__file__).parents[1])
    search = os.pathsep.join(part for part in (root, os.environ.get("PYTHONPATH")) if part)
    detached = 0
    if sys.platform == "win32":
        detached = subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP
    with log.open("ab") as errors:
        return subprocess.Popen(
            [
                sys.executable,
                "-P",
                "-m",
                "daemon.worker",
            ],  # -P: a file in the user's folder is no module of ours
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=os.environ | {"PYTHONPATH": search} | ONE_BLAS_THREAD | FEW_HEAPS,
            start_new_session=True,  # Ctrl-C is for the server alone; Windows has `detached` for that
            creationflags=detached,
        )


def log_tail(path: Path, size_bytes: int = 4000) -> str:
    """Return the end of a log; nothing when there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - size_bytes))
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""
