"""What paired machines hear: each the events of its own jobs, under topics that begin with its public key.

A subscriber's key is known from its handshake, and a subscription counts only below that key. So no machine
hears of another's jobs, and one whose pairing was ended hears nothing from that moment on.
"""

from collections.abc import Callable

import msgspec
import zmq
import zmq.asyncio

from daemon.pairing.clients import PairedClients
from daemon.protocol.codec import encode_event
from daemon.protocol.errors import DubwrightError
from daemon.protocol.events import Event, ReportWritten, Subscribed, WorkerChanged, event_topic

SUBSCRIBE, UNSUBSCRIBE = 1, 0


class PairedEvents:
    """One XPUB socket for all paired machines. Belongs to the event loop's thread."""

    def __init__(
        self, socket: zmq.asyncio.Socket, clients: PairedClients, client_of: Callable[[str], str]
    ) -> None:
        self._socket, self._clients, self._client_of = socket, clients, client_of

    def publish(self, event: Event, seq: int) -> None:
        """Tell the machine whose job it is about, or all of them. Never waits."""
        try:
            for key in self._hearers(event):
                self._send(f"{key}/{event_topic(event)}".encode(), _reduced(event), seq)
        except DubwrightError:
            return  # the list of machines cannot be read: nobody is let in, so nobody hears

    async def greet_subscribers(self) -> None:
        """Make subscriptions count that may, and answer each with `subscribed`, until cancelled."""
        while True:
            frame = await self._socket.recv(copy=False)
            data, key = frame.bytes, _user_of(frame)
            topic = data[1:]
            if not data or not key or not topic.startswith(f"{key}/".encode()):
                continue
            if data[0] == UNSUBSCRIBE:
                self._socket.setsockopt(zmq.UNSUBSCRIBE, topic)
            elif data[0] == SUBSCRIBE and self._is_known(key):
                self._socket.setsockopt(zmq.SUBSCRIBE, topic)
                plain = topic.removeprefix(f"{key}/".encode())
                self._send(topic, Subscribed(topic=plain.decode("utf-8", "replace")), 0)

    def _hearers(self, event: Event) -> list[str]:
        if isinstance(event, ReportWritten):
            return []  # it tells of everyone's jobs
        job_id = getattr(event, "job_id", None)
        if job_id is None:
            return [client.public for client in self._clients.all()]
        key = self._client_of(job_id)
        return [key] if key and self._clients.find(key) else []

    def _is_known(self, key: str) -> bool:
        try:
            return self._clients.find(key) is not None
        except DubwrightError:
            return False

    def _send(self, topic: bytes, event: Event, seq: int) -> None:
        self._socket.send_multipart([topic, encode_event(event, seq=seq)], flags=zmq.DONTWAIT)


def _reduced(event: Event) -> Event:
    """Return the event without what concerns others' jobs."""
    if isinstance(event, WorkerChanged):
        return WorkerChanged(worker=msgspec.structs.replace(event.worker, job_id=None))
    return event


def _user_of(frame: zmq.Frame) -> str:
    """Return the key that a connection was let in with; nothing for one that is gone."""
    try:
        return str(frame.get("User-Id"))
    except zmq.ZMQError:
        return ""
