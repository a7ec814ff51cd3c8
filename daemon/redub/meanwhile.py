"""Two threads at work on one take: delivering what is painted while the engine paints on, and work done one
item ahead.
"""

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar, TypeVarTuple

from daemon.protocol.jobs import Take
from daemon.redub.progress import WAITING, Cancelled, Preview, Reporter

T = TypeVar("T")
Item = TypeVarTuple("Item")

_LOOK_S = 0.1  # between two looks at the delivery, once all is painted


def one_ahead(
    pool: ThreadPoolExecutor, work: Callable[[*Item], T], items: Iterable[tuple[*Item]]
) -> Iterator[T]:
    """Yield `work(*item)` of each item in order, done in the pool while the caller is at the one before."""
    waiting: Future[T] | None = None
    for item in items:
        done, waiting = waiting, pool.submit(work, *item)
        if done is not None:
            yield done.result()
    if waiting is not None:
        yield waiting.result()


class Arrivals:
    """Which chunks are on disk: one thread tells, another waits for them in order."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._ready = 0
        self.is_called_off = False

    def arrive(self, index: int) -> None:
        """Say that chunk `index`, and with it all before it, are on disk."""
        with self._changed:
            self._ready = max(self._ready, index + 1)
            self._changed.notify_all()

    def call_off(self) -> None:
        """Say that no more will come."""
        with self._changed:
            self.is_called_off = True
            self._changed.notify_all()

    def wait_for(self, index: int) -> None:
        """Wait until chunk `index` is on disk. Raises Cancelled when it will never be."""
        with self._changed:
            self._changed.wait_for(lambda: self._ready > index or self.is_called_off)
            if self.is_called_off:
                raise Cancelled


class QuietReporter:
    """The Reporter of a delivery beside the painting: counts, passes sentences on, stops when called off."""

    def __init__(self, reporter: Reporter, arrivals: Arrivals) -> None:
        self.done = 0
        self._reporter, self._arrivals = reporter, arrivals

    def picture(self, width: int, height: int) -> None:
        """Ignore the size."""

    def stage(self, name: str, total: int) -> None:
        """Ignore the stage: the painting is at another."""

    def frames(self, done: int) -> None:
        """Count, and raise Cancelled when the painting was stopped."""
        self.done = max(self.done, done)
        if self._arrivals.is_called_off:
            raise Cancelled

    def log(self, sentence: str) -> None:
        """Pass it on."""
        self._reporter.log(sentence)

    def preview(self, make: Callable[[], Preview]) -> None:
        """Show nothing."""

    def take(self, take: Take) -> None:
        """Say nothing: a delivery alone makes no take."""


def deliver_while_painting(
    paint: Callable[[Callable[[int], None]], None],
    deliver: Callable[[Reporter, Arrivals], None],
    *,
    frames: int,
    reporter: Reporter,
) -> None:
    """Run `deliver` in a thread of its own, and `paint` here; `paint` says which chunk is on disk.

    Raises what either raises; then the other is stopped, too.
    """
    arrivals = Arrivals()
    quiet = QuietReporter(reporter, arrivals)
    with ThreadPoolExecutor(1, thread_name_prefix="deliver") as pool:
        delivery = pool.submit(deliver, quiet, arrivals)

        def arrived(index: int) -> None:
            if delivery.done():
                delivery.result()  # it failed, or there was nothing to do
            arrivals.arrive(index)

        try:
            paint(arrived)
            reporter.stage("deliver", frames)
            shown = 0
            while not wait([delivery], timeout=_LOOK_S).done:
                done = quiet.done
                reporter.frames(done if done > shown else WAITING)
                shown = done
        except BaseException:
            arrivals.call_off()
            raise
        delivery.result()
