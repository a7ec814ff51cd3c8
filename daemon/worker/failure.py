"""Turns whatever a job raised into the one error that people see. The only place where that happens."""

import errno
import os
import traceback
from pathlib import Path

from daemon.protocol.errors import DubwrightError, ErrorInfo, InternalError, MachineError

DETAIL_LIMIT = 16_000  # characters of traceback kept, the last ones

FULL = {errno.ENOSPC, errno.EDQUOT} if hasattr(errno, "EDQUOT") else {errno.ENOSPC}
UNWRITABLE = {errno.EACCES, errno.EPERM, errno.EROFS}


def error_info(error: BaseException) -> ErrorInfo:
    """Return what to show for `error`; its traceback goes into `detail`, for the log."""
    detail = "".join(traceback.format_exception(error))[-DETAIL_LIMIT:]
    found = _as_ours(error)
    return ErrorInfo(found.code, found.message, found.hint, f"{found.detail}\n{detail}".strip())


def _as_ours(error: BaseException) -> DubwrightError:
    if isinstance(error, DubwrightError):
        return error
    if isinstance(error, OSError) and error.errno in FULL:
        return MachineError("disk.full", f"The disk is full{_place(error)}.")
    if isinstance(error, OSError) and error.errno in UNWRITABLE:
        return MachineError("dest.unwritable", f"There is no permission to write{_place(error)}.")
    if isinstance(error, FileNotFoundError) and error.filename and not _has_folder(error.filename):
        folder = Path(os.fsdecode(error.filename)).parent
        return MachineError(
            "dest.unwritable", f"The folder {folder} was taken away while the job ran.",
            hint="Run `dubwright retry`, which makes it anew.",
        )  # fmt: skip
    if isinstance(error, MemoryError):
        return MachineError("memory.full", "There is not enough memory for this job.")
    text = str(error).strip().splitlines()
    return InternalError("internal", f"{type(error).__name__}: {text[0]}" if text else type(error).__name__)


def _has_folder(path: str | bytes) -> bool:
    return Path(os.fsdecode(path)).parent.is_dir()


def _place(error: OSError) -> str:
    return f" ({error.filename})" if error.filename else ""
