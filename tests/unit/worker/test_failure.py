"""Every exception of a job becomes one error for people."""

import errno
from pathlib import Path

import pytest

from daemon.protocol.errors import ERRORS, MediaError
from daemon.worker.failure import DETAIL_LIMIT, error_info


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (MediaError("face.none", "There is no face."), "face.none"),
        (OSError(errno.ENOSPC, "No space left on device", "/takes/a.mov"), "disk.full"),
        (PermissionError(errno.EACCES, "Permission denied", "/takes/a.mov"), "dest.unwritable"),
        (OSError(errno.EROFS, "Read-only file system"), "dest.unwritable"),
        (MemoryError(), "memory.full"),
        (OSError(errno.EIO, "Input/output error"), "internal"),
        (KeyError("mouth"), "internal"),
        (AssertionError(), "internal"),
    ],
)
def test_code_of_an_exception(error: Exception, code: str) -> None:
    info = error_info(error)
    assert info.code == code
    assert info.message
    assert info.hint == ERRORS[code].hint


def test_full_disk_names_the_file() -> None:
    assert "/takes/a.mov" in error_info(OSError(errno.ENOSPC, "No space", "/takes/a.mov")).message


def test_detail_holds_the_traceback_and_its_cause_within_a_limit() -> None:
    try:
        try:
            raise KeyError("mouth")
        except KeyError as cause:
            raise ValueError("x" * 2 * DETAIL_LIMIT) from cause
    except ValueError as error:
        detail = error_info(error).detail
    assert len(detail) <= DETAIL_LIMIT


def test_a_folder_that_was_taken_away_is_no_fault_of_ours(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as gone:
        (tmp_path / "takes" / "a.mov").write_bytes(b"")
    assert error_info(gone.value).code == "dest.unwritable"
    assert str(tmp_path / "takes") in error_info(gone.value).message
    with pytest.raises(FileNotFoundError) as absent:
        (tmp_path / "a.mov").read_bytes()
    assert error_info(absent.value).code == "internal"
