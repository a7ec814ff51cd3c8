"""The server: sockets, the event loop around them, and the order in which everything starts and ends.

Requests come in on a ROUTER socket; cancel, pause and shutdown on a second one, so that they do not queue
behind other requests; events leave on an XPUB socket. Nothing here loads a media or model library: the daemon
answers within half a second of its start, and no broken file can take it down.
"""

import asyncio
import contextlib
import hashlib
import logging
import os
import signal
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterator

import zmq
import zmq.asyncio
from zmq.auth.asyncio import AsyncioAuthenticator

import daemon
from daemon.config import Config
from daemon.connection import (
    Endpoint,
    Keys,
    KnownClients,
    load_or_make_keys,
    secure_server,
    write_endpoint,
)
from daemon.events import EventBus
from daemon.handlers import Handlers
from daemon.paths import Paths
from daemon.protocol.codec import (
    MAX_FRAME_BYTES,
    decode_envelope,
    decode_request,
    encode_error,
    encode_reply,
    read_id,
)
from daemon.protocol.errors import DubwrightError, InternalError, MachineError, RequestError
from daemon.protocol.events import DaemonStopping
from daemon.protocol.messages import PROTOCOL_VERSION, REQUESTS
from daemon.queue.copier import Copier
from daemon.queue.store import JobStore
from daemon.schedule.keeper import Keeper
from daemon.worker.supervisor import Supervisor

log = logging.getLogger(__name__)

WAITING_MESSAGES = 256
"""How many messages a socket holds for us or for one client."""

HANDSHAKE_MS = 5_000
"""A connection that has not proved its key by then is closed."""

LINGER_MS = 500
"""How long the last replies and events may take to leave when the daemon ends."""

REMEMBERED_REPLIES = 512
"""How many of the last replies are kept, so that a repeated request is answered and not carried out again."""


class Server:
    """One daemon, from its sockets to its workers. The caller holds the lock."""

    def __init__(self, paths: Paths, config: Config) -> None:
        self._paths = paths
        self._config = config
        self._stopping = asyncio.Event()
        self._is_broken = False
        self._replies: OrderedDict[tuple[str, bytes], bytes] = OrderedDict()

    async def run(self, ready: Callable[[Endpoint], None]) -> None:
        """Serve until told to stop; call `ready` when the first request can be answered.

        Raises MachineError when it cannot start.
        """
        self._paths.endpoint_file.unlink(missing_ok=True)  # of a daemon that was killed
        keys = load_or_make_keys(self._paths.keys_file)
        with self._sockets(keys) as (requests, control, events), contextlib.ExitStack() as at_end:
            bus = EventBus(events)
            store = self._open_store(bus)
            at_end.callback(store.close)
            supervisor = Supervisor(
                store,
                bus.publish,
                asyncio.get_running_loop(),
                paths=self._paths,
                memory_gb=self._config.limits.worker_memory_gb,
            )
            at_end.callback(supervisor.stop)
            keeper = Keeper(
                store,
                supervisor,
                bus.publish,
                asyncio.get_running_loop(),
                paths=self._paths,
                report=self._config.report,
            )
            at_end.callback(keeper.stop)
            endpoint = _endpoint_of(requests, control, events)
            handlers = Handlers(
                store,
                supervisor,
                keeper,
                paths=self._paths,
                limits=self._config.limits,
                gpu_gb=self._config.wan.memory_gb,
                endpoint=endpoint.requests,
                stop=self._stopping.set,
            )
            write_endpoint(self._paths.endpoint_file, endpoint)
            at_end.callback(self._forget_endpoint)
            self._stop_on_signals()
            copier = Copier(self._paths.queue_file, asyncio.get_running_loop(), on_broken=self._give_up)
            copier.start()
            at_end.callback(copier.stop)
            keeper.start()  # first: what waits for the night must not begin
            supervisor.start()
            ready(endpoint)
            log.info("Ready, process %d, on %s.", os.getpid(), endpoint.requests)
            await self._serve(handlers, bus, (requests, control))
            log.info("Stopping.")
            bus.publish(DaemonStopping(server_pid=os.getpid()))

    def _open_store(self, bus: EventBus) -> JobStore:
        """Open the queue and take back the jobs of a daemon that was killed."""
        store = JobStore(self._paths.queue_file, bus.publish)
        if store.broken is not None:
            log.error("The queue could not be read; it was set aside as %s.", store.broken.aside)
        taken_back = store.recover()
        if taken_back:
            log.warning("The last daemon was killed; %d jobs go on.", len(taken_back))
        return store

    def _give_up(self) -> None:
        """End because the queue is broken; whoever needs us starts a daemon anew, which restores it."""
        log.error("The queue is broken; the daemon ends, and restores it at the next start.")
        self._is_broken = True
        self._stopping.set()

    def _forget_endpoint(self) -> None:
        if not self._is_broken:  # else we are to seem killed, so that clients start another daemon
            self._paths.endpoint_file.unlink(missing_ok=True)

    async def _serve(
        self, handlers: Handlers, bus: EventBus, sockets: tuple[zmq.asyncio.Socket, ...]
    ) -> None:
        """Answer requests until the daemon is told to stop."""
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(self._answer_all(socket, handlers)) for socket in sockets]
            running.append(tasks.create_task(bus.greet_subscribers()))
            await self._stopping.wait()
            for task in running:
                task.cancel()

    async def _answer_all(self, socket: zmq.asyncio.Socket, handlers: Handlers) -> None:
        """Answer what comes in on a socket, one message a turn of the loop, so that no socket starves."""
        while True:
            client, *frames = await socket.recv_multipart()
            reply = self._answer(frames, handlers)
            with contextlib.suppress(zmq.ZMQError):  # the client is gone
                await socket.send_multipart([client, reply])
            await asyncio.sleep(0)

    def _answer(self, frames: list[bytes], handlers: Handlers) -> bytes:
        """Turn a message into its reply. Whatever the message is, there is one."""
        if len(frames) != 1:
            error = RequestError(
                "protocol.malformed", f"The message has {len(frames)} frames instead of one."
            )
            return encode_error(error.to_info(), parent=None)
        data = frames[0]
        try:
            envelope = decode_envelope(data)
        except RequestError as error:
            return encode_error(error.to_info(), parent=read_id(data))
        seen = (envelope.id, hashlib.blake2b(data, digest_size=16).digest())
        if seen in self._replies:
            return self._replies[seen]
        try:
            reply = encode_reply(envelope.type, handlers.answer(decode_request(envelope)), parent=envelope.id)
        except DubwrightError as error:
            if error.code == "daemon.queue_broken":
                self._give_up()
            return encode_error(error.to_info(), parent=envelope.id)
        except Exception as error:  # the rim: a slip of ours is an answer, not the end
            log.exception("The request %.40s failed.", envelope.type)
            slip = InternalError("internal", f"The request {envelope.type[:40]} failed: {error}.")
            return encode_error(slip.to_info(), parent=envelope.id)
        if not REQUESTS[envelope.type].only_reads:
            self._remember(seen, reply)
        return reply

    def _remember(self, seen: tuple[str, bytes], reply: bytes) -> None:
        self._replies[seen] = reply
        if len(self._replies) > REMEMBERED_REPLIES:
            self._replies.popitem(last=False)

    @contextlib.contextmanager
    def _sockets(
        self, keys: Keys
    ) -> Iterator[tuple[zmq.asyncio.Socket, zmq.asyncio.Socket, zmq.asyncio.Socket]]:
        """Bind the three sockets, and the handler that lets only known clients in."""
        context = zmq.asyncio.Context()
        guard = AsyncioAuthenticator(context)
        guard.start()
        guard.configure_curve_callback(credentials_provider=KnownClients(keys))
        sockets: list[zmq.asyncio.Socket] = []
        try:
            for offset, kind in enumerate((zmq.ROUTER, zmq.ROUTER, zmq.XPUB)):
                socket = context.socket(kind)
                sockets.append(socket)
                _bound(socket)
                secure_server(socket, keys)
                self._bind(socket, offset)
            yield sockets[0], sockets[1], sockets[2]
        finally:
            for socket in sockets:
                socket.close(linger=LINGER_MS)
            guard.stop()
            context.term()

    def _bind(self, socket: zmq.asyncio.Socket, offset: int) -> None:
        host, port = self._config.server.host, self._config.server.port
        address = f"tcp://{host}:{port + offset if port else '*'}"
        try:
            socket.bind(address)
        except zmq.ZMQError as error:
            raise MachineError(
                "daemon.unreachable",
                f"The daemon cannot listen on {address}: {error.strerror}.",
                hint="Correct `server.host` and `server.port` in the settings.",
            ) from error

    def _stop_on_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for name in ("SIGTERM", "SIGINT", "SIGBREAK"):
            number = getattr(signal, name, None)
            if number is None:
                continue
            if sys.platform == "win32":
                signal.signal(number, lambda *_: loop.call_soon_threadsafe(self._stopping.set))
            else:
                loop.add_signal_handler(number, self._stopping.set)


def _bound(socket: zmq.asyncio.Socket) -> None:
    """Set the limits that keep a flood from filling the memory."""
    socket.maxmsgsize = MAX_FRAME_BYTES
    socket.rcvhwm = WAITING_MESSAGES
    socket.sndhwm = 4 * WAITING_MESSAGES
    socket.handshake_ivl = HANDSHAKE_MS
    socket.heartbeat_ivl = 10_000  # notices clients that vanished without closing
    if socket.type == zmq.XPUB:
        socket.xpub_verbose = True  # tell us of each subscription, also of a topic that has one


def _endpoint_of(
    requests: zmq.asyncio.Socket, control: zmq.asyncio.Socket, events: zmq.asyncio.Socket
) -> Endpoint:
    addresses = [str(socket.get_string(zmq.LAST_ENDPOINT)) for socket in (requests, control, events)]
    return Endpoint(
        requests=addresses[0],
        control=addresses[1],
        events=addresses[2],
        server_pid=os.getpid(),
        server_version=daemon.__version__,
        protocol=PROTOCOL_VERSION,
    )
