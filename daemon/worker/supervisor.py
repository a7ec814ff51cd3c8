"""Starts the workers, gives them jobs, watches them, and takes the jobs back from those that die.

Two roles: `engine` runs redubs, one at a time; `inspect` looks at shots (faces, probe) and never waits behind
a redub. Everything happens on the event loop's thread; nothing here waits for a process, except `stop`.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path

from daemon.paths import Paths, find_paths
from daemon.protocol.daemon_messages import WorkerInfo
from daemon.protocol.errors import ErrorInfo, InternalError, MachineError
from daemon.protocol.events import Event, WorkerChanged
from daemon.protocol.jobs import Job, JobState
from daemon.queue.eta import Sample, cost_name, eta_of, fit_costs
from daemon.queue.recovery import NEEDS_NO_FOLDER, delete_folder, doom_folder, doomed_folders
from daemon.queue.rows import uses_gpu
from daemon.queue.store import Claim, JobStore, StaleAttemptError
from daemon.worker.child import Child, StopKind, log_tail
from daemon.worker.failure import error_info
from daemon.worker.messages import (
    Beat,
    Failed,
    Finished,
    Logged,
    Previewed,
    Ready,
    Report,
    Stopped,
    TakeMade,
    preview_of,
)
from daemon.worker.starts import Starts
from daemon.worker.watch import look_after, memory_limit

log = logging.getLogger(__name__)

ENGINE, INSPECT = "engine", "inspect"
ROLES = (ENGINE, INSPECT)

STOP_GRACE_S = 0.6  # from asking a job to stop to killing its worker; the promise to people is 1 s
YIELD_GRACE_S = 5.0  # the same where nobody waits for it; the promise to other programs is 15 s in all
KEEP_AGAIN_S = 5.0  # until a job's end is written again, where the disk could not
RENEW_S = 5.0  # between two renewals of a lease
TICK_S = 1.0
SLEEP_GAP_S = 10.0  # a tick this late means that the whole machine slept


STOPPED_STATE: dict[StopKind, JobState] = {
    "cancel": JobState.CANCELLED,
    "pause": JobState.PAUSED,
    "hold": JobState.HELD,
    "yield": JobState.QUEUED,
}


class Supervisor:
    """The workers of one daemon. Made and used on the loop's thread.

    `prewarm_s`: start the engine worker that long after `start`, so that the first job finds it warm; None:
    not before there is a job. `memory_gb`: what a worker may take, files it has mapped not counted; None:
    most of this machine's.
    """

    def __init__(
        self,
        store: JobStore,
        publish: Callable[[Event, int], None],
        loop: asyncio.AbstractEventLoop,
        *,
        paths: Paths | None = None,
        prewarm_s: float | None = 1.0,
        memory_gb: float | None = None,
    ) -> None:
        self._store = store
        self._publish = publish
        self._loop = loop
        self._paths = paths or find_paths()
        self._prewarm_s = prewarm_s
        self._memory = memory_limit(memory_gb)
        self._children: dict[str, Child] = {}
        self._starts = {role: Starts() for role in ROLES}
        self._is_stopped = False
        self._at_rest = False  # jobs of the night and of the GPU give way
        self._ticked_at = time.monotonic()
        self._tick_timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Clear what a crash left, begin to watch, and take up what waits."""
        for folder in doomed_folders(self._store, self._paths.work):
            self._delete_later(folder)
        self._tick()
        if self._prewarm_s is not None:
            self._loop.call_later(self._prewarm_s, self._start_worker, ENGINE)

    def stop(self) -> None:
        """End every worker at once; their jobs go back to the queue and keep their finished chunks."""
        self._is_stopped = True
        if self._tick_timer is not None:
            self._tick_timer.cancel()
        children = list(self._children.values())
        for child in children:
            child.kill("The daemon ended.")
        for child in children:
            child.wait(2.0)
            if child.claim is not None:
                self._end_job(child, STOPPED_STATE[child.stopping] if child.stopping else JobState.QUEUED)
        self._children.clear()

    def poke(self) -> None:
        """Look for work: a job came, or became ready."""
        for role in ROLES:
            self._fill(role)

    def cancel(self, job_id: str) -> Job:
        """Cancel a job: at once when it waits, within a second when it runs. Raises RequestError `job.*`."""
        return self._stop_job(job_id, "cancel")

    def pause(self, job_id: str) -> Job:
        """Pause a job likewise; its finished chunks are kept. Raises RequestError `job.*`."""
        return self._stop_job(job_id, "pause")

    def hold(self, job_id: str, *, tonight: bool = False) -> Job:
        """Keep a job from running until it is released, or until tonight. Raises RequestError `job.*`."""
        if self._child_of(job_id) is None:
            return self._store.move(job_id, JobState.HELD, tonight=tonight)
        self._store.set_tonight(job_id, tonight)
        return self._stop_job(job_id, "hold")

    def close_night(self) -> None:
        """Hold the jobs of the night again: those that wait now, a running one within a second."""
        if self._store.tonight(JobState.QUEUED):
            self._store.move_night(JobState.QUEUED, JobState.HELD)
        for job_id in self._store.tonight(JobState.RUNNING):
            child = self._child_of(job_id)
            if child is not None and child.stopping is None:
                self._stop_job(job_id, "hold")

    def rest(self) -> None:
        """Let jobs of the night and of the GPU give way: none begins, one that runs goes back to the queue.

        The GPU's memory is free when its worker has ended, after `YIELD_GRACE_S` at the latest.
        """
        self._at_rest = True
        heavy = self._store.heavy_jobs(JobState.RUNNING)
        for child in list(self._children.values()):
            if child.claim is not None and child.claim.job_id in heavy:
                if child.stopping is None:
                    child.ask_to_stop("yield")
                    self._loop.call_later(YIELD_GRACE_S, self._kill_if_running, child, child.claim)
            elif child.has_used_gpu and child.state == "idle":
                child.close()

    def go_on(self) -> None:
        """Take jobs of the night and of the GPU up again."""
        if self._at_rest:
            self._at_rest = False
            self.poke()

    @property
    def is_busy(self) -> bool:
        """Whether a worker has a job in its hands."""
        return any(child.claim is not None for child in self._children.values())

    def drop_folder(self, job_id: str) -> None:
        """Delete a job's work folder, in the background."""
        doomed = doom_folder(self._paths.work / job_id)
        if doomed is not None:
            self._delete_later(doomed)

    def workers(self) -> list[WorkerInfo]:
        """Return the workers that live."""
        return [child.info() for child in self._children.values()]

    # Jobs out.

    def _fill(self, role: str) -> None:
        """Give the worker of `role` the next job; start the worker when there is none."""
        if self._is_stopped or not self._store.waits(role, at_rest=self._at_rest):
            return
        child = self._children.get(role)
        if child is None:
            self._start_worker(role)
            return
        while child.state == "idle" and (claim := self._store.claim(role, at_rest=self._at_rest)):
            try:
                self._hand_over(child, claim)
            except Exception as error:  # noqa: BLE001 - a rim: a claimed job is never left running by nobody
                self._give_up(claim, error)

    def _give_up(self, claim: Claim, error: Exception) -> None:
        """End a job that could not be handed to a worker."""
        info = error_info(error)
        log.error("Job %s could not be started: %s\n%s", claim.job_id, info.message, info.detail)
        self._store.move(claim.job_id, JobState.FAILED, attempt=claim.attempt, error=info)

    def _hand_over(self, child: Child, claim: Claim) -> None:
        work = self._paths.work / claim.job_id
        work.mkdir(parents=True, exist_ok=True)
        costs = fit_costs(self._store.timings(cost_name(claim.spec)))
        child.run(claim, work, eta_of(claim.spec, costs))
        self._tell(child)

    def _stop_job(self, job_id: str, kind: StopKind) -> Job:
        child = self._child_of(job_id)
        if child is None:
            job = self._store.move(job_id, STOPPED_STATE[kind])
            if job.state in NEEDS_NO_FOLDER:
                self.drop_folder(job_id)
            return job
        child.ask_to_stop(kind)
        self._loop.call_later(STOP_GRACE_S, self._kill_if_running, child, child.claim)
        return self._store.get(job_id)

    def _kill_if_running(self, child: Child, claim: Claim | None) -> None:
        if claim is not None and child.claim is claim:
            child.kill("It did not stop when asked.")

    def _child_of(self, job_id: str) -> Child | None:
        for child in self._children.values():
            if child.claim is not None and child.claim.job_id == job_id:
                return child
        return None

    # Reports in.

    def _on_report(self, child: Child, report: Report) -> None:
        child.heard_at = time.monotonic()
        if isinstance(report, Ready):
            self._starts[child.role].succeeded()
            child.rest()
            self._tell(child)
            self._fill(child.role)
            return
        if self._is_stopped or child.claim is None or report.attempt != child.claim.attempt:
            return  # about a job that it no longer holds
        try:
            self._take_in(child, child.claim, report)
        except StaleAttemptError:
            child.kill("Its job was given to another worker.")
        except MachineError as error:
            log.error("What the %s worker says cannot be kept: %s", child.role, error.message)
            if isinstance(report, TakeMade | Finished | Failed | Stopped):
                self._loop.call_later(KEEP_AGAIN_S, self._on_report, child, report)

    def _take_in(
        self,
        child: Child,
        claim: Claim,
        report: Beat | Logged | Previewed | TakeMade | Finished | Failed | Stopped,
    ) -> None:
        match report:
            case Beat():
                self._progress(child, claim, report)
            case Logged():
                self._store.log(claim.job_id, report.sentence)
            case Previewed():
                self._store.tell(preview_of(claim.job_id, report))
            case TakeMade(take=take):
                self._store.add_take(claim.job_id, claim.attempt, take)
            case Finished():
                self._learn(claim, report)
                self._end_job(child, JobState.DONE, finished=report)
            case Failed(error=error):
                self._store.log(claim.job_id, f"{error.message} {error.hint}".strip())
                self._end_job(child, JobState.FAILED, error=error)
                log.warning("Job %s failed: %s %s\n%s", claim.job_id, error.code, error.message, error.detail)
            case Stopped():
                self._end_job(child, STOPPED_STATE[child.stopping or "pause"])

    def _progress(self, child: Child, claim: Claim, beat: Beat) -> None:
        if beat.steps != child.steps:
            child.steps, child.stepped_at = beat.steps, child.heard_at
        if beat.stage and child.eta is not None:
            progress = child.eta.update(beat.stage, beat.done, beat.total, beat.megapixels)
            self._store.report(claim.job_id, progress)
        if child.heard_at - child.renewed_at >= RENEW_S:
            child.renewed_at = child.heard_at
            self._store.heartbeat(claim.job_id, claim.attempt)

    def _end_job(
        self, child: Child, to: JobState, *, error: ErrorInfo | None = None, finished: Finished | None = None
    ) -> None:
        """Move a worker's job to where it ended, and give the worker the next one."""
        claim = child.claim
        assert claim is not None
        takes, result = (finished.takes, finished.result) if finished else ([], None)
        self._store.move(claim.job_id, to, attempt=claim.attempt, error=error, takes=takes, result=result)
        if to in NEEDS_NO_FOLDER:
            self.drop_folder(claim.job_id)
        gives_way = child.stopping == "yield"
        child.rest()
        if gives_way:
            child.close()  # what it holds of the GPU is free only when it has ended
        if not self._is_stopped and child.role in self._children:
            self._tell(child)
            self._fill(child.role)

    def _learn(self, claim: Claim, finished: Finished) -> None:
        """Keep what an undisturbed job cost."""
        if claim.attempt > 1:
            return  # it may have gone on from chunks that were there
        samples = [(t.stage, Sample(t.frames, t.megapixels, t.seconds)) for t in finished.timings]
        engine = finished.takes[0].engine if finished.takes else ""
        self._store.add_timings(cost_name(claim.spec, engine), samples)

    # Workers come and go.

    def _start_worker(self, role: str) -> None:
        if self._is_stopped or role in self._children or not self._starts[role].is_allowed:
            return
        try:
            child = Child(
                role,
                log=self._worker_log(role),
                loop=self._loop,
                on_report=self._on_report,
                on_exit=self._on_exit,
            )
        except OSError as error:
            self._start_failed(role, f"The worker cannot be started: {error}.")
            return
        self._children[role] = child
        self._tell(child)

    def _on_exit(self, child: Child, status: int) -> None:
        if self._children.get(child.role) is child:
            del self._children[child.role]
        if self._is_stopped:
            return
        why = child.epitaph(status)
        was_starting, claim, stopping = child.state == "starting", child.claim, child.stopping
        child.state = "ended"
        if claim is not None:
            self._lose_job(child, claim, stopping, why)
        elif status and not was_starting:
            log.warning("An idle worker ended: %s", why)
        self._tell(child)
        if was_starting:
            self._start_failed(child.role, why)
        elif child.role == ENGINE and self._prewarm_s is not None:
            self._start_worker(ENGINE)  # ready for the next job
        self._fill(child.role)

    def _lose_job(self, child: Child, claim: Claim, stopping: StopKind | None, why: str) -> None:
        """Take the job back from a dead worker; one that was to stop has now stopped."""
        try:
            if stopping is not None:
                if uses_gpu(claim.spec):
                    self._store.log(claim.job_id, "The worker was ended, and what it had on the GPU is free.")
                self._end_job(child, STOPPED_STATE[stopping])
            elif child.is_greedy:  # another try would end the same
                self._store.log(claim.job_id, why)
                error = MachineError("memory.full", why).to_info()
                self._store.move(claim.job_id, JobState.FAILED, attempt=claim.attempt, error=error)
            else:
                log.warning("Worker %s ended during job %s: %s", child.pid, claim.job_id, why)
                self._store.lose(claim.job_id, claim.attempt, why, hung=child.is_hung)
        except StaleAttemptError:
            log.warning("Job %s had been taken from worker %s before.", claim.job_id, child.pid)
        child.claim = None
        child.state = "ended"

    def _start_failed(self, role: str, why: str) -> None:
        """Wait before the next start; after some in a row, tell the job that waits for it."""
        starts = self._starts[role]
        starts.failed()
        log.error("The %s worker did not start (%s in a row): %s", role, starts.failed_in_a_row, why)
        if starts.are_hopeless and (claim := self._store.claim(role)):
            detail = log_tail(self._worker_log(role))
            error = InternalError("worker.died", f"The worker does not start. {why}", detail=detail).to_info()
            self._store.log(claim.job_id, error.message)
            self._store.move(claim.job_id, JobState.FAILED, attempt=claim.attempt, error=error)

    # The watch.

    def _tick(self) -> None:
        self._tick_timer = self._loop.call_later(
            TICK_S, self._tick
        )  # first: what fails below must not end it
        now = time.monotonic()
        slept = now - self._ticked_at > SLEEP_GAP_S
        self._ticked_at = now
        for child in list(self._children.values()):
            if slept:
                child.heard_at = child.stepped_at = now
            look_after(child, now, memory=self._memory, may_idle=child.role == ENGINE)
        held = {child.claim.job_id for child in self._children.values() if child.claim}
        if self._store.sweep(held):
            log.warning("Some jobs were marked as running, and no worker had them.")
        self.poke()

    # Small things.

    def _tell(self, child: Child) -> None:
        self._publish(WorkerChanged(worker=child.info()), 0)

    def _worker_log(self, role: str) -> Path:
        return self._paths.logs / f"worker-{role}.log"

    def _delete_later(self, folder: Path) -> None:
        self._loop.run_in_executor(None, delete_folder, folder)
