"""Requests about jobs and takes, each with its reply."""

from typing import Any, Literal

import msgspec

from daemon.protocol.fields import Count, Id, Moment, Priority, ShortText
from daemon.protocol.jobs import Job, JobState, Take


class SubmitJob(msgspec.Struct, frozen=True, kw_only=True):
    """Put a job on the queue. It is on disk when the reply leaves."""

    spec: Any  # a job spec; strict, checked by daemon.protocol.jobs
    key: Id | None = None  # the same key twice is one job
    priority: Priority = 0  # higher runs first
    submitted_by: ShortText = ""
    hold: bool = False  # keep it from running until `release_job`
    tonight: bool = False  # keep it until a window of the schedule is open
    deadline: Moment | None = None  # seconds since the epoch; what is due first runs first in its priority


class SubmitJobReply(msgspec.Struct, frozen=True, kw_only=True):
    """The job on the queue; not new when the key was seen before."""

    job: Job
    is_new: bool


class GetJob(msgspec.Struct, frozen=True, kw_only=True):
    """Ask for one job as it is now."""

    job_id: Id


class GetJobReply(msgspec.Struct, frozen=True, kw_only=True):
    """The job, and the `seq` of the last event that is part of this picture of it."""

    job: Job
    seq: int


class ListJobs(msgspec.Struct, frozen=True, kw_only=True):
    """Ask for jobs: those waiting or running in the order in which they will run, then the newest first."""

    states: list[JobState] = []  # empty: all
    limit: Count = 10_000
    offset: Count = 0


class ListJobsReply(msgspec.Struct, frozen=True, kw_only=True):
    """The jobs asked for; each without its takes and result, which `get_job` gives."""

    jobs: list[Job]


class CancelJob(msgspec.Struct, frozen=True, kw_only=True):
    """Stop a job for good, within a second even while it runs. Its finished chunks are dropped."""

    job_id: Id


class PauseJob(msgspec.Struct, frozen=True, kw_only=True):
    """Stop a job for now; it goes on from its last complete chunk."""

    job_id: Id


class ResumeJob(msgspec.Struct, frozen=True, kw_only=True):
    """Put a paused job back on the queue."""

    job_id: Id


class RetryJob(msgspec.Struct, frozen=True, kw_only=True):
    """Put a failed or cancelled job back on the queue. A failed one goes on from its last complete chunk."""

    job_id: Id


class HoldJob(msgspec.Struct, frozen=True, kw_only=True):
    """Keep a job from running; one that runs goes on from its last complete chunk when it is released."""

    job_id: Id
    tonight: bool = False  # until a window of the schedule is open, not until `release_job`


class ReleaseJob(msgspec.Struct, frozen=True, kw_only=True):
    """Let a held job run."""

    job_id: Id


class JobReply(msgspec.Struct, frozen=True, kw_only=True):
    """The job after the request. A running job that was told to stop may still be `running` here."""

    job: Job


class ReorderJob(msgspec.Struct, frozen=True, kw_only=True):
    """Change when a waiting job runs: its priority, its deadline, or its place."""

    job_id: Id
    priority: Priority | None = None  # None: as it is
    before: Id | None = None  # run before this job, at that job's priority
    deadline: Moment | None = None  # None: as it is; 0: none any more


class JobLog(msgspec.Struct, frozen=True, kw_only=True):
    """Ask for what happened to a job, in sentences for people."""

    job_id: Id


class LogEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One sentence of a job's log."""

    at: float  # seconds since the epoch
    sentence: str


class JobLogReply(msgspec.Struct, frozen=True, kw_only=True):
    """The job's log, oldest first."""

    entries: list[LogEntry]


class EstimateJob(msgspec.Struct, frozen=True, kw_only=True):
    """Ask how long a job would take, before it is submitted."""

    spec: Any  # as in `submit_job`


class EstimateJobReply(msgspec.Struct, frozen=True, kw_only=True):
    """How long it would take in seconds, going by jobs like it on this machine; None: nobody knows."""

    usual_s: float | None = None
    fast_s: float | None = None
    slow_s: float | None = None
    is_measured: bool = False  # by jobs like it on this machine, not by the costs that Dubwright comes with
    gpu: str | None = None  # the name of the GPU it would run on
    gpu_bytes: int | None = None  # of its memory, the most that the job may take: the setting, else all free


class ListTakes(msgspec.Struct, frozen=True, kw_only=True):
    """Ask for takes, of one job or of all."""

    job_id: Id | None = None


class ListTakesReply(msgspec.Struct, frozen=True, kw_only=True):
    """The takes, oldest first."""

    takes: list[Take]


class SetVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """Say what the editor thinks of a take; `none` takes it back."""

    take_id: Id
    verdict: Literal["none", "accepted", "rejected"]


class SetVerdictReply(msgspec.Struct, frozen=True, kw_only=True):
    """The take with its verdict."""

    take: Take
