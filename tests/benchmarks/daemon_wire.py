"""Times the daemon as clients feel it: start to first reply, submit, a list of 10,000 jobs, stop.

    python -m tests.benchmarks.daemon_wire

It uses a home of its own, and nothing of the user's.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from daemon.client import Client
from tests.benchmarks.home import home_for

STARTS = 5
SUBMITS = 10_000
LISTS = 10


def timed(work: Callable[[], object]) -> float:
    """Return how long some work takes, in ms."""
    began = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - began)


def tell(what: str, times_ms: list[float]) -> None:
    """Print the median and the worst of some times."""
    print(f"{what:28} median {statistics.median(times_ms):7.2f} ms   worst {max(times_ms):7.2f} ms")


def start_and_stop() -> tuple[float, float]:
    """Start a daemon and stop it; return how long each takes, in ms."""
    clients: list[Client] = []
    start = timed(lambda: clients.append(Client.connect(name="benchmark")))
    with clients[0] as client:
        return start, timed(client.shutdown)


def main() -> None:
    """Print the figures."""
    spec = {
        "source": str(Path("a.mov").absolute()),
        "voice": str(Path("v.wav").absolute()),
        "in": 0,
        "out": 125,
    }
    with tempfile.TemporaryDirectory() as name, home_for(Path(name), scripted=False):
        starts, stops = zip(*(start_and_stop() for _ in range(STARTS)), strict=True)
        tell("start to first reply", list(starts))
        tell("stop", list(stops))
        with Client.connect(name="benchmark") as client:
            tell("submit", [timed(lambda: client.submit(spec, hold=True)) for _ in range(SUBMITS)])
            tell("status", [timed(client.status) for _ in range(100)])
            tell(f"list of {SUBMITS}", [timed(client.jobs) for _ in range(LISTS)])
            client.shutdown()
        start, _ = start_and_stop()
        tell(f"start with {SUBMITS} jobs", [start])


if __name__ == "__main__":
    main()
