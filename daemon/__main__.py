"""`python -m daemon`: run the server in the foreground until it is told to stop.

It prints one line of JSON when it is ready, `{"endpoint": {...}}`, or `{"error": {...}}` when it cannot
start. Ctrl-C, SIGTERM and the request `shutdown` end it cleanly. With `--detached` (how clients start it) it
lets go of its output after that line.
"""

import asyncio
import gc
import logging
import logging.handlers
import os
import sys
from pathlib import Path

import msgspec

from daemon.config import load_config
from daemon.connection import Endpoint, Lock
from daemon.paths import find_paths
from daemon.protocol.errors import DubwrightError
from daemon.server import Server

LOG_BYTES = 4 * 1024 * 1024
LOG_FILES = 3

GC_THRESHOLD = 100_000
"""New objects between two garbage collections: a list of 10,000 jobs is made without one (a third faster)."""


def main() -> int:
    """Run the daemon; return the exit status: 0 after a clean stop, else that of the error."""
    detached = "--detached" in sys.argv[1:]
    lock: Lock | None = None
    try:
        paths = find_paths()
        paths.make()
        config = load_config(paths.config_file)
        lock = Lock(paths.lock_file)
        lock.acquire()
        start_log(paths.server_log, config.log.level)
        server = Server(paths, config, lock)
        run_loop(server, detached=detached)
    except DubwrightError as error:
        logging.getLogger(__name__).error("Not started: %s", error)
        announce({"error": error.to_info()})
        return error.exit_status
    except Exception:
        logging.getLogger(__name__).exception("The daemon ended.")
        raise
    finally:
        if lock is not None:
            lock.release()
    return 0


def run_loop(server: Server, *, detached: bool) -> None:
    """Run the server on an event loop that ZeroMQ can use (on Windows, not the default one)."""

    def ready(endpoint: Endpoint) -> None:
        announce({"endpoint": endpoint})
        if detached:
            let_go_of_output()

    gc.set_threshold(GC_THRESHOLD)
    factory = asyncio.SelectorEventLoop if sys.platform == "win32" else None
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(server.run(ready))


def start_log(path: Path, level: str) -> None:
    """Write the log to a file that is rotated before it grows large."""
    handler = logging.handlers.RotatingFileHandler(
        path, maxBytes=LOG_BYTES, backupCount=LOG_FILES, encoding="utf-8"
    )
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=level.upper(), handlers=[handler])


def announce(message: object) -> None:
    """Print a line of JSON, if anybody listens."""
    try:
        print(msgspec.json.encode(message).decode(), flush=True)
    except OSError:
        let_go_of_output()


def let_go_of_output() -> None:
    """Point standard output at nothing, so that whoever started us can close its end."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.close(nothing)


if __name__ == "__main__":
    sys.exit(main())
