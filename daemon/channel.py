"""A client's encrypted way to the daemon: a DEALER that waits for one reply, and a SUB that waits for events.

libzmq is silent about refused keys and dead peers; a monitor on each socket makes both an answer.
"""

import struct
import threading
import time
from collections.abc import Callable

import zmq

from daemon.connection import ClientKeys, secure_client
from daemon.protocol.errors import MachineError

REFUSED = zmq.EVENT_HANDSHAKE_FAILED_AUTH
GONE = (
    zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_DISCONNECTED
    | zmq.EVENT_CONNECT_RETRIED
)
HEARTBEAT_MS = 5_000
"""A machine that vanished without a word is noticed after twice as long."""

_MONITOR_EVENT = struct.Struct("=hi")  # event, value; libzmq zmq_socket_monitor(3)


class ChannelClosedError(Exception):
    """The daemon is gone, or does not answer; the message may or may not have been carried out."""


class Channel:
    """One socket to one address. Safe to use from several threads: each exchange is whole."""

    def __init__(
        self, context: "zmq.Context[zmq.Socket[bytes]]", kind: int, address: str, keys: ClientKeys
    ) -> None:
        self._lock = threading.Lock()
        self._socket = context.socket(kind)
        self._socket.linger = 0
        self._socket.rcvhwm = 100_000 if kind == zmq.SUB else 1_000
        self._socket.ipv6 = "[" in address
        self._socket.heartbeat_ivl, self._socket.heartbeat_timeout = HEARTBEAT_MS, 2 * HEARTBEAT_MS
        secure_client(self._socket, keys)
        self._monitor = self._socket.get_monitor_socket(REFUSED | GONE)
        self._poller = zmq.Poller()
        self._poller.register(self._socket, zmq.POLLIN)
        self._poller.register(self._monitor, zmq.POLLIN)
        self._socket.connect(address)

    def close(self) -> None:
        """Close the socket; safe to call twice."""
        with self._lock:
            if not self._socket.closed:
                self._socket.disable_monitor()
                self._monitor.close()
                self._socket.close()

    def subscribe(self, topic: str) -> None:
        """Ask for the events of a topic and of those below it."""
        with self._lock:
            self._socket.subscribe(topic)

    def exchange(self, data: bytes, is_reply: Callable[[bytes], bool], *, timeout_s: float) -> bytes:
        """Send a message and return its reply; late replies to earlier messages are dropped.

        Raises ChannelClosedError, MachineError `daemon.refused`.
        """
        deadline = time.monotonic() + timeout_s
        with self._lock:
            try:
                self._socket.send(data, flags=zmq.DONTWAIT)
            except zmq.ZMQError as error:
                raise ChannelClosedError(str(error)) from error
            while True:
                frames = self._receive(deadline)
                if frames is None:
                    raise ChannelClosedError("no answer")
                if is_reply(frames[-1]):
                    return frames[-1]

    def next(self, *, timeout_s: float) -> bytes | None:
        """Return the next event, or None when none comes in time. Raises as `exchange`."""
        with self._lock:
            frames = self._receive(time.monotonic() + timeout_s)
        return None if frames is None else frames[-1]

    def _receive(self, deadline: float) -> list[bytes] | None:
        """Return a message; what has arrived is delivered before the loss of the connection is told."""
        while True:
            if self._socket.closed:
                raise ChannelClosedError("closed")
            left_ms = max(0, round(1000 * (deadline - time.monotonic())))
            ready = dict(self._poller.poll(left_ms))
            if self._socket in ready:
                return self._socket.recv_multipart()
            if self._monitor in ready:
                self._look_at_monitor()
            elif left_ms == 0:
                return None

    def _look_at_monitor(self) -> None:
        event, _ = _MONITOR_EVENT.unpack(self._monitor.recv_multipart()[0])
        if event == REFUSED:
            raise MachineError("daemon.refused", "The daemon does not know our key.")
        if event & GONE:
            raise ChannelClosedError(f"connection lost ({zmq.Event(event).name})")
