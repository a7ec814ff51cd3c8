"""Publishes events: one XPUB socket, a topic for each job, and a word to each new subscriber.

A slow subscriber loses events instead of slowing the daemon down (libzmq drops them at its high-water mark),
so events of a job carry its `seq`: a client that was away asks for the job, and drops what it has seen.
"""

import zmq
import zmq.asyncio

from daemon.pairing.events import PairedEvents
from daemon.protocol.codec import encode_event
from daemon.protocol.events import Event, Subscribed, event_topic

SUBSCRIBE = 1
"""First byte of what an XPUB socket receives when a client subscribes; the topic follows."""


class EventBus:
    """The daemon's voice. Belongs to the event loop's thread."""

    def __init__(self, socket: zmq.asyncio.Socket) -> None:
        self._socket = socket
        self.paired: PairedEvents | None = None

    def publish(self, event: Event, seq: int = 0) -> None:
        """Tell everyone who listens. Never waits."""
        self._send(event_topic(event).encode(), event, seq)
        if self.paired is not None:
            self.paired.publish(event, seq)

    async def greet_subscribers(self) -> None:
        """Answer each subscription with `subscribed` on its own topic, until cancelled.

        A subscriber that has seen it misses nothing from there on, and so knows when to ask for a snapshot.
        """
        while True:
            frame = await self._socket.recv()
            if isinstance(frame, bytes) and frame[:1] == bytes([SUBSCRIBE]):
                topic = frame[1:]
                self._send(topic, Subscribed(topic=topic.decode("utf-8", "replace")), 0)

    def _send(self, topic: bytes, event: Event, seq: int) -> None:
        self._socket.send_multipart([topic, encode_event(event, seq=seq)], flags=zmq.DONTWAIT)
