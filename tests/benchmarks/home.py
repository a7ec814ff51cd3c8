"""An empty home for a benchmark's daemon, which ends with the benchmark, also when that is interrupted."""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

from daemon.client import Client
from daemon.connection import is_locked
from daemon.faces.mesh import models_folder
from daemon.paths import find_paths


@contextlib.contextmanager
def home_for(folder: Path, *, scripted: bool) -> Iterator[Path]:
    """Point this process and the daemons it starts at an empty home; end the daemon that is left in it.

    scripted: jobs are acted (tests/fakes/runner.py) rather than done.
    """
    changed = {
        "DUBWRIGHT_HOME": str(folder / "home"),
        "DUBWRIGHT_FACE_MODELS": os.environ.get("DUBWRIGHT_FACE_MODELS", str(models_folder())),
    }
    if scripted:
        changed["DUBWRIGHT_RUNNER"] = "tests.fakes.runner:run_job"
    before = {name: os.environ.get(name) for name in changed}
    os.environ.update(changed)
    terminated = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        yield folder
    finally:
        if is_locked(find_paths().lock_file):
            with Client.connect(start=False, name="benchmark") as last:
                last.shutdown()
        signal.signal(signal.SIGTERM, terminated)
        for name, value in before.items():
            os.environ.pop(name, None)
            os.environ.update({} if value is None else {name: value})
