"""Files on the way to the disk: what an unfinished one is called, and what the disk says when it is full."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from av.error import FFmpegError

from daemon.protocol.errors import InternalError, MachineError

_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}


@contextmanager
def map_write_errors(path: Path) -> Iterator[None]:
    """Turn errors of writing `path` into MachineError `disk.full` or `dest.unwritable`.

    An encoder that fails without the system's blame is InternalError `internal`.
    """
    try:
        yield
    except (OSError, FFmpegError) as error:
        number = error.errno
        reason = error.strerror or str(error)
        if number in _FULL:
            raise MachineError("disk.full", f"There is no room for {path}.", detail=str(error)) from error
        if isinstance(error, OSError):
            raise MachineError("dest.unwritable", f"{path} cannot be written: {reason}.") from error
        raise InternalError("internal", f"{path.name} could not be encoded: {reason}.") from error


def part_of(final: Path) -> Path:
    """Return where a file lies while it is written: beside its place."""
    return final.with_name(f"{final.name}.part")
