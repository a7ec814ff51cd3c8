"""Runs an iterator ahead of its consumer in a thread, a few items deep."""

import queue
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

T = TypeVar("T")

_POLL_S = 0.1  # how often a waiting consumer asks whether it should go on


class _End:
    """The last item of a run: how it ended."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def prefetch(
    items: Iterator[T], *, depth: int, stop: threading.Event, still: Callable[[], None] | None = None
) -> Iterator[T]:
    """Yield `items`, made in a thread at most `depth` ahead; errors come out where they happened.

    `still` is called before each item and while waiting; what it raises ends both sides. Closing the
    generator sets `stop`, which `items` may watch in long work, and waits for the thread.
    """
    ready: queue.Queue[T | _End] = queue.Queue(depth)
    maker = threading.Thread(target=_make, args=(items, ready, stop), name="prefetch", daemon=True)
    maker.start()
    try:
        while True:
            item = _take(ready, still)
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item
            del item  # a frame must not outlive its use by the wait for the next
    finally:
        stop.set()
        _drain(ready)
        maker.join()


def _make(items: Iterator[T], ready: "queue.Queue[T | _End]", stop: threading.Event) -> None:
    error: BaseException | None = None
    try:
        for item in items:
            if not _offer(item, ready, stop):
                break
            del item
    except BaseException as problem:  # noqa: BLE001 - every error belongs to the consumer
        error = problem
    finally:
        close = getattr(items, "close", None)
        if close is not None:
            close()
    _offer(_End(error), ready, stop)


def _offer(item: "T | _End", ready: "queue.Queue[T | _End]", stop: threading.Event) -> bool:
    """Put an item, waiting for room. Return False when nobody wants it any more."""
    while not stop.is_set():
        try:
            ready.put(item, timeout=_POLL_S)
        except queue.Full:
            continue
        return True
    return False


def _take(ready: "queue.Queue[T | _End]", still: Callable[[], None] | None) -> "T | _End":
    while True:
        if still is not None:
            still()
        try:
            return ready.get(timeout=_POLL_S if still is not None else None)
        except queue.Empty:
            continue


def _drain(ready: "queue.Queue[T | _End]") -> None:
    while True:
        try:
            ready.get_nowait()
        except queue.Empty:
            return
