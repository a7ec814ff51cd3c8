"""What server and worker say to each other over the worker's pipes: msgpack, each after its length."""

from typing import IO, Any

import msgspec

from daemon.protocol.errors import ErrorInfo
from daemon.protocol.events import JobPreviewed
from daemon.protocol.jobs import JobSpec, Take

LENGTH_BYTES = 4  # big endian

MESSAGE_LIMIT = 256 * 2**20
"""Bytes. Both ends are ours; the limit keeps a torn stream from asking for all the memory."""


class StageTiming(msgspec.Struct, frozen=True):
    """What one stage of a job cost."""

    stage: str
    frames: int
    seconds: float
    megapixels: float  # of one source frame; 0 when the job did not say


# Server to worker.


class Run(msgspec.Struct, frozen=True, tag=True):
    """Do this job. A worker gets the next one only after it ended the last."""

    job_id: str
    attempt: int
    spec: JobSpec
    work: str  # the job's folder, which outlives the worker


class Stop(msgspec.Struct, frozen=True, tag=True):
    """End the job you are at; keep what is checkpointed."""

    job_id: str
    attempt: int


# Worker to server. `attempt` is that of the job it speaks about.


class Ready(msgspec.Struct, frozen=True, tag=True):
    """The imports are done; jobs start at once."""

    pid: int


class Beat(msgspec.Struct, frozen=True, tag=True):
    """Alive, and this far; sent twice a second while a job runs."""

    attempt: int
    stage: str  # "" before the first
    done: int
    total: int
    megapixels: float  # of one source frame; 0: not known
    steps: int = 0  # that the job itself has made, not the thread of the beats


class Logged(msgspec.Struct, frozen=True, tag=True):
    """A sentence for the job's log."""

    attempt: int
    sentence: str


class Previewed(msgspec.Struct, frozen=True, tag=True):
    """Roughly what the job is painting; the fields are those of `JobPreviewed`."""

    attempt: int
    picture: bytes
    frames: list[int]
    chunk: int
    chunks: int
    step: int
    steps: int


class TakeMade(msgspec.Struct, frozen=True, tag=True):
    """One of the job's takes is on disk; it stays, whatever becomes of the job."""

    attempt: int
    take: Take


class Finished(msgspec.Struct, frozen=True, tag=True):
    """The job is done and its takes are on disk."""

    attempt: int
    takes: list[Take]
    result: dict[str, Any] | None
    timings: list[StageTiming]


class Failed(msgspec.Struct, frozen=True, tag=True):
    """The job cannot be done."""

    attempt: int
    error: ErrorInfo


class Stopped(msgspec.Struct, frozen=True, tag=True):
    """The job ended because of `Stop`."""

    attempt: int


Order = Run | Stop
Report = Ready | Beat | Logged | Previewed | TakeMade | Finished | Failed | Stopped

ORDERS = msgspec.msgpack.Decoder(Order)
REPORTS = msgspec.msgpack.Decoder(Report)


def preview_of(job_id: str, report: Previewed) -> JobPreviewed:
    """Return the event that a worker's preview becomes."""
    given = msgspec.structs.asdict(report)
    del given["attempt"]
    return JobPreviewed(job_id=job_id, **given)


def write_message(pipe: IO[bytes], message: Order | Report) -> None:
    """Write one message and flush. Raises OSError when the other end is gone."""
    body = msgspec.msgpack.encode(message)
    pipe.write(len(body).to_bytes(LENGTH_BYTES, "big") + body)
    pipe.flush()


def read_message(pipe: IO[bytes]) -> bytes | None:
    """Return the next message's bytes, or None at the end of the stream, also one torn by a death.

    Raises ValueError for a length over MESSAGE_LIMIT.
    """
    header = pipe.read(LENGTH_BYTES)
    if len(header) < LENGTH_BYTES:
        return None
    length = int.from_bytes(header, "big")
    if length > MESSAGE_LIMIT:
        raise ValueError(f"a message of {length} bytes; the limit is {MESSAGE_LIMIT}")
    body = pipe.read(length)
    return body if len(body) == length else None
