"""Events as a client receives them, across restarts of the daemon."""

from collections.abc import Callable
from types import TracebackType
from typing import Self

from daemon.channel import Channel, ChannelClosedError
from daemon.protocol.codec import decode_event
from daemon.protocol.events import Event


class Subscription:
    """The events of some topics. It reconnects by itself, and then delivers `subscribed` again.

    Whoever sees `subscribed` may have missed events before it, and none after it.
    """

    def __init__(
        self, connect: Callable[[], Channel], topics: tuple[str, ...], read: Callable[[bytes], bytes]
    ) -> None:
        """`read` turns a message into one that is meant for this machine."""
        self._connect = connect
        self._read = read
        self._topics = topics
        self._channel: Channel | None = None

    def next(self, *, timeout_s: float) -> tuple[Event, int] | None:
        """Return the next event and its `seq`, or None when none comes in time.

        Raises MachineError `daemon.unreachable` once the daemon was stopped.
        """
        if self._channel is None:
            self._channel = self._connect()
            for topic in self._topics:
                self._channel.subscribe(topic)
        try:
            data = self._channel.next(timeout_s=timeout_s)
        except ChannelClosedError:
            self.close()
            return None
        return None if data is None else decode_event(self._read(data))

    def close(self) -> None:
        """Stop listening; safe to call twice."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
