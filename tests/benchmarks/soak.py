"""Thousands of small jobs through one daemon: `python -m tests.benchmarks.soak --jobs 5000`.

Prints the server's and the worker's memory, the server's open files and threads, and what lies on disk, at
ten moments of the run. The first is after a tenth of the jobs, when all that is loaded once is loaded.
"""

import argparse
import json
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from daemon.client import Client
from daemon.paths import find_paths
from daemon.protocol.jobs import JobState
from tests.benchmarks.home import home_for

AT_ONCE = 50


@dataclass(frozen=True)
class Moment:
    """What the daemon takes, after so many jobs."""

    jobs: int
    server_mb: float
    worker_mb: float
    handles: int
    threads: int
    work_folders: int
    queue_mb: float  # with its journal


def soak(folder: Path, jobs: int) -> list[Moment]:
    """Run so many jobs, `AT_ONCE` on the queue; return ten moments."""
    found: list[Moment] = []
    spec = {"source": str(folder / "a.mov"), "voice": str(folder / "chatter"), "in": 0, "out": 30}
    with Client.connect(name="soak") as client:
        for done in range(0, jobs, AT_ONCE):
            batch = [client.submit(spec) for _ in range(min(AT_ONCE, jobs - done))]
            for _ in client.watch(batch[-1].job_id):
                pass
            reached = done + len(batch)
            if reached * 10 // jobs > done * 10 // jobs:
                found.append(_moment(client, reached))
        states = client.status().jobs
    assert states[JobState.DONE] == jobs, states
    return found


def _moment(client: Client, jobs: int) -> Moment:
    status, paths = client.status(), find_paths()
    server = psutil.Process(status.server_pid)
    worker = next(worker for worker in status.workers if worker.role == "engine")
    deadline = time.monotonic() + 30
    while len(list(paths.work.iterdir())) > 1 and time.monotonic() < deadline:
        time.sleep(0.05)  # folders are deleted in the background
    queue = sum(path.stat().st_size for path in paths.data.glob("queue.sqlite*"))
    return Moment(
        jobs=jobs,
        server_mb=round(server.memory_info().rss / 2**20, 1),
        worker_mb=round((worker.rss or 0) / 2**20, 1),
        handles=server.num_fds() if hasattr(server, "num_fds") else server.num_handles(),
        threads=server.num_threads(),
        work_folders=len(list(paths.work.iterdir())),
        queue_mb=round(queue / 2**20, 1),
    )


def main() -> int:
    """Run and print the moments, one a line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=5000)
    options = parser.parse_args()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as name, home_for(Path(name), scripted=True) as folder:
        moments = soak(folder, options.jobs)
    for moment in moments:
        print(json.dumps(asdict(moment)))
    print(f"{options.jobs} jobs in {time.monotonic() - begun:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
