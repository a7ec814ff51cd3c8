"""What the night shift says on the wire: the machine's GPUs, the schedule, the forecast and the report."""

from typing import Annotated, Literal

import msgspec

from daemon.protocol.errors import ErrorInfo
from daemon.protocol.jobs import Take

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

Hours = Annotated[str, msgspec.Meta(max_length=128)]
"""Times of day such as "22:00-06:30", local, to the minute; several with commas between; "": none."""

USUAL_NIGHT = "22:00-06:30"

Minutes = Annotated[int, msgspec.Meta(ge=1, le=24 * 60)]
Celsius = Annotated[int, msgspec.Meta(ge=40, le=110)]
Program = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class GpuProcess(msgspec.Struct, frozen=True, kw_only=True):
    """A process that uses a GPU."""

    pid: int
    name: str  # of its program; "" when it cannot be told
    memory: int | None = None  # bytes; None where the driver does not tell
    utilisation: int | None = None  # per cent of the last seconds; None where the driver does not tell
    is_ours: bool = False


class GpuInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A GPU as its driver tells of it."""

    index: int
    name: str
    memory_total: int  # bytes
    memory_used: int
    temperature: int | None = None  # degrees Celsius
    utilisation: int | None = None  # per cent of the last moment
    processes: list[GpuProcess] = []


class ScheduleSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When jobs that wait for the night run, and what they and all jobs on the GPU give way to."""

    windows: dict[Weekday, Hours] = msgspec.field(
        default_factory=lambda: dict.fromkeys(WEEKDAYS, USUAL_NIGHT)
    )
    """By the day on which a window opens; a day that is left out has none."""

    quiet: Hours = ""  # of every day: hours in which neither runs
    give_way: bool = True  # to other programs that use the GPU, or that render
    render_programs: list[Program] = []  # more programs that count as rendering while they are busy
    quiet_after_s: Annotated[int, msgspec.Meta(ge=5, le=3600)] = 60  # others must have been quiet so long
    only_when_away: bool = False  # run only while nobody uses mouse and keyboard
    away_after_min: Minutes = 10
    on_battery: bool = False  # run on battery, too
    max_temperature: Celsius | None = None  # of the GPU; None: what its driver calls the limit, less 5


Certainty = Literal["yes", "maybe", "no", "unknown"]


class ForecastJob(msgspec.Struct, frozen=True, kw_only=True):
    """When a job will run, as far as can be told. Times are seconds since the epoch."""

    job_id: str
    fits: Certainty  # into the window; "unknown": no such job has been done on this machine
    begins_at: float | None = None
    ends_at: float | None = None
    earliest: float | None = None  # the end, if all goes as fast as it ever did
    latest: float | None = None  # the end, if all goes as slowly as it ever did
    deadline: float | None = None
    in_time: Certainty | None = None  # for its deadline; None: it has none


class ReportJob(msgspec.Struct, frozen=True, kw_only=True):
    """A job in a report."""

    job_id: str
    name: str  # of its clip or its file
    kind: str
    state: str
    hours: float  # it ran in the window
    takes: list[Take] = []
    error: ErrorInfo | None = None
    deadline: float | None = None
    missed: bool = False  # it ended, or still waits, after its deadline


class NightReport(msgspec.Struct, frozen=True, kw_only=True):
    """What happened in a window."""

    night: str  # the date on which it opened, YYYY-MM-DD
    opened_at: float
    closed_at: float
    written_at: float
    done: list[ReportJob] = []
    failed: list[ReportJob] = []
    cancelled: list[ReportJob] = []
    left: list[ReportJob] = []
    badges: dict[str, int] = {}  # how many takes got each
    gpu_hours: float = 0.0  # of jobs that use the GPU
    busy_hours: float = 0.0  # of all jobs that make takes or videos
    given_way: list[str] = []  # why work rested, in sentences, each once
