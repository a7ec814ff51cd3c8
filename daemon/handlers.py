"""What each request does. One method a request type, of the same name; none waits for a worker.

A handler returns the reply's body or raises a DubwrightError, which becomes an `error` reply.
"""

import os
import time
from collections.abc import Callable, Collection
from datetime import datetime
from pathlib import Path

import msgspec

import daemon
from daemon.config import LimitsConfig
from daemon.models.catalog import MODEL_FIELDS, is_task
from daemon.models.store import Store, free_bytes
from daemon.paths import Paths
from daemon.protocol import messages
from daemon.protocol.codec import version_error
from daemon.protocol.errors import ErrorInfo, MachineError, RequestError
from daemon.protocol.jobs import GENERATE_PATHS, GenerateSpec, Job, JobSpec, JobState, ProbeSpec
from daemon.protocol.messages import (
    FEATURES,
    OLDEST_VERSION,
    PROTOCOL_VERSION,
    REQUEST_NAMES,
    REQUESTS,
    JobReply,
)
from daemon.protocol.reading import spec_from_builtins
from daemon.queue.eta import cost_name
from daemon.queue.store import JobStore
from daemon.schedule.forecast import estimate, forecast
from daemon.schedule.keeper import Keeper
from daemon.schedule.report import load_report, report_path
from daemon.schedule.sharing import memory_left
from daemon.worker.supervisor import Supervisor

PATH_FIELDS = ("source", "voice", "picture", "pose", "model", "dest", "take", *GENERATE_PATHS)


class Handlers:
    """Answers requests from the queue and the workers."""

    def __init__(
        self,
        store: JobStore,
        supervisor: Supervisor,
        keeper: Keeper,
        *,
        paths: Paths,
        limits: LimitsConfig,
        gpu_gb: float | None,
        endpoint: str,
        stop: Callable[[], None],
        problems: Collection[ErrorInfo] = (),
    ) -> None:
        self._store = store
        self._supervisor = supervisor
        self._keeper = keeper
        self._paths = paths
        self._limits = limits
        self._gpu_gb = gpu_gb  # what the setting leaves to the engine; None: all that is free
        self._endpoint = endpoint
        self._stop = stop
        self._started = time.monotonic()
        self._start_problems = list(problems)

    def answer(self, request: messages.Request) -> msgspec.Struct:
        """Carry out a request and return the reply's body. Raises DubwrightError."""
        if REQUESTS[REQUEST_NAMES[type(request)]].is_file:
            raise RequestError(
                "pair.forbidden", "Files are carried for paired machines alone.", hint="Name paths."
            )
        return getattr(self, REQUEST_NAMES[type(request)])(request)

    def hello(self, request: messages.Hello) -> messages.HelloReply:
        """Agree on the highest version that both sides speak. Raises RequestError `protocol.version`."""
        common = [one for one in request.versions if OLDEST_VERSION <= one <= PROTOCOL_VERSION]
        if not common:
            raise version_error(request.versions)
        return messages.HelloReply(
            version=max(common),
            features=list(FEATURES),
            missing=[name for name in request.features if name not in FEATURES],
            requests=list(messages.REQUESTS),
            server_version=daemon.__version__,
            server_pid=os.getpid(),
        )

    def submit_job(self, request: messages.SubmitJob, *, client: str = "") -> messages.SubmitJobReply:
        """Check the spec and put it on the queue, for a paired machine or this home.

        Raises RequestError `job.*`, `range.empty`, `path.forbidden`, `queue.full`.
        """
        spec = spec_from_builtins(request.spec)
        own = [str(self._paths.takes), str(self._paths.paired)]
        check_paths(spec, [*self._limits.folders, *own] if self._limits.folders else [])
        job, is_new = self._store.submit(
            spec,
            key=request.key,
            priority=request.priority,
            submitted_by=request.submitted_by,
            hold=request.hold,
            tonight=request.tonight,
            deadline=request.deadline,
            client=client,
            most_waiting=self._limits.waiting_jobs,
        )
        if is_new:
            self._keeper.look()
            self._supervisor.poke()
        return messages.SubmitJobReply(job=job, is_new=is_new)

    def get_job(self, request: messages.GetJob) -> messages.GetJobReply:
        """Return a job and the number of its latest event."""
        job, seq = self._store.snapshot(request.job_id)
        return messages.GetJobReply(job=job, seq=seq)

    def list_jobs(self, request: messages.ListJobs) -> messages.ListJobsReply:
        """Return the jobs in the states asked for."""
        return messages.ListJobsReply(jobs=self._store.list(request.states, request.limit, request.offset))

    def cancel_job(self, request: messages.CancelJob) -> JobReply:
        """Cancel a waiting job now, a running one within a second."""
        return self._unless_there(request.job_id, JobState.CANCELLED, self._supervisor.cancel)

    def pause_job(self, request: messages.PauseJob) -> JobReply:
        """Pause a waiting job now, a running one within a second."""
        return self._unless_there(request.job_id, JobState.PAUSED, self._supervisor.pause)

    def resume_job(self, request: messages.ResumeJob) -> JobReply:
        """Put a paused job back on the queue."""
        return self._queued(request.job_id, only_from={JobState.PAUSED})

    def retry_job(self, request: messages.RetryJob) -> JobReply:
        """Put a failed or cancelled job back on the queue."""
        return self._queued(request.job_id, only_from={JobState.FAILED, JobState.CANCELLED})

    def hold_job(self, request: messages.HoldJob) -> JobReply:
        """Keep a job from running; a running one stops within a second."""
        job = self._store.get(request.job_id)
        if job.state is not JobState.HELD:
            return JobReply(job=self._supervisor.hold(request.job_id, tonight=request.tonight))
        if job.tonight != request.tonight:
            job = self._store.set_tonight(request.job_id, request.tonight)
        return JobReply(job=job)

    def release_job(self, request: messages.ReleaseJob) -> JobReply:
        """Let a held job run, also one that waits for the night."""
        return self._queued(request.job_id, only_from={JobState.HELD})

    def reorder_job(self, request: messages.ReorderJob) -> JobReply:
        """Give a waiting job another priority, deadline or place."""
        job = self._store.reorder(
            request.job_id, priority=request.priority, before=request.before, deadline=request.deadline
        )
        return JobReply(job=job)

    def job_log(self, request: messages.JobLog) -> messages.JobLogReply:
        """Return a job's log."""
        return messages.JobLogReply(entries=self._store.job_log(request.job_id))

    def list_takes(self, request: messages.ListTakes) -> messages.ListTakesReply:
        """Return the takes of one job, or of all."""
        if request.job_id is not None:
            self._store.snapshot(request.job_id)  # an unknown job is an error, not an empty list
        return messages.ListTakesReply(takes=self._store.takes(request.job_id))

    def set_verdict(self, request: messages.SetVerdict) -> messages.SetVerdictReply:
        """Accept or reject a take."""
        return messages.SetVerdictReply(take=self._store.set_verdict(request.take_id, request.verdict))

    def status(self, request: messages.Status) -> messages.StatusReply:
        """Return how the daemon is."""
        return messages.StatusReply(
            server_pid=os.getpid(),
            version=daemon.__version__,
            protocol=PROTOCOL_VERSION,
            features=list(FEATURES),
            uptime_s=time.monotonic() - self._started,
            endpoint=self._endpoint,
            workers=self._supervisor.workers(),
            jobs=self._store.counts(),
            data=str(self._paths.data),
            logs=str(self._paths.logs),
            problems=self._problems(),
            gpus=self._keeper.sensors.gpus(),
            held_back=self._keeper.held_back,
        )

    def schedule(self, request: messages.Schedule) -> messages.ScheduleReply:
        """Return the schedule; first replace it, if a new one is given. Raises RequestError."""
        if request.settings is not None:
            self._keeper.change(request.settings)
        window = self._keeper.window()
        return messages.ScheduleReply(
            settings=self._keeper.settings,
            is_open=self._keeper.is_open,
            opens_at=None if window is None else window.opens_at,
            closes_at=None if window is None else window.closes_at,
            waiting=len(self._store.tonight(JobState.HELD, JobState.QUEUED)),
            held_back=self._keeper.held_back,
        )

    def estimate_job(self, request: messages.EstimateJob) -> messages.EstimateJobReply:
        """Return how long a job would take. Raises RequestError `job.*`, `range.empty`."""
        spec = spec_from_builtins(request.spec)
        samples = self._store.timings(cost_name(spec))
        guess = estimate(spec, samples)
        gpus = self._keeper.sensors.gpus() if getattr(spec, "engine", "") == "wan" else []
        reply = messages.EstimateJobReply()
        if gpus:
            most = memory_left(gpus[0], self._gpu_gb)
            reply = messages.EstimateJobReply(gpu=gpus[0].name, gpu_bytes=most)
        if guess is None:
            return reply
        return msgspec.structs.replace(
            reply, usual_s=guess.usual, fast_s=guess.fast, slow_s=guess.slow, is_measured=bool(samples)
        )

    def forecast(self, request: messages.Forecast) -> messages.ForecastReply:
        """Return what fits into the window that is open, or the next one."""
        window = self._keeper.window()
        return messages.ForecastReply(
            is_open=self._keeper.is_open,
            opens_at=None if window is None else window.opens_at,
            closes_at=None if window is None else window.closes_at,
            jobs=forecast(self._keeper.planned(), window, self._keeper.now()),
        )

    def report(self, request: messages.Report) -> messages.ReportReply:
        """Return the report of a window. Raises RequestError `report.not_found`."""
        found = self._keeper.report() if request.night is None else load_report(self._paths, request.night)
        if found is None:
            raise RequestError("report.not_found", "No window of the schedule has opened yet.")
        path = report_path(self._paths, found.night)
        page = path.with_suffix(".html")
        return messages.ReportReply(
            report=found,
            json=str(path) if path.exists() else None,
            html=str(page) if page.exists() else None,
        )

    def list_models(self, request: messages.ListModels) -> messages.ListModelsReply:
        """Return the models, here or not."""
        folder = self._paths.models
        return messages.ListModelsReply(
            models=Store(folder).models(), folder=str(folder), free_bytes=free_bytes(folder)
        )

    def shutdown(self, request: messages.Shutdown) -> messages.ShutdownReply:
        """Begin to end the daemon; the reply leaves first."""
        self._stop()
        return messages.ShutdownReply(server_pid=os.getpid())

    def _problems(self) -> list[ErrorInfo]:
        broken = self._store.broken
        if broken is None:
            return self._start_problems
        then = "and a new one was begun"
        if broken.restored_at is not None:
            made = datetime.fromtimestamp(broken.restored_at).astimezone().strftime("%Y-%m-%d %H:%M")
            then = f"and the copy of {made} took its place"
        message = (
            f"The queue could not be read; it was set aside as {broken.aside}, {then}, with "
            f"{broken.salvaged} newer jobs that could still be read. Takes on disk were not touched."
        )
        return [MachineError("daemon.queue_broken", message).to_info(), *self._start_problems]

    def _unless_there(self, job_id: str, to: JobState, move: Callable[[str], Job]) -> JobReply:
        """Move a job; one that is there already stays, so that a repeated request does no harm."""
        job = self._store.get(job_id)
        return JobReply(job=job if job.state == to else move(job_id))

    def _queued(self, job_id: str, *, only_from: set[JobState]) -> JobReply:
        """Put a job back on the queue and wake a worker for it."""
        job = self._store.move(job_id, JobState.QUEUED, only_from=only_from, tonight=False)
        self._supervisor.poke()
        return JobReply(job=job)


def check_paths(spec: JobSpec, folders: Collection[str] = ()) -> None:
    """Refuse paths that mean nothing to the daemon, or lie in none of `folders`, if there are any.

    Raises RequestError `job.invalid`, `path.forbidden`.
    """
    if isinstance(spec, ProbeSpec):
        check_paths(spec.redub, folders)
        return
    given = [(name, getattr(spec, name, None)) for name in PATH_FIELDS]
    if isinstance(spec, GenerateSpec):
        given += [("lora", path) for path in spec.lora]
    for name, path in given:
        if path is None or (name in MODEL_FIELDS and is_task(path)):
            continue
        if "\0" in path:
            raise RequestError("job.invalid", f"`{name}` holds a NUL character, which no path can.")
        if not os.path.isabs(path):
            raise RequestError("job.invalid", f"`{name}` is {path!r}; it must be an absolute path.")
        if folders and not _lies_in(path, folders):
            raise RequestError("path.forbidden", f"`{name}` is {path!r}, which lies in no allowed folder.")


def _lies_in(path: str, folders: Collection[str]) -> bool:
    """Return whether a path, its links followed, lies in one of `folders`."""
    real = Path(os.path.realpath(path))
    return any(real.is_relative_to(os.path.realpath(os.path.expanduser(folder))) for folder in folders)
