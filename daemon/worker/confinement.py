"""What a worker may not do, whatever a broken file makes a decoder do: limits it takes on and cannot shed.

Workers read files of strangers with large libraries in C. They hold no keys of the daemon's protocol in
memory and listen nowhere; here they also give up what they never need.
"""

import ctypes
import os
import sys
from contextlib import suppress

PR_SET_NO_NEW_PRIVS = 38  # linux/prctl.h

OPEN_FILES = 1024
"""Handles: a job with a folder of pictures, its source, its chunks and its libraries uses some dozens."""


def confine() -> None:
    """Take on the limits that this system has.

    Linux: no program started from here can gain rights.
    POSIX: no core dumps (they would hold footage), a bounded number of open files.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with suppress(ValueError):  # a lower limit is in force already
            hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
            limit = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    os.umask(os.umask(0o077) | 0o022)  # others never write what we make, whatever the user's mask
