"""Bytes to messages and back: msgpack in an envelope, bounded in size and depth, never a crash.

Whatever the bytes are, decoding ends in a message or in a RequestError with a `protocol.*` code.
"""

import uuid
from typing import Any, NamedTuple, TypeVar

import msgspec

from daemon.protocol.errors import ErrorInfo, RequestError
from daemon.protocol.events import EVENT_NAMES, EVENTS, Event
from daemon.protocol.messages import (
    ERROR_TYPE,
    OLDEST_VERSION,
    PROTOCOL_VERSION,
    REQUEST_NAMES,
    REQUESTS,
    Envelope,
    Request,
)

MAX_REQUEST_BYTES = 8 * 1024 * 1024
"""A request with a box for each of 200,000 frames fits; a client that sends more is told so."""

MAX_FRAME_BYTES = 2 * MAX_REQUEST_BYTES
"""Beyond this the socket drops the connection without reading on."""

MAX_NESTING = 16
"""How deep lists and maps inside a message's free-form values (a job spec) may go."""

T = TypeVar("T")

_encoder = msgspec.msgpack.Encoder()
_envelope_decoder = msgspec.msgpack.Decoder(Envelope)


class Addressee(msgspec.Struct):
    """As much of an envelope as tells whose it is, whatever else is wrong with it."""

    id: str | None = None
    parent: str | None = None


class Reply(NamedTuple):
    """A decoded reply: the body is an ErrorInfo when `type` is `error`."""

    parent: str | None
    type: str
    body: msgspec.Struct


def new_id() -> str:
    """Return an id for a message or a default idempotency key."""
    return uuid.uuid4().hex


def encode_request(request: Request, *, message_id: str) -> bytes:
    """Put a request into its envelope."""
    return _encode(REQUEST_NAMES[type(request)], request, message_id)


def encode_raw_request(name: str, body: Any, *, message_id: str) -> bytes:
    """Put plain values into an envelope of any type; the daemon checks them (used by the bridge)."""
    return _encode(name, body, message_id)


def encode_reply(name: str, body: msgspec.Struct, *, parent: str) -> bytes:
    """Put the reply to request `parent`, of type `name`, into its envelope."""
    return _encode(f"{name}_reply", body, new_id(), parent=parent)


def encode_error(info: ErrorInfo, *, parent: str | None) -> bytes:
    """Put an error into its envelope; `parent` is None when the request's id could not be read."""
    return _encode(ERROR_TYPE, info, new_id(), parent=parent)


def encode_event(event: Event, *, seq: int = 0) -> bytes:
    """Put an event into its envelope; `seq` numbers the events of a job."""
    return _encode(EVENT_NAMES[type(event)], event, new_id(), seq=seq)


def decode_envelope(data: bytes) -> Envelope:
    """Read an envelope, leaving its body undecoded.

    Raises RequestError `protocol.too_large`, `protocol.malformed` or `protocol.version`.
    """
    if len(data) > MAX_REQUEST_BYTES:
        raise RequestError(
            "protocol.too_large", f"The message has {len(data)} bytes; the limit is {MAX_REQUEST_BYTES}."
        )
    envelope = _decode(_envelope_decoder, data, "message")
    if not OLDEST_VERSION <= envelope.version <= PROTOCOL_VERSION:
        raise version_error([envelope.version])
    return envelope


def decode_request(envelope: Envelope) -> Request:
    """Read a request's body. Raises RequestError `protocol.unknown_type` or `protocol.malformed`."""
    kind = REQUESTS.get(envelope.type)
    if kind is None:
        raise RequestError("protocol.unknown_type", f"There is no request `{envelope.type[:40]}`.")
    request: Any = _decode(msgspec.msgpack.Decoder(kind.request), envelope.body, envelope.type)
    check_nesting(getattr(request, "spec", None))
    return request


def decode_reply(data: bytes) -> Reply:
    """Read a reply of a daemon we trust: no limit on its size. Raises RequestError `protocol.malformed`."""
    envelope = _decode(_envelope_decoder, data, "reply")
    if envelope.type == ERROR_TYPE:
        body_type: type[msgspec.Struct] = ErrorInfo
    else:
        kind = REQUESTS.get(envelope.type.removesuffix("_reply"))
        if kind is None:
            raise RequestError("protocol.unknown_type", f"There is no reply `{envelope.type}`.")
        body_type = kind.reply
    body = _decode(msgspec.msgpack.Decoder(body_type), envelope.body, envelope.type)
    return Reply(envelope.parent, envelope.type, body)


def decode_event(data: bytes) -> tuple[Event, int] | None:
    """Read an event and its `seq`; None for an event of a newer daemon that we do not know."""
    envelope = _decode(_envelope_decoder, data, "event")
    kind: Any = EVENTS.get(envelope.type)
    if kind is None:
        return None
    event: Event = _decode(msgspec.msgpack.Decoder(kind), envelope.body, envelope.type)
    return event, envelope.seq


def decode_raw(data: bytes) -> tuple[Envelope, Any]:
    """Read any message of a daemon we trust into plain values (used by the bridge)."""
    envelope = _decode(_envelope_decoder, data, "message")
    return envelope, _decode(msgspec.msgpack.Decoder(), envelope.body, envelope.type)


def read_id(data: bytes) -> str | None:
    """Return the id of a message whose envelope is broken in some other field, if it can be read."""
    if len(data) > MAX_FRAME_BYTES:
        return None
    try:
        message_id = msgspec.msgpack.decode(data, type=Addressee).id
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return message_id[:128] if message_id else None


def read_parent(data: bytes) -> str | None:
    """Return the id of the request that a reply answers."""
    return _decode(msgspec.msgpack.Decoder(Addressee), data, "reply").parent


def version_error(spoken: list[int]) -> RequestError:
    """Return the error for a side that speaks none of our versions, saying which side to update."""
    newest = max(spoken, default=0)
    ours = (
        f"{OLDEST_VERSION} to {PROTOCOL_VERSION}" if OLDEST_VERSION < PROTOCOL_VERSION else PROTOCOL_VERSION
    )
    older = "client" if newest < OLDEST_VERSION else "daemon"
    return RequestError(
        "protocol.version",
        f"The client speaks protocol {newest}; this daemon speaks {ours}.",
        hint=f"Update the {older}.",
    )


def check_nesting(value: Any) -> None:
    """Refuse a free-form value nested deeper than `MAX_NESTING`. Raises RequestError `protocol.malformed`."""
    level = [value]
    for _ in range(MAX_NESTING):
        level = [child for item in level if isinstance(item, dict | list) for child in _children(item)]
        if not level:
            return
    raise RequestError("protocol.malformed", f"The message is nested deeper than {MAX_NESTING} levels.")


def _children(item: dict[Any, Any] | list[Any]) -> list[Any]:
    values = item.values() if isinstance(item, dict) else item
    return [value for value in values if isinstance(value, dict | list)]


def _encode(name: str, body: Any, message_id: str, parent: str | None = None, seq: int = 0) -> bytes:
    raw = msgspec.Raw(_encoder.encode(body))
    return _encoder.encode(
        Envelope(id=message_id, type=name, version=PROTOCOL_VERSION, parent=parent, seq=seq, body=raw)
    )


def _decode(decoder: "msgspec.msgpack.Decoder[T]", data: bytes | msgspec.Raw, what: str) -> T:
    try:
        return decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:  # msgspec lets the second one through
        raise RequestError("protocol.malformed", f"The {what[:40]} is malformed: {error}.") from error
    except RecursionError as error:
        raise RequestError("protocol.malformed", f"The {what[:40]} is nested too deeply.") from error
