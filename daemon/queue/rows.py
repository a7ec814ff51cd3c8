"""Turns rows of the queue into what clients see, and back."""

import sqlite3
from typing import Any

import msgspec

from daemon.protocol.errors import ErrorInfo
from daemon.protocol.jobs import (
    CheckSpec,
    FacesSpec,
    Job,
    JobSpec,
    JobState,
    ProbeSpec,
    Progress,
    RedubSpec,
    Take,
)

ROLES: dict[type[msgspec.Struct], str] = {
    RedubSpec: "engine",
    FacesSpec: "inspect",
    ProbeSpec: "inspect",
    CheckSpec: "inspect",
}
"""Which kind of worker runs a spec. A look at a shot never waits behind a long redub."""

_spec = msgspec.json.Decoder(JobSpec)
_progress = msgspec.json.Decoder(Progress)
_error = msgspec.json.Decoder(ErrorInfo)
_take = msgspec.json.Decoder(Take)


def to_json(value: Any) -> str | None:
    """Return `value` as JSON text, None as None."""
    return None if value is None else msgspec.json.encode(value).decode()


def spec_from(text: str) -> JobSpec:
    """Return the spec kept as `text`."""
    return _spec.decode(text)


def take_from(text: str) -> Take:
    """Return the take kept as `text`."""
    return _take.decode(text)


def job_from(row: sqlite3.Row, takes: list[Take], progress: Progress | None = None) -> Job:
    """Return the job of a row; `progress` is newer than the row's own.

    A result that was not selected (a summary) stays None.
    """
    if progress is None and row["progress"]:
        progress = _progress.decode(row["progress"])
    return Job(
        job_id=row["job_id"],
        spec=_spec.decode(row["spec"]),
        state=JobState(row["state"]),
        priority=row["priority"],
        submitted_at=row["submitted_at"],
        submitted_by=row["submitted_by"],
        attempts=row["attempt"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        progress=progress,
        error=_error.decode(row["error"]) if row["error"] else None,
        takes=takes,
        result=msgspec.json.decode(row["result"]) if row["result"] else None,
    )
