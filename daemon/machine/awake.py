"""Keeps the machine from sleeping while a job runs, and only then: each system's own way in one class."""

import contextlib
import ctypes
import logging
import os
import shutil
import subprocess
import sys

log = logging.getLogger(__name__)

WHY = "A job runs."


class Awake:
    """Holds sleep off. On Linux and macOS a helper does; it ends with us, however we end."""

    def __init__(self) -> None:
        self._helper: subprocess.Popen[bytes] | None = None
        self._is_held = False

    def hold(self, wanted: bool) -> None:
        """Hold sleep off from now on, or no longer. Where nothing can, sleep is not held off."""
        if wanted == self._is_held:
            return
        self._is_held = wanted
        if sys.platform == "win32":
            _windows(wanted)
        elif wanted:
            self._begin()
        else:
            self._end()

    @property
    def is_held(self) -> bool:
        """Whether the system was asked, and has not refused so far as we know."""
        if self._helper is not None:
            return self._helper.poll() is None
        return self._is_held and sys.platform == "win32"

    def _begin(self) -> None:
        command = inhibitor()
        if command is None:
            return
        try:
            self._helper = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
        except OSError as error:
            log.warning("Sleep cannot be held off: %s.", error)

    def _end(self) -> None:
        helper, self._helper = self._helper, None
        if helper is None:
            return
        assert helper.stdin is not None
        with contextlib.suppress(OSError):
            helper.stdin.close()  # `cat` ends with its input
        helper.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            helper.wait(2.0)


def inhibitor() -> list[str] | None:
    """Return the command that holds sleep off while it runs, or None where there is none.

    Linux: logind's lock, held by `cat` on a pipe of ours, so that it is free when we are gone. macOS:
    caffeinate, which watches our process.
    """
    if sys.platform == "darwin":
        return ["caffeinate", "-i", "-w", str(os.getpid())]
    program = shutil.which("systemd-inhibit")
    if program is None:
        return None
    return [program, "--what=sleep:idle", "--mode=block", "--who=Dubwright", f"--why={WHY}", "cat"]


def _windows(wanted: bool) -> None:
    """Tell Windows that the system is in use. The state is our thread's: always call from the same one."""
    if sys.platform == "win32":
        continuous, system_required = 0x80000000, 0x00000001  # winbase.h
        ctypes.windll.kernel32.SetThreadExecutionState(continuous | (system_required if wanted else 0))
