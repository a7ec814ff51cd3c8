"""Time the queue: submits, claims, and a list of 10,000 jobs.

    python -m tests.benchmarks.queue_speed [FOLDER]

FOLDER should lie on a real disk: every submit and claim waits for the disk.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from daemon.protocol.jobs import RedubSpec
from daemon.queue.store import JobStore

JOBS = 10_000


def spec(number: int) -> RedubSpec:
    """Return a job of a usual size."""
    return RedubSpec(
        source=f"/footage/reel 4/A{number:04}.mov",
        voice=f"/voices/{number:04}.wav",
        in_=100,
        out=225,
        seed=number,
    )


def seconds(act: Callable[[], object]) -> float:
    """Return how long `act` takes."""
    begun = time.perf_counter()
    act()
    return time.perf_counter() - begun


def main() -> None:
    """Print the figures."""
    parent = sys.argv[1] if len(sys.argv) > 1 else None
    with tempfile.TemporaryDirectory(dir=parent) as folder:
        store = JobStore(Path(folder) / "queue.sqlite")
        submitting = seconds(
            lambda: [store.submit(spec(number), priority=number % 3) for number in range(JOBS)]
        )
        print(f"submit: {JOBS / submitting:.0f} a second, {1000 * submitting / JOBS:.2f} ms each")
        listing = sorted(seconds(store.list) for _ in range(5))
        print(f"list of {JOBS}: median {1000 * listing[2]:.0f} ms, worst {1000 * listing[-1]:.0f} ms")
        claiming = seconds(lambda: [store.claim("engine") for _ in range(2000)])
        print(f"claim with {JOBS} waiting: {2000 / claiming:.0f} a second")
        store.close()


if __name__ == "__main__":
    main()
