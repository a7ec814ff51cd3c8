"""A server with no sockets: the real queue and the real supervisor in one loop, to be run or to be killed.

`python -m tests.fakes.daemon` runs until killed and says the worker's pid once a job runs.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from daemon.paths import find_paths
from daemon.protocol.events import Event, JobChanged, JobProgressed
from daemon.protocol.jobs import JobState
from daemon.queue.store import JobStore
from daemon.worker.supervisor import Supervisor

RUNNER = "tests.fakes.runner:run_job"


class FakeDaemon:
    """Queue and workers under DUBWRIGHT_HOME, every event kept."""

    def __init__(self, prewarm_s: float | None = None, clock: Callable[[], float] = time.time) -> None:
        self.paths = find_paths()
        self.events: list[tuple[Event, int]] = []
        self._news = asyncio.Event()
        self.store = JobStore(self.paths.queue_file, self.hear, clock=clock)
        self.store.recover()
        loop = asyncio.get_running_loop()
        self.supervisor = Supervisor(self.store, self.hear, loop, paths=self.paths, prewarm_s=prewarm_s)

    async def until(self, is_so: Callable[[], object], timeout_s: float = 120.0) -> None:
        """Wait for an event after which `is_so` holds."""
        async with asyncio.timeout(timeout_s):
            while not is_so():
                self._news.clear()
                await self._news.wait()

    async def until_state(self, job_id: str, *states: JobState) -> None:
        """Wait for a job to be in one of `states`."""
        await self.until(lambda: self.store.get(job_id).state in states)

    async def until_progress(self, job_id: str) -> None:
        """Wait until a running job says how far it is."""
        await self.until(
            lambda: any(
                isinstance(event, JobProgressed) and event.job_id == job_id for event, _ in self.events
            )
        )

    def states(self, job_id: str) -> list[JobState]:
        """Return the states that listeners heard of, in order."""
        changes = [event for event, _ in self.events if isinstance(event, JobChanged)]
        return [event.job.state for event in changes if event.job_id == job_id]

    def pid(self, role: str = "engine") -> int:
        """Return the worker's process id."""
        return next(worker.pid for worker in self.supervisor.workers() if worker.role == role)

    def hear(self, event: Event, seq: int) -> None:
        self.events.append((event, seq))
        self._news.set()


@asynccontextmanager
async def running(
    prewarm_s: float | None = None, clock: Callable[[], float] = time.time
) -> AsyncIterator[FakeDaemon]:
    """Run queue and workers; end the workers afterwards."""
    daemon = FakeDaemon(prewarm_s, clock)
    daemon.supervisor.start()
    try:
        yield daemon
    finally:
        daemon.supervisor.stop()
        daemon.store.close()


async def _run_forever() -> None:
    async with running() as daemon:
        jobs = [job.job_id for job in daemon.store.list()]
        await daemon.until(lambda: any(daemon.store.get(job).state == JobState.RUNNING for job in jobs))
        print(daemon.pid(), flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_run_forever())
