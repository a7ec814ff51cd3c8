"""Turns a message into its reply, whatever the message is; a repeated one is not carried out again."""

import hashlib
import inspect
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable

import msgspec

from daemon.protocol.codec import decode_envelope, decode_request, encode_error, encode_reply, read_id
from daemon.protocol.errors import DubwrightError, InternalError, RequestError
from daemon.protocol.messages import REQUESTS, Envelope, Request

log = logging.getLogger(__name__)

REMEMBERED_REPLIES = 512
"""How many of the last replies are kept, so that a repeated request is answered and not carried out again."""

Answer = Callable[[Request], msgspec.Struct | Awaitable[msgspec.Struct]]
"""Carries out a request. Raises DubwrightError."""


class Answers:
    """The replies of one daemon. `on_broken` is called when the queue turns out to be."""

    def __init__(self, on_broken: Callable[[], None]) -> None:
        self._on_broken = on_broken
        self._remembered: OrderedDict[tuple[str, str, bytes], bytes] = OrderedDict()

    async def reply(self, frames: list[bytes], answer: Answer, *, client: str = "") -> bytes:
        """Return the reply to a message of `client`."""
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
        seen = (client, envelope.id, hashlib.blake2b(data, digest_size=16).digest())
        if seen in self._remembered:
            return self._remembered[seen]
        reply, is_done = await self._carry_out(envelope, answer)
        if is_done and not REQUESTS[envelope.type].only_reads:
            self._remembered[seen] = reply
            if len(self._remembered) > REMEMBERED_REPLIES:
                self._remembered.popitem(last=False)
        return reply

    async def _carry_out(self, envelope: Envelope, answer: Answer) -> tuple[bytes, bool]:
        """Return the reply, and whether the request was carried out."""
        try:
            body = answer(decode_request(envelope))
            if inspect.isawaitable(body):
                body = await body
            return encode_reply(envelope.type, body, parent=envelope.id), True
        except DubwrightError as error:
            if error.code == "daemon.queue_broken":
                self._on_broken()
            return encode_error(error.to_info(), parent=envelope.id), False
        except Exception as error:  # the rim: a slip of ours is an answer, not the end
            log.exception("The request %.40s failed.", envelope.type)
            slip = InternalError("internal", f"The request {envelope.type[:40]} failed: {error}.")
            return encode_error(slip.to_info(), parent=envelope.id), False
