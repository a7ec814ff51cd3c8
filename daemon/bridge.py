"""`python -m daemon.bridge`: the daemon for programs that can only start a process and read and write lines.

Each line in is a JSON object `{"id": ..., "type": ..., "body": {...}}` with a request of docs/protocol.md.
Each line out is one too: a reply has the request's id as `parent`, an event has a `seq`. `subscribe` is the
bridge's own request: from its reply on, events come too. A line that is not such an object is answered with
an error. The bridge ends when its input does or its parent is gone; the daemon goes on.
"""

import os
import sys
import threading
from typing import Any, BinaryIO

import msgspec

from daemon.client import Client
from daemon.protocol.codec import MAX_REQUEST_BYTES, check_nesting
from daemon.protocol.errors import DubwrightError, RequestError
from daemon.protocol.events import DAEMON_TOPIC, EVENT_NAMES, Event, job_topic
from daemon.subscription import Subscription

PARENT_CHECK_S = 1.0
LISTEN_S = 0.1  # how long the end of the bridge may wait for its listener
AGAIN_S = 1.0  # between two looks for a daemon that was stopped


class Line(msgspec.Struct):
    """A request as it comes in."""

    type: str
    id: str | int | None = None
    body: dict[str, Any] = {}


class Bridge:
    """Carries lines to the daemon and back."""

    def __init__(self, output: BinaryIO) -> None:
        self._output = output
        self._writing = threading.Lock()
        self._client: Client | None = None
        self._ending = threading.Event()
        self._listener: threading.Thread | None = None

    def run(self, lines: BinaryIO) -> None:
        """Answer each line until there are no more."""
        try:
            while line := lines.readline(MAX_REQUEST_BYTES + 1):
                if len(line) > MAX_REQUEST_BYTES:
                    self._skip_rest(line, lines)
                elif line.strip():
                    self._answer(line)
        finally:
            self._ending.set()
            if (listener := self._listener) is not None:
                listener.join()
            if self._client is not None:
                self._client.close()

    def _answer(self, data: bytes) -> None:
        parent = None
        try:
            line = _line_from(data)
            parent = line.id
            if line.type == "subscribe":
                self._subscribe(parent)
            else:
                envelope, body = self._connected().ask_raw(line.type, line.body)
                self._write({"parent": parent, "type": envelope.type, "body": body})
        except DubwrightError as error:
            self._write({"parent": parent, "type": "error", "body": error.to_info()})

    def _connected(self) -> Client:
        if self._client is None:
            self._client = Client.connect(name="plugin")
        return self._client

    def _subscribe(self, parent: str | int | None) -> None:
        self._connected()
        if self._listener is not None:
            self._write({"parent": parent, "type": "subscribe_reply", "body": {}})
            return
        self._listener = threading.Thread(
            target=self._pass_events, args=(parent,), name="events", daemon=True
        )
        self._listener.start()

    def _pass_events(self, parent: str | int | None) -> None:
        """Reply once the subscription is live; then write each event until the bridge ends."""
        try:
            with self._connected().subscribe(job_topic(), DAEMON_TOPIC) as subscription:
                if self._has_begun(subscription, parent):
                    self._go_on(subscription)
        finally:
            self._listener = None

    def _has_begun(self, subscription: Subscription, parent: str | int | None) -> bool:
        """Answer `subscribe`; say whether events come."""
        try:
            while not self._ending.is_set():
                if (found := subscription.next(timeout_s=LISTEN_S)) is not None:
                    self._write({"parent": parent, "type": "subscribe_reply", "body": {}})
                    self._write_event(*found)
                    return True
        except DubwrightError as error:
            self._write({"parent": parent, "type": "error", "body": error.to_info()})
        return False

    def _go_on(self, subscription: Subscription) -> None:
        """Write each event. Of a daemon that was stopped say so once, and hear it again when it runs."""
        is_lost = False
        while not self._ending.is_set():
            try:
                found = subscription.next(timeout_s=LISTEN_S)
            except DubwrightError as error:
                if not is_lost:
                    self._write({"parent": None, "type": "error", "body": error.to_info()})
                is_lost = True
                self._ending.wait(AGAIN_S)
                continue
            if found is not None:
                is_lost = False
                self._write_event(*found)

    def _write_event(self, event: Event, seq: int) -> None:
        self._write({"type": EVENT_NAMES[type(event)], "seq": seq, "body": event})

    def _skip_rest(self, line: bytes, lines: BinaryIO) -> None:
        while line and not line.endswith(b"\n"):
            line = lines.readline(MAX_REQUEST_BYTES)
        error = RequestError("protocol.too_large", f"A line may hold {MAX_REQUEST_BYTES} bytes.")
        self._write({"parent": None, "type": "error", "body": error.to_info()})

    def _write(self, message: dict[str, Any]) -> None:
        data = msgspec.json.encode(message) + b"\n"
        with self._writing:
            self._output.write(data)
            self._output.flush()


def _line_from(data: bytes) -> Line:
    """Read a line. Raises RequestError `protocol.malformed`."""
    try:
        line = msgspec.json.decode(data, type=Line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RequestError("protocol.malformed", f"The line is malformed: {error}.") from error
    check_nesting(line.body)
    return line


def end_with_parent(parent: int, ended: threading.Event) -> None:
    """End this process when its parent is gone but left our input open (to another of its children, say)."""
    while not ended.wait(PARENT_CHECK_S):
        if os.getppid() != parent:
            os._exit(0)


def main() -> int:
    """Carry lines between standard input and output and the daemon."""
    ended = threading.Event()
    threading.Thread(target=end_with_parent, args=(os.getppid(), ended), name="parent", daemon=True).start()
    try:
        Bridge(sys.stdout.buffer).run(sys.stdin.buffer)
    except (BrokenPipeError, KeyboardInterrupt):
        os._exit(0)  # nobody listens; a flush at exit would complain
    ended.set()
    return 0


if __name__ == "__main__":
    sys.exit(main())
