"""The link to the daemon: `python -m daemon.bridge` in a process of its own, JSON lines both ways.

Threads read and write; `poll` hands what came to the caller, on the caller's thread. Only `ask` waits.
"""

from __future__ import annotations

import collections
import contextlib
import itertools
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from .problems import PluginError

PROTOCOL = 1
PLUGIN_VERSION = "0.1.0"
STDERR_LINES = 200
MAX_LINE = 16 * 1024 * 1024
GONE = {"type": "bridge_gone", "body": {}}

Answer = Callable[[dict[str, Any]], None]


def clean_environment() -> dict[str, str]:
    """Return the environment without what the editor sets for its own Python and libraries."""
    dirty = ("PYTHON", "LD_LIBRARY", "LD_PRELOAD", "DYLD_", "QT_PLUGIN", "VIRTUAL_ENV")
    return {name: value for name, value in os.environ.items() if not name.startswith(dirty)}


class Link:
    """A bridge, started when first needed. Use it from one thread."""

    def __init__(self, command: Sequence[str], host: str) -> None:
        self._command = list(command)
        self._host = host
        self._process: subprocess.Popen[bytes] | None = None
        self._heard: queue.Queue[dict[str, Any]] = queue.Queue()
        self._waiting: dict[int, Answer] = {}
        self._events: collections.deque[dict[str, Any]] = collections.deque()
        self._outbox: queue.Queue[bytes | None] = queue.Queue()
        self._complaints: collections.deque[str] = collections.deque(maxlen=STDERR_LINES)
        self._numbers = itertools.count(1)
        self._threads: list[threading.Thread] = []
        self._is_heard_out = True

    @property
    def is_open(self) -> bool:
        """Say whether a bridge runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def is_heard_out(self) -> bool:
        """Say whether nothing can come any more: no bridge runs, and what the last one said was polled."""
        return self._is_heard_out

    @property
    def complaints(self) -> str:
        """Return the last lines of the bridge's standard error."""
        return "\n".join(self._complaints)

    def open(self) -> None:
        """Start the bridge, agree on a version, subscribe. Raises PluginError `bridge.start`."""
        if self.is_open and not self._is_heard_out:
            return
        self.close()
        self._heard, self._outbox = queue.Queue(), queue.Queue()
        flags = {"creationflags": 0x08000000} if sys.platform == "win32" else {"start_new_session": True}
        try:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=clean_environment(),
                **flags,  # type: ignore[arg-type]
            )
        except OSError as error:
            raise PluginError(
                "bridge.start",
                f"Dubwright's Python cannot be started: {error.strerror}.",
                "Run `python3 installer` again.",
                detail=str(error),
            ) from error
        process, self._is_heard_out = self._process, False
        self._threads = [
            threading.Thread(target=_read_lines, args=(process.stdout, self._heard), daemon=True),
            threading.Thread(target=_read_complaints, args=(process.stderr, self._complaints), daemon=True),
            threading.Thread(target=_write_lines, args=(process.stdin, self._outbox), daemon=True),
        ]
        for thread in self._threads:
            thread.start()
        hello = {"versions": [PROTOCOL], "client": self._host, "client_version": PLUGIN_VERSION}
        self.send("hello", hello, self._events.append)
        self.send("subscribe", {}, self._events.append)

    def send(self, name: str, body: dict[str, Any], answer: Answer) -> None:
        """Send a request; `answer` is called with the reply by a later `poll`."""
        self.open()
        number = next(self._numbers)
        self._waiting[number] = answer
        line = json.dumps({"id": number, "type": name, "body": body}).encode() + b"\n"
        self._outbox.put(line)

    def poll(self, limit_s: float = 0.008) -> list[dict[str, Any]]:
        """Return the events that have come, after handing replies to who waits for them. Never blocks.

        Stops after `limit_s` and leaves the rest to the next call, so that the host's window stays alive.
        """
        deadline = time.monotonic() + limit_s
        while time.monotonic() < deadline:
            try:
                message = self._heard.get_nowait()
            except queue.Empty:
                break
            self._take(message)
        found = list(self._events)
        self._events.clear()
        return found

    def ask(self, name: str, body: dict[str, Any], timeout_s: float = 20.0) -> dict[str, Any]:
        """Send a request and wait for its reply. Raises PluginError: the daemon's own, or `bridge.silent`.

        For scripts and tests: a host's window must not wait.
        """
        replies: list[dict[str, Any]] = []
        self.send(name, body, replies.append)
        deadline = time.monotonic() + timeout_s
        while not replies and time.monotonic() < deadline:
            try:
                self._take(self._heard.get(timeout=max(0.0, deadline - time.monotonic())))
            except queue.Empty:
                break
        if not replies:
            raise PluginError(
                "bridge.silent", "Dubwright does not answer.", "Look at `dubwright doctor`.", self.complaints
            )
        raise_error(replies[0])
        return replies[0]["body"]

    def close(self) -> None:
        """End the bridge; the daemon goes on."""
        process, self._process, self._is_heard_out = self._process, None, True
        if process is None:
            return
        self._outbox.put(None)
        try:
            process.wait(3)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for thread in self._threads:
            thread.join(3)
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()
        self._heard = queue.Queue()
        self._lose("The link was closed.")

    def _take(self, message: dict[str, Any]) -> None:
        if message is GONE:
            self._is_heard_out = True
            self._lose("Dubwright's bridge ended.")
            self._events.append(message)
            return
        parent = message.get("parent")
        answer = self._waiting.pop(parent, None) if isinstance(parent, int) else None
        if answer is not None:
            answer(message)
        elif parent is None:
            self._events.append(message)

    def _lose(self, why: str) -> None:
        waiting, self._waiting = self._waiting, {}
        hint = "It is started again at the next request; if it ends again, run `dubwright doctor`."
        for answer in waiting.values():
            last = f" It said: {self._complaints[-1]}" if self._complaints else ""
            error = {"code": "bridge.gone", "message": why + last, "hint": hint, "detail": self.complaints}
            answer({"type": "error", "body": error})


def raise_error(reply: dict[str, Any]) -> None:
    """Raise PluginError if a reply is an error."""
    if reply.get("type") != "error":
        return
    body = reply.get("body") or {}
    raise PluginError(
        str(body.get("code", "internal")),
        str(body.get("message", "Dubwright gave an error without words.")),
        str(body.get("hint", "")),
        str(body.get("detail", "")),
    )


def _read_lines(stream: Any, heard: queue.Queue[dict[str, Any]]) -> None:
    while True:
        line = stream.readline(MAX_LINE)
        if not line:
            break
        try:
            message = json.loads(line.decode("utf-8"))
        except (ValueError, RecursionError):
            continue  # not from the bridge: a library's own print
        if isinstance(message, dict):
            heard.put(message)
    heard.put(GONE)


def _read_complaints(stream: Any, complaints: collections.deque[str]) -> None:
    for line in iter(lambda: stream.readline(4096), b""):
        complaints.append(line.decode("utf-8", "replace").rstrip())


def _write_lines(stream: Any, outbox: queue.Queue[bytes | None]) -> None:
    try:
        for line in iter(outbox.get, None):
            stream.write(line)
            stream.flush()
    except OSError:
        pass  # the bridge is gone; the reading thread says so
    finally:
        with contextlib.suppress(OSError):
            stream.close()
