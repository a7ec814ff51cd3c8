"""The server: sockets, the event loop around them, and the order in which everything starts and ends.

Requests come in on a ROUTER socket; cancel, pause and shutdown on a second one, so that they do not queue
behind other requests; events leave on an XPUB socket. Nothing here loads a media or model library: the daemon
answers within half a second of its start, and no broken file can take it down.
"""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

import zmq
import zmq.asyncio

import daemon
from daemon.answers import Answers
from daemon.config import Config
from daemon.connection import HOME, PAIRED, Endpoint, Keys, Lock, load_or_make_keys, write_endpoint
from daemon.events import EventBus
from daemon.handlers import Handlers
from daemon.housekeeping import Housekeeper
from daemon.pairing.clients import PairedClients
from daemon.pairing.door import PairedDoor
from daemon.pairing.events import PairedEvents
from daemon.pairing.hosts import socket_addresses
from daemon.pairing.rights import PairedHandlers
from daemon.paths import Paths
from daemon.protocol.errors import DubwrightError
from daemon.protocol.events import DaemonStopping
from daemon.protocol.messages import PROTOCOL_VERSION
from daemon.queue.copier import Copier
from daemon.queue.store import JobStore
from daemon.schedule.keeper import Keeper
from daemon.sockets import HOME_KINDS, PAIRED_KINDS, bound, listening
from daemon.transfer.service import FileService
from daemon.worker.supervisor import Supervisor

log = logging.getLogger(__name__)

HOME_CHECK_S = 2.0


class Server:
    """One daemon, from its sockets to its workers. The caller holds the lock."""

    def __init__(self, paths: Paths, config: Config, lock: Lock) -> None:
        self._paths = paths
        self._lock = lock
        self._config = config
        self._stopping = asyncio.Event()
        self._is_broken = False
        self._problems: list[DubwrightError] = []
        self._paired = PairedClients(paths.paired_file)

    async def run(self, ready: Callable[[Endpoint], None]) -> None:
        """Serve until told to stop; call `ready` when the first request can be answered.

        Raises MachineError when it cannot start.
        """
        self._paths.endpoint_file.unlink(missing_ok=True)  # of a daemon that was killed
        keys = load_or_make_keys(self._paths.keys_file)
        with listening(keys, self._paired) as context, contextlib.ExitStack() as at_end:
            sockets = at_end.enter_context(bound(context, keys, HOME, HOME_KINDS, self._home_addresses()))
            paired_sockets = self._listen_for_paired(context, keys, at_end)
            bus = EventBus(sockets[2])
            endpoint = _endpoint_of(sockets)
            handlers, store, files = self._begin(bus, endpoint, at_end)
            write_endpoint(self._paths.endpoint_file, endpoint)
            at_end.callback(self._forget_endpoint)
            self._stop_on_signals()
            ready(endpoint)
            log.info("Ready, process %d, on %s.", os.getpid(), endpoint.requests)
            answers = Answers(self._give_up)
            tasks = [self._answer_all(socket, handlers, answers) for socket in sockets[:2]]
            tasks += [bus.greet_subscribers(), self._end_with_home()]
            if paired_sockets:
                bus.paired = PairedEvents(paired_sockets[2], self._paired, store.client_of)
                rights = PairedHandlers(handlers, store, files)
                door = PairedDoor(paired_sockets, self._paired, rights, answers, bus.paired)
                tasks += door.tasks()
            await self._serve(tasks)
            log.info("Stopping.")
            bus.publish(DaemonStopping(server_pid=os.getpid()))

    def _begin(
        self, bus: EventBus, endpoint: Endpoint, at_end: contextlib.ExitStack
    ) -> tuple[Handlers, JobStore, FileService]:
        """Open the queue and start all that works on it, each to be stopped before what it needs."""
        loop, paths, config = asyncio.get_running_loop(), self._paths, self._config
        store = self._open_store(bus)
        at_end.callback(store.close)
        memory_gb = config.limits.worker_memory_gb
        supervisor = Supervisor(store, bus.publish, loop, paths=paths, memory_gb=memory_gb)
        at_end.callback(supervisor.stop)
        keeper = Keeper(store, supervisor, bus.publish, loop, paths=paths, report=config.report)
        at_end.callback(keeper.stop)
        files = FileService(paths, config.remote)
        housekeeper = Housekeeper(
            store, files, self._paired, loop, history=config.history, drop_folder=supervisor.drop_folder
        )
        at_end.callback(housekeeper.stop)
        copier = Copier(paths.queue_file, loop, on_broken=self._give_up)
        at_end.callback(copier.stop)
        handlers = Handlers(
            store,
            supervisor,
            keeper,
            paths=paths,
            limits=config.limits,
            gpu_gb=config.wan.memory_gb,
            endpoint=endpoint.requests,
            stop=self._stopping.set,
            problems=[problem.to_info() for problem in self._problems],
        )
        copier.start()
        keeper.start()  # first: what waits for the night must not begin
        supervisor.start()
        housekeeper.start()
        return handlers, store, files

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

    def _home_addresses(self) -> list[str]:
        host, port = self._config.server.host, self._config.server.port
        return [f"tcp://{host}:{port + step if port else '*'}" for step in range(len(HOME_KINDS))]

    def _listen_for_paired(
        self, context: zmq.asyncio.Context, keys: Keys, at_end: contextlib.ExitStack
    ) -> list[zmq.asyncio.Socket]:
        """Bind the sockets for paired machines; none without the setting, or when it cannot be.

        A network that is away must not keep this machine's own clients out.
        """
        listen = self._config.remote.listen
        if listen is None:
            return []
        try:
            addresses = socket_addresses(listen)
            return at_end.enter_context(bound(context, keys, PAIRED, PAIRED_KINDS, addresses))
        except DubwrightError as error:
            log.error("Paired machines cannot reach this daemon: %s", error)
            self._problems.append(error)
            return []

    async def _serve(self, coroutines: Iterable[Coroutine[Any, Any, None]]) -> None:
        """Answer requests until the daemon is told to stop."""
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(coroutine) for coroutine in coroutines]
            await self._stopping.wait()
            for task in running:
                task.cancel()

    async def _answer_all(self, socket: zmq.asyncio.Socket, handlers: Handlers, answers: Answers) -> None:
        """Answer what comes in on a socket, one message a turn of the loop, so that no socket starves."""
        while True:
            client, *frames = await socket.recv_multipart()
            reply = await answers.reply(frames, handlers.answer)
            with contextlib.suppress(zmq.ZMQError):  # the client is gone
                await socket.send_multipart([client, reply])
            await asyncio.sleep(0)

    async def _end_with_home(self) -> None:
        """End the daemon when its folders were deleted: nobody could find it there any more."""
        while self._lock.is_ours:
            await asyncio.sleep(HOME_CHECK_S)
        log.error("The folder %s was deleted; the daemon ends.", self._paths.data)
        self._stopping.set()

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


def _endpoint_of(sockets: list[zmq.asyncio.Socket]) -> Endpoint:
    addresses = [str(socket.get_string(zmq.LAST_ENDPOINT)) for socket in sockets]
    return Endpoint(
        requests=addresses[0],
        control=addresses[1],
        events=addresses[2],
        server_pid=os.getpid(),
        server_version=daemon.__version__,
        protocol=PROTOCOL_VERSION,
    )
