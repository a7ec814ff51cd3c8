"""The worker's own side: takes one job after another from its pipe, runs them, and says how it goes.

Three threads: the main one runs jobs; one reads orders, so that a stop is seen at once and the end of the
server ends us; one sends beats, so that the server sees us alive in the middle of a long call.
"""

import gc
import importlib
import os
import queue
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from daemon.protocol.events import PREVIEW_LIMIT
from daemon.protocol.jobs import Take
from daemon.redub.progress import WAITING, Cancelled, Preview
from daemon.worker.failure import error_info
from daemon.worker.messages import (
    ORDERS,
    Beat,
    Failed,
    Finished,
    Logged,
    Previewed,
    Ready,
    Report,
    Run,
    StageTiming,
    Stop,
    Stopped,
    TakeMade,
    read_message,
    write_message,
)

RUNNER = "daemon.redub.pipeline:run_job"
"""What runs a job: `run_job(spec, work=, job_id=, reporter=)`, whose answer has `.takes` and `.result`.

The variable DUBWRIGHT_RUNNER names another one; our own tests use that to script what a job does.
"""

BEAT_S = 0.5
PREVIEW_S = 1.0  # the least between two previews


class PipeReporter:
    """The Reporter of a job that runs here (daemon/redub/progress.py)."""

    def __init__(self, order: Run, send: Callable[[Report], None]) -> None:
        self.order = order
        self.timings: list[StageTiming] = []
        self._send = send
        self._stop = threading.Event()
        self._stage, self._done, self._total = "", 0, 0
        self._megapixels = 0.0
        self._previewed_at = -PREVIEW_S
        self._steps = 0
        self._since = time.monotonic()

    def picture(self, width: int, height: int) -> None:
        """Say how large the source's frames are."""
        self._megapixels = width * height / 1e6

    def stage(self, name: str, total: int) -> None:
        """Begin a stage of `total` frames."""
        self._end_stage()
        self._stage, self._done, self._total = name, 0, total
        self.beat()
        self._step()

    def frames(self, done: int) -> None:
        """Say how many frames of the stage are done, and raise Cancelled if the job should stop.

        A smaller number than before is a step within a frame, WAITING is none.
        """
        self._done = max(self._done, done)
        if done == WAITING:
            self._raise_if_stopped()
        else:
            self._step()

    def log(self, sentence: str) -> None:
        """Add a sentence for people to the job's log."""
        self._send(Logged(self.order.attempt, sentence))

    def preview(self, make: Callable[[], Preview]) -> None:
        """Send a preview, unless the last one was a moment ago, or this one is too large."""
        now = time.monotonic()
        if now - self._previewed_at < PREVIEW_S:
            return
        self._previewed_at = now
        preview = make()
        if len(preview.picture) <= PREVIEW_LIMIT:
            self._send(Previewed(self.order.attempt, **vars(preview)))

    def take(self, take: Take) -> None:
        """Say that a take is on disk."""
        self._send(TakeMade(self.order.attempt, take))

    def stop(self) -> None:
        """Ask the job to end; from any thread."""
        self._stop.set()

    def beat(self) -> None:
        """Tell the server where the job is; from any thread."""
        self._send(
            Beat(self.order.attempt, self._stage, self._done, self._total, self._megapixels, self._steps)
        )

    def finish(self) -> list[StageTiming]:
        """End the last stage and return what each one cost."""
        self._end_stage()
        self._stage = ""
        return self.timings

    def _step(self) -> None:
        self._steps += 1
        self._raise_if_stopped()

    def _raise_if_stopped(self) -> None:
        if self._stop.is_set():
            raise Cancelled

    def _end_stage(self) -> None:
        now = time.monotonic()
        if self._stage:
            self.timings.append(StageTiming(self._stage, self._total, now - self._since, self._megapixels))
        self._since = now


class WorkerProcess:
    """One worker: reads orders from one pipe, writes reports to the other."""

    def __init__(self, orders: BinaryIO, reports: BinaryIO) -> None:
        self._orders = orders
        self._reports = reports
        self._writing = threading.Lock()
        self._waiting: queue.SimpleQueue[PipeReporter] = queue.SimpleQueue()
        self._current: PipeReporter | None = None  # also while it still waits
        self._busy = threading.Event()

    def run(self) -> None:
        """Import what jobs need, then run jobs until the server closes the pipe. Does not return."""
        threading.Thread(target=self._read_orders, name="orders", daemon=True).start()
        runner = load_runner()
        threading.Thread(target=self._send_beats, name="beats", daemon=True).start()
        self._send(Ready(os.getpid()))
        while True:
            reporter = self._waiting.get()
            self._busy.set()
            report = self._run_job(runner, reporter)
            self._busy.clear()
            self._current = None
            self._send(report)
            gc.collect()

    def _run_job(self, runner: Callable[..., Any], reporter: PipeReporter) -> Report:
        order = reporter.order
        try:
            done = runner(order.spec, work=Path(order.work), job_id=order.job_id, reporter=reporter)
        except Cancelled:
            return Stopped(order.attempt)
        except Exception as error:  # noqa: BLE001  the rim: every failure becomes an ErrorInfo here
            return Failed(order.attempt, error_info(error))
        return Finished(order.attempt, list(done.takes), done.result, reporter.finish())

    def _read_orders(self) -> None:
        while (data := read_message(self._orders)) is not None:
            match ORDERS.decode(data):
                case Run() as order:
                    self._current = PipeReporter(order, self._send)
                    self._waiting.put(self._current)
                case Stop(job_id, attempt):
                    current = self._current
                    if current and (current.order.job_id, current.order.attempt) == (job_id, attempt):
                        current.stop()
        os._exit(0)  # the server is gone; what is on disk is whole at any moment

    def _send_beats(self) -> None:
        while self._busy.wait():
            current = self._current
            if current is not None:
                current.beat()
            time.sleep(BEAT_S)

    def _send(self, report: Report) -> None:
        try:
            with self._writing:
                write_message(self._reports, report)
        except OSError:
            os._exit(0)  # as above


def load_runner() -> Callable[..., Any]:
    """Import what runs jobs, and with it everything heavy."""
    module, _, name = os.environ.get("DUBWRIGHT_RUNNER", RUNNER).partition(":")
    return getattr(importlib.import_module(module), name)


def take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Take stdin and stdout for messages alone; what libraries print goes to stderr instead."""
    sys.stdout.flush()
    orders = os.fdopen(os.dup(0), "rb")
    reports = os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return orders, reports
