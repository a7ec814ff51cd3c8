"""The sockets of one client to one daemon: opened when they are needed, and again after they were lost."""

import threading
import time
from typing import Literal

import zmq

from daemon.channel import Channel, ChannelClosedError
from daemon.connection import Endpoint, load_keys
from daemon.launch import find_daemon, has_crashed, start_daemon
from daemon.pairing.hosts import Host
from daemon.paths import Paths
from daemon.protocol.codec import MAX_REQUEST_BYTES, read_parent
from daemon.protocol.errors import MachineError, RequestError

TRIES = 3
TRY_TIMEOUT_S = 5.0
TRY_PAUSE_S = 0.1

SocketName = Literal["requests", "control", "events", "files"]


class Wire:
    """The way to the daemon of this home, or to that of `host`. Safe to use from several threads.

    With `start` the daemon of this home is started when none runs; once we have met it, only if it crashed.
    """

    def __init__(self, paths: Paths, host: Host | None, *, start: bool) -> None:
        self.has_met = False
        self._paths, self._host, self._start = paths, host, start
        self._lock = threading.Lock()
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._channels: dict[str, Channel] = {}

    def close(self) -> None:
        """Close everything; safe to call twice."""
        self.hang_up()
        self._context.destroy(linger=0)

    def hang_up(self) -> None:
        """Close the sockets of requests; the next one opens them again."""
        with self._lock:
            for channel in self._channels.values():
                channel.close()
            self._channels.clear()

    def exchange(
        self, data: bytes, message_id: str, socket: SocketName, *, timeout_s: float = TRY_TIMEOUT_S
    ) -> bytes:
        """Send a request, again if no answer comes, and return its reply.

        Raises RequestError `protocol.too_large`; MachineError `daemon.unreachable`, `daemon.refused`.
        """
        if len(data) > MAX_REQUEST_BYTES:
            raise RequestError(
                "protocol.too_large", f"The request has {len(data)} bytes; the limit is {MAX_REQUEST_BYTES}."
            )
        why = ""
        for attempt in range(TRIES):
            time.sleep(TRY_PAUSE_S * attempt)
            channel = self._channel(socket)
            try:
                return channel.exchange(
                    data, lambda reply: read_parent(reply) == message_id, timeout_s=timeout_s
                )
            except ChannelClosedError as error:
                self.hang_up()
                why = str(error)
        if self._host is None:
            raise MachineError("daemon.unreachable", f"The daemon does not answer: {why}.")
        raise MachineError(
            "daemon.unreachable",
            f"The daemon of {self._host.name} does not answer: {why}.",
            hint=f"See that it runs there, and that {self._host.address} can be reached from here.",
        )

    def _channel(self, name: SocketName) -> Channel:
        with self._lock:
            if name not in self._channels:
                self._channels[name] = self.open(zmq.DEALER, name)
            return self._channels[name]

    def open(self, kind: int, name: SocketName) -> Channel:
        """Connect to where the daemon listens now, starting it if it should run."""
        if self._host is not None:
            return Channel(self._context, kind, getattr(self._host.endpoint, name), self._host.keys)
        endpoint = self._locate()
        keys = load_keys(self._paths.keys_file)
        if keys is None:
            raise MachineError("daemon.refused", f"There are no keys in {self._paths.keys_file}.")
        return Channel(self._context, kind, getattr(endpoint, name), keys)

    def _locate(self) -> Endpoint:
        endpoint = find_daemon(self._paths)
        if endpoint is None and self._start and (not self.has_met or has_crashed(self._paths)):
            endpoint = start_daemon(self._paths)
        if endpoint is None:
            raise MachineError("daemon.unreachable", "No daemon runs.")
        return endpoint
