"""Exit statuses. 2 to 5 are those of the error families (daemon/protocol/errors.py)."""

from enum import IntEnum

from daemon.protocol.errors import error_from_info
from daemon.protocol.jobs import Job, JobState


class ExitStatus(IntEnum):
    """What the shell learns."""

    OK = 0
    REQUEST = 2
    MEDIA = 3
    MACHINE = 4
    INTERNAL = 5
    CANCELLED = 6
    BAD_TAKE = 7  # a take was made, but it did not pass: its badge is `fail`
    INTERRUPTED = 130


def status_of(job: Job) -> ExitStatus:
    """Return the exit status that tells how a job ended; a job that has not ended is no error."""
    if job.state is JobState.CANCELLED:
        return ExitStatus.CANCELLED
    if job.state is JobState.FAILED:
        return ExitStatus(error_from_info(job.error).exit_status) if job.error else ExitStatus.INTERNAL
    if any(take.badge == "fail" for take in job.takes):
        return ExitStatus.BAD_TAKE
    return ExitStatus.OK
