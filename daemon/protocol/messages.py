"""The messages between a client and the daemon: the envelope, and the requests with their replies.

`docs/protocol.md` is the authority on what they mean; a test holds that page and this file together. Unlike
job specs, messages ignore fields they do not know, so that an older side can talk to a newer one.
"""

from typing import Annotated, Any, Literal, NamedTuple

import msgspec

from daemon.protocol.errors import ErrorInfo
from daemon.protocol.jobs import Job, JobState, Take
from daemon.protocol.night import ForecastJob, GpuInfo, NightReport, ScheduleSettings

PROTOCOL_VERSION = 1
"""The version this side speaks; it rises when a message changes so that an older side would misread it."""

OLDEST_VERSION = 1
"""The oldest version this side still understands."""

FEATURES = (
    "align",
    "checks",
    "faces",
    "estimate",
    "forecast",
    "generate",
    "gpus",
    "hold",
    "idempotency_keys",
    "job_log",
    "masks",
    "models",
    "night",
    "pause",
    "preview",
    "probe",
    "reorder",
    "report",
    "speak",
    "verdicts",
)
"""What this daemon can do beyond submit, watch and cancel; a client asks before it relies on one."""

Id = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
ShortText = Annotated[str, msgspec.Meta(max_length=128)]
Priority = Annotated[int, msgspec.Meta(ge=-1000, le=1000)]
Count = Annotated[int, msgspec.Meta(ge=0, le=100_000)]
Moment = Annotated[float, msgspec.Meta(ge=0, le=1e11)]


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """What goes around every message, in both directions."""

    id: Id
    type: ShortText
    version: int
    parent: ShortText | None = None  # of a reply: the request's id
    seq: int = 0  # of an event about a job: rises by one with each
    body: msgspec.Raw = msgspec.Raw(b"\x80")


# Requests and their replies.


class Hello(msgspec.Struct, frozen=True, kw_only=True):
    """Agree on a version, and learn what the daemon can do. The first message of every client."""

    versions: list[int]  # all that the client speaks
    client: ShortText  # its name: "cli", "app", "plugin" or its own
    client_version: ShortText = ""
    features: list[ShortText] = []  # those that the client wants


class HelloReply(msgspec.Struct, frozen=True, kw_only=True):
    """The agreement."""

    version: int  # the highest that both speak
    features: list[str]  # all that the daemon has
    missing: list[str]  # wanted by the client, not known to the daemon
    requests: list[str]  # the types that the daemon answers
    server_version: str
    server_pid: int


class SubmitJob(msgspec.Struct, frozen=True, kw_only=True):
    """Put a job on the queue. It is on disk when the reply leaves."""

    spec: Any  # a job spec; strict, checked by daemon.protocol.jobs
    key: Id | None = None  # the same key twice is one job
    priority: Priority = 0  # higher runs first
    submitted_by: ShortText = ""
    hold: bool = False  # keep it from running until `release_job`
    tonight: bool = False  # keep it until the next window of the schedule opens
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
    tonight: bool = False  # until the next window of the schedule opens, not until `release_job`


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


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """Ask how the daemon is."""


class WorkerInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One worker process."""

    pid: int
    role: str  # "engine" runs redub jobs, "inspect" faces and probe jobs
    state: str
    job_id: str | None = None
    rss: int | None = None  # resident memory in bytes; None where it cannot be told


class StatusReply(msgspec.Struct, frozen=True, kw_only=True):
    """How the daemon is."""

    server_pid: int
    version: str
    protocol: int
    features: list[str]
    uptime_s: float
    endpoint: str
    workers: list[WorkerInfo]
    jobs: dict[str, int]  # how many jobs are in each state
    data: str  # folder of the queue, the checkpoints and, unless a job says otherwise, the takes
    logs: str  # folder of the logs
    problems: list[ErrorInfo] = []  # that a person should look at; `dubwright doctor` shows them
    gpus: list[GpuInfo] = []  # as their driver tells of them, seconds ago; none: no driver
    held_back: list[str] = []  # why jobs of the night and of the GPU do not run now, in sentences


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """Ask for the schedule of the night, or give it anew as a whole."""

    settings: ScheduleSettings | None = None  # None: as it is


class ScheduleReply(msgspec.Struct, frozen=True, kw_only=True):
    """The schedule, and where in it we are."""

    settings: ScheduleSettings
    is_open: bool  # a window is open now
    opens_at: float | None  # this window did, or the next one will; None: there is none
    closes_at: float | None
    waiting: int  # jobs that wait for the night
    held_back: list[str]  # why jobs of the night and of the GPU do not run now


class Forecast(msgspec.Struct, frozen=True, kw_only=True):
    """Ask what fits into the window that is open, or into the next one."""


class ForecastReply(msgspec.Struct, frozen=True, kw_only=True):
    """The forecast, in the order in which jobs will run: those that are queued, and those for tonight."""

    is_open: bool
    opens_at: float | None
    closes_at: float | None
    jobs: list[ForecastJob]


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
    gpu_bytes: int | None = (
        None  # the most of its memory that the job may take: the setting, else what is free
    )


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Ask for the report of a window; without `night`, of the one that is open, or the last one until now."""

    night: ShortText | None = None  # the date on which it opened, YYYY-MM-DD


class ReportReply(msgspec.Struct, frozen=True, kw_only=True):
    """The report, and where it was written when its window closed."""

    report: NightReport
    json: str | None = None  # paths
    html: str | None = None


ModelState = Literal["missing", "incomplete", "unverified", "verified", "damaged"]


class ModelInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A model of the catalogue, and what of it is in the models folder."""

    task: str
    folder: str  # where it lies, or would
    bytes: int  # on this disk
    state: ModelState  # `unverified`: all files are there, their contents were not checked since they changed
    verified_at: float | None = None  # seconds since the epoch
    needed_bytes: int = 0  # about; all of it
    repository: str = ""
    licence: str = ""
    origin: str = ""  # "download", "import" or "unpack"; empty for files put there by hand


class ListModels(msgspec.Struct, frozen=True, kw_only=True):
    """Ask for the models: those of the catalogue, here or not."""


class ListModelsReply(msgspec.Struct, frozen=True, kw_only=True):
    """The models in the catalogue's order, their folder, and the room left there."""

    models: list[ModelInfo]
    folder: str
    free_bytes: int


class Shutdown(msgspec.Struct, frozen=True, kw_only=True):
    """End the daemon cleanly. Running jobs go back to the queue and go on at the next start."""


class ShutdownReply(msgspec.Struct, frozen=True, kw_only=True):
    """The daemon is ending; it is gone when its lock is free."""

    server_pid: int


Request = (
    Hello
    | SubmitJob
    | GetJob
    | ListJobs
    | CancelJob
    | PauseJob
    | ResumeJob
    | RetryJob
    | HoldJob
    | ReleaseJob
    | ReorderJob
    | JobLog
    | ListTakes
    | SetVerdict
    | Status
    | Schedule
    | Forecast
    | EstimateJob
    | Report
    | ListModels
    | Shutdown
)


class RequestKind(NamedTuple):
    """What the table knows of a request type."""

    request: type[msgspec.Struct]
    reply: type[msgspec.Struct]
    is_control: bool = False  # clients send it on the control socket
    only_reads: bool = False  # answering it twice does no harm


REQUESTS: dict[str, RequestKind] = {
    "hello": RequestKind(Hello, HelloReply, only_reads=True),
    "submit_job": RequestKind(SubmitJob, SubmitJobReply),
    "get_job": RequestKind(GetJob, GetJobReply, only_reads=True),
    "list_jobs": RequestKind(ListJobs, ListJobsReply, only_reads=True),
    "cancel_job": RequestKind(CancelJob, JobReply, is_control=True),
    "pause_job": RequestKind(PauseJob, JobReply, is_control=True),
    "resume_job": RequestKind(ResumeJob, JobReply),
    "retry_job": RequestKind(RetryJob, JobReply),
    "hold_job": RequestKind(HoldJob, JobReply),
    "release_job": RequestKind(ReleaseJob, JobReply),
    "reorder_job": RequestKind(ReorderJob, JobReply),
    "job_log": RequestKind(JobLog, JobLogReply, only_reads=True),
    "list_takes": RequestKind(ListTakes, ListTakesReply, only_reads=True),
    "set_verdict": RequestKind(SetVerdict, SetVerdictReply),
    "status": RequestKind(Status, StatusReply, only_reads=True),
    "schedule": RequestKind(Schedule, ScheduleReply),
    "estimate_job": RequestKind(EstimateJob, EstimateJobReply, only_reads=True),
    "forecast": RequestKind(Forecast, ForecastReply, only_reads=True),
    "report": RequestKind(Report, ReportReply, only_reads=True),
    "list_models": RequestKind(ListModels, ListModelsReply, only_reads=True),
    "shutdown": RequestKind(Shutdown, ShutdownReply, is_control=True),
}
"""The one table of requests. A reply's type is the request's with `_reply`, or `error` with an ErrorInfo."""

ERROR_TYPE = "error"

REQUEST_NAMES = {kind.request: name for name, kind in REQUESTS.items()}
