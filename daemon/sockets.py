"""The daemon's sockets: bound, encrypted, and limited so that no flood fills the memory."""

import contextlib
from collections.abc import Iterator, Sequence

import zmq
import zmq.asyncio
from zmq.auth.asyncio import AsyncioAuthenticator

from daemon.connection import HOME, PAIRED, Keys, KnownClients, secure_server
from daemon.pairing.clients import PairedClients
from daemon.protocol.codec import MAX_FRAME_BYTES
from daemon.protocol.errors import MachineError

WAITING_MESSAGES = 256
"""How many messages a socket holds for us or for one client."""

HANDSHAKE_MS = 5_000
"""A connection that has not proved its key by then is closed."""

LINGER_MS = 500
"""How long the last replies and events may take to leave when the daemon ends."""

HOME_KINDS = (zmq.ROUTER, zmq.ROUTER, zmq.XPUB)
PAIRED_KINDS = (zmq.ROUTER, zmq.ROUTER, zmq.XPUB, zmq.ROUTER)
"""Requests, control, events; for paired machines files, too."""


@contextlib.contextmanager
def listening(keys: Keys, paired: PairedClients) -> Iterator[zmq.asyncio.Context]:
    """Give a context whose secured sockets let in only known clients, each domain its own."""
    context = zmq.asyncio.Context()
    guard = AsyncioAuthenticator(context)
    guard.start()
    guard.configure_curve_callback(HOME, credentials_provider=KnownClients(keys))
    guard.configure_curve_callback(PAIRED, credentials_provider=paired)
    try:
        yield context
    finally:
        guard.stop()
        context.term()


@contextlib.contextmanager
def bound(
    context: zmq.asyncio.Context, keys: Keys, domain: str, kinds: Sequence[int], addresses: Sequence[str]
) -> Iterator[list[zmq.asyncio.Socket]]:
    """Bind a socket of each kind to its address. Raises MachineError `daemon.unreachable`."""
    sockets: list[zmq.asyncio.Socket] = []
    try:
        for kind, address in zip(kinds, addresses, strict=True):
            socket = context.socket(kind)
            sockets.append(socket)
            _limit(socket, domain)
            secure_server(socket, keys, domain=domain)
            _bind(socket, address)
        yield sockets
    finally:
        for socket in sockets:
            socket.close(linger=LINGER_MS)


def _limit(socket: zmq.asyncio.Socket, domain: str) -> None:
    socket.maxmsgsize = MAX_FRAME_BYTES
    socket.rcvhwm = WAITING_MESSAGES
    socket.sndhwm = 4 * WAITING_MESSAGES
    socket.handshake_ivl = HANDSHAKE_MS
    socket.heartbeat_ivl = 10_000  # notices clients that vanished without closing
    if socket.type == zmq.XPUB:
        socket.xpub_verbose = True  # tell us of each subscription, also of a topic that has one
        if domain == PAIRED:
            socket.setsockopt(zmq.XPUB_MANUAL, 1)  # we say what a subscriber hears


def _bind(socket: zmq.asyncio.Socket, address: str) -> None:
    socket.ipv6 = "[" in address
    try:
        socket.bind(address)
    except zmq.ZMQError as error:
        raise MachineError(
            "daemon.unreachable",
            f"The daemon cannot listen on {address}: {error.strerror}.",
            hint="Correct `server.host` and `server.port`, or `remote.listen`, in the settings.",
        ) from error
