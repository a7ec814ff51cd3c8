"""The sockets for paired machines, and their answers: every message is asked anew whose it is."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any

import zmq
import zmq.asyncio

from daemon.answers import Answers
from daemon.pairing.clients import PairedClient, PairedClients
from daemon.pairing.events import PairedEvents
from daemon.pairing.rights import PairedHandlers
from daemon.protocol.errors import MachineError
from daemon.protocol.messages import Request


class PairedDoor:
    """Requests, control, events and files, for machines that were let in."""

    def __init__(
        self,
        sockets: list[zmq.asyncio.Socket],
        clients: PairedClients,
        handlers: PairedHandlers,
        answers: Answers,
        events: PairedEvents,
    ) -> None:
        self._requests, self._control, _, self._files = sockets
        self._clients, self._handlers, self._answers, self._events = clients, handlers, answers, events

    def tasks(self) -> list[Coroutine[Any, Any, None]]:
        """Return what is to run until the daemon ends."""
        return [
            self._answer_all(self._requests, self._handlers.answer),
            self._answer_all(self._control, self._handlers.answer),
            self._answer_all(self._files, self._handlers.answer_files),
            self._events.greet_subscribers(),
        ]

    async def _answer_all(
        self, socket: zmq.asyncio.Socket, answer: Callable[[PairedClient, Request], Any]
    ) -> None:
        while True:
            client, *frames = await socket.recv_multipart(copy=False)
            key = str(frames[-1].get("User-Id")) if frames else ""

            def answer_if_known(request: Request, key: str = key) -> Any:
                return answer(self._known(key), request)

            reply = await self._answers.reply([frame.bytes for frame in frames], answer_if_known, client=key)
            with contextlib.suppress(zmq.ZMQError):  # the client is gone
                await socket.send_multipart([client.bytes, reply])
            await asyncio.sleep(0)

    def _known(self, key: str) -> PairedClient:
        """Return whose key it is. Raises MachineError `daemon.refused` once the pairing was ended."""
        client = self._clients.find(key)
        if client is None:
            raise MachineError("daemon.refused", "This machine is not paired with the daemon any more.")
        return client
