"""The messages between a client and the daemon: the envelope, and the one table of requests.

`docs/protocol.md` is the authority on what they mean; a test holds that page and this file together. Unlike
job specs, messages ignore fields they do not know, so that an older side can talk to a newer one.
"""

from typing import NamedTuple

import msgspec

from daemon.protocol.daemon_messages import (
    Forecast,
    ForecastReply,
    Hello,
    HelloReply,
    ListModels,
    ListModelsReply,
    Report,
    ReportReply,
    Schedule,
    ScheduleReply,
    Shutdown,
    ShutdownReply,
    Status,
    StatusReply,
)
from daemon.protocol.fields import Id, ShortText
from daemon.protocol.job_messages import (
    CancelJob,
    EstimateJob,
    EstimateJobReply,
    GetJob,
    GetJobReply,
    HoldJob,
    JobLog,
    JobLogReply,
    JobReply,
    ListJobs,
    ListJobsReply,
    ListTakes,
    ListTakesReply,
    PauseJob,
    ReleaseJob,
    ReorderJob,
    ResumeJob,
    RetryJob,
    SetVerdict,
    SetVerdictReply,
    SubmitJob,
    SubmitJobReply,
)
from daemon.protocol.transfer_messages import (
    ListFiles,
    ListFilesReply,
    OfferFile,
    OfferFileReply,
    ReadChunk,
    ReadChunkReply,
    SendChunk,
    SendChunkReply,
)

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
    "transfers",
    "verdicts",
)
"""What this daemon can do beyond submit, watch and cancel; a client asks before it relies on one."""


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """What goes around every message, in both directions."""

    id: Id
    type: ShortText
    version: int
    parent: ShortText | None = None  # of a reply: the request's id
    seq: int = 0  # of an event about a job: rises by one with each
    body: msgspec.Raw = msgspec.Raw(b"\x80")


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
    | OfferFile
    | SendChunk
    | ListFiles
    | ReadChunk
)


class RequestKind(NamedTuple):
    """What the table knows of a request type."""

    request: type[msgspec.Struct]
    reply: type[msgspec.Struct]
    is_control: bool = False  # clients send it on the control socket
    only_reads: bool = False  # answering it twice does no harm
    is_file: bool = False  # about files: paired machines send it to the `files` socket


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
    "offer_file": RequestKind(OfferFile, OfferFileReply, only_reads=True, is_file=True),
    "send_chunk": RequestKind(SendChunk, SendChunkReply, only_reads=True, is_file=True),
    "list_files": RequestKind(ListFiles, ListFilesReply, only_reads=True, is_file=True),
    "read_chunk": RequestKind(ReadChunk, ReadChunkReply, only_reads=True, is_file=True),
}
"""The one table of requests. A reply's type is the request's with `_reply`, or `error` with an ErrorInfo."""

ERROR_TYPE = "error"

REQUEST_NAMES = {kind.request: name for name, kind in REQUESTS.items()}
