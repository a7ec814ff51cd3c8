"""`python -m daemon.worker`: a worker process. Only the daemon's supervisor starts it."""

import ctypes
import faulthandler
import signal
import sys

from daemon.worker.confinement import confine
from daemon.worker.process import WorkerProcess, take_pipes

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def die_with_parent() -> None:
    """On Linux, have the kernel end us with the server, even if our threads hang in a library."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def main() -> None:
    """Run jobs until the server closes our stdin."""
    die_with_parent()
    confine()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which then tells us
    faulthandler.enable()
    orders, reports = take_pipes()
    WorkerProcess(orders, reports).run()


if __name__ == "__main__":
    main()
