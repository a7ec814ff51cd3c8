"""Turns rows of the queue into what clients see, and back."""

from collections.abc import Sequence
from typing import Any

import msgspec

from daemon.protocol.errors import ErrorInfo
from daemon.protocol.jobs import (
    GenerateSpec,
    Job,
    JobSpec,
    JobState,
    Progress,
    RedubSpec,
    SpeakSpec,
    Take,
)

COLUMNS = (
    "job_id",
    "spec",
    "state",
    "priority",
    "submitted_at",
    "submitted_by",
    "attempt",
    "started_at",
    "finished_at",
    "progress",
    "error",
    "tonight",
    "deadline",
    "result",
)
"""What a job is made from, in the order that `job_from` takes."""

_spec = msgspec.json.Decoder(JobSpec)
_progress = msgspec.json.Decoder(Progress)
_error = msgspec.json.Decoder(ErrorInfo)
_take = msgspec.json.Decoder(Take)
_STATES = {str(state): state for state in JobState}


def to_json(value: Any) -> str | None:
    """Return `value` as JSON text, None as None."""
    return None if value is None else msgspec.json.encode(value).decode()


def spec_from(text: str) -> JobSpec:
    """Return the spec kept as `text`."""
    return _spec.decode(text)


def take_from(text: str) -> Take:
    """Return the take kept as `text`."""
    return _take.decode(text)


def job_from(values: Sequence[Any], takes: list[Take], progress: Progress | None = None) -> Job:
    """Return the job of a row's COLUMNS; `progress` is newer than the row's own.

    Unpacked by place, not by name: a list of 10,000 jobs takes half the time.
    """
    job_id, spec, state, priority, at, by, attempt, started, finished, row_progress, *rest = values
    error, tonight, deadline, result = rest
    if progress is None and row_progress:
        progress = _progress.decode(row_progress)
    return Job(
        job_id=job_id,
        spec=_spec.decode(spec),
        state=_STATES[state],
        priority=priority,
        submitted_at=at,
        submitted_by=by,
        attempts=attempt,
        started_at=started,
        finished_at=finished,
        progress=progress,
        error=_error.decode(error) if error else None,
        takes=takes,
        result=msgspec.json.decode(result) if result else None,
        tonight=bool(tonight),
        deadline=deadline,
    )


def of_client(client: str | None) -> tuple[str, tuple[str, ...]]:
    """Return the condition that a job is of `client` (None: of anyone), and the values it needs."""
    return ("1", ()) if client is None else ("client = ?", (client,))


def uses_gpu(spec: JobSpec) -> bool:
    """Return whether a job needs the GPU, and so gives way to other programs that do."""
    if isinstance(spec, RedubSpec):
        return spec.engine == "wan"
    return isinstance(spec, GenerateSpec | SpeakSpec)


def role_of(spec: JobSpec) -> str:
    """Return which kind of worker runs a spec. A look at a shot never waits behind what takes long."""
    return "engine" if isinstance(spec, RedubSpec | GenerateSpec | SpeakSpec) else "inspect"
