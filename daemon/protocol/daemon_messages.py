"""Requests about the daemon, its night and its models, each with its reply."""

from typing import Literal

import msgspec

from daemon.protocol.errors import ErrorInfo
from daemon.protocol.fields import ShortText
from daemon.protocol.night import ForecastJob, GpuInfo, NightReport, ScheduleSettings


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
    folder: str | None = None  # of a paired machine: where its media and takes lie there


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
