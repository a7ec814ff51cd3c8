"""Every event that the daemon publishes, and the topics that they are published under."""

import msgspec

from daemon.protocol.daemon_messages import WorkerInfo
from daemon.protocol.jobs import Job, Progress, Take


class Subscribed(msgspec.Struct, frozen=True, kw_only=True):
    """A subscription is live: what happens from now on reaches the subscriber."""

    topic: str


class JobChanged(msgspec.Struct, frozen=True, kw_only=True):
    """A job was submitted, changed its state, or was reordered."""

    job_id: str
    job: Job


class JobProgressed(msgspec.Struct, frozen=True, kw_only=True):
    """A running job went on; at least once a second."""

    job_id: str
    progress: Progress


class JobPreviewed(msgspec.Struct, frozen=True, kw_only=True):
    """Roughly what a running job is painting now; at most one a second, lost without harm."""

    job_id: str
    picture: bytes  # JPEG, at most PREVIEW_LIMIT bytes: frames of the chunk, side by side
    frames: list[int]  # which frames of the source they are, left to right
    chunk: int  # from 1
    chunks: int
    step: int  # of the chunk's sampling, from 1
    steps: int


PREVIEW_LIMIT = 32_768


class JobLogged(msgspec.Struct, frozen=True, kw_only=True):
    """A sentence was added to a job's log."""

    job_id: str
    at: float
    sentence: str


class TakeAdded(msgspec.Struct, frozen=True, kw_only=True):
    """A take is finished and on disk."""

    job_id: str
    take: Take


class TakeChanged(msgspec.Struct, frozen=True, kw_only=True):
    """A take was accepted, rejected, or neither again."""

    job_id: str
    take: Take


class WorkerChanged(msgspec.Struct, frozen=True, kw_only=True):
    """A worker started, took a job, finished it, or ended."""

    worker: WorkerInfo


class ScheduleChanged(msgspec.Struct, frozen=True, kw_only=True):
    """A window opened or closed, the schedule was changed, or work rests or goes on."""

    is_open: bool
    held_back: list[str]


class ReportWritten(msgspec.Struct, frozen=True, kw_only=True):
    """A window closed and its report is on disk."""

    night: str
    json: str
    html: str | None = None


class DaemonStopping(msgspec.Struct, frozen=True, kw_only=True):
    """The daemon is ending cleanly, because it was asked to."""

    server_pid: int


Event = (
    Subscribed
    | JobChanged
    | JobProgressed
    | JobPreviewed
    | JobLogged
    | TakeAdded
    | TakeChanged
    | WorkerChanged
    | ScheduleChanged
    | ReportWritten
    | DaemonStopping
)

EVENTS: dict[str, type[msgspec.Struct]] = {
    "subscribed": Subscribed,
    "job_changed": JobChanged,
    "job_progressed": JobProgressed,
    "job_previewed": JobPreviewed,
    "job_logged": JobLogged,
    "take_added": TakeAdded,
    "take_changed": TakeChanged,
    "worker_changed": WorkerChanged,
    "schedule_changed": ScheduleChanged,
    "report_written": ReportWritten,
    "daemon_stopping": DaemonStopping,
}
"""The one table of events."""

DAEMON_TOPIC = "daemon/"
"""Topic of events that are about no job."""


def job_topic(job_id: str = "") -> str:
    """Return the topic of a job's events, or the prefix of every job's. No topic is the prefix of another."""
    return f"job/{job_id}/" if job_id else "job/"


def event_topic(event: Event) -> str:
    """Return the topic an event is published under."""
    job_id = getattr(event, "job_id", "")
    return job_topic(job_id) if job_id else DAEMON_TOPIC


EVENT_NAMES = {event: name for name, event in EVENTS.items()}
