"""Finds the running daemon, and starts one on demand."""

import contextlib
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO

import msgspec

import daemon
from daemon.connection import Endpoint, is_locked, read_endpoint
from daemon.paths import Paths
from daemon.protocol.errors import ErrorInfo, MachineError, error_from_info

START_TIMEOUT_S = 20.0
"""Far beyond the usual quarter of a second: a first start on a busy machine compiles every module."""

STOP_TIMEOUT_S = 10.0
POLL_S = 0.01


class FirstLine(msgspec.Struct):
    """What `python -m daemon` prints when it is ready or could not start."""

    endpoint: Endpoint | None = None
    error: ErrorInfo | None = None


def find_daemon(paths: Paths, *, timeout_s: float = START_TIMEOUT_S) -> Endpoint | None:
    """Return where the running daemon listens, waiting for one that is just starting; None when none runs."""
    deadline = time.monotonic() + timeout_s
    while is_locked(paths.lock_file):
        endpoint = read_endpoint(paths.endpoint_file)
        if endpoint is not None:
            return endpoint
        if time.monotonic() > deadline:
            raise MachineError(
                "daemon.unreachable", "A daemon holds the lock but does not say where it listens."
            )
        time.sleep(POLL_S)
    return None


def has_crashed(paths: Paths) -> bool:
    """Return whether the last daemon ended without cleaning up, so that its work is unfinished."""
    return paths.endpoint_file.exists() and not is_locked(paths.lock_file)


def start_daemon(paths: Paths) -> Endpoint:
    """Start a daemon that outlives us and return where it listens; one that another just started will do.

    Raises the DubwrightError that kept it from starting, or MachineError `daemon.unreachable`.
    """
    paths.make()
    with open(paths.logs / "start.log", "wb") as complaints:
        process = _spawn(complaints)
    try:
        line = _first_line(process)
    finally:
        threading.Thread(target=process.wait, name="reap-daemon", daemon=True).start()
    if line.endpoint is not None:
        return line.endpoint
    if line.error is None or line.error.code == "daemon.running":
        running = find_daemon(paths)
        if running is not None:
            return running
    if line.error is not None:
        raise error_from_info(line.error)
    raise MachineError(
        "daemon.unreachable",
        "The daemon ended while it started.",
        hint=f"See {paths.logs / 'start.log'} and {paths.server_log}.",
    )


def wait_until_stopped(paths: Paths, *, timeout_s: float = STOP_TIMEOUT_S) -> None:
    """Wait until the daemon's lock is free. Raises MachineError `daemon.unreachable`."""
    deadline = time.monotonic() + timeout_s
    while is_locked(paths.lock_file):
        if time.monotonic() > deadline:
            raise MachineError("daemon.unreachable", f"The daemon has not ended within {timeout_s:.0f} s.")
        time.sleep(POLL_S)


def _spawn(complaints: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start `python -m daemon` away from our terminal, in a folder where `daemon` is the right package."""
    flags = 0
    if sys.platform == "win32":
        flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
    return subprocess.Popen(
        [sys.executable, "-m", "daemon", "--detached"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=complaints,
        cwd=Path(daemon.__file__).parents[1],
        start_new_session=True,  # POSIX: our terminal's signals do not reach it
        creationflags=flags,
    )


def _first_line(process: subprocess.Popen[bytes]) -> FirstLine:
    """Return the line it prints; an empty one when it ended without."""
    assert process.stdout is not None
    with process.stdout as output:
        text = output.readline()
    with contextlib.suppress(msgspec.DecodeError):
        return msgspec.json.decode(text, type=FirstLine)
    return FirstLine()
