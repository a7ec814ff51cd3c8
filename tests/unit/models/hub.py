"""A hub on this machine that answers as Hugging Face and ModelScope do, with faults to order."""

import hashlib
import json
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

Fault = Callable[["Handler", bytes, int], bool]
"""Gets the request, the file and the first byte asked for; returns whether it has answered."""


class Hub:
    """One repository: its files, which of them are large (listed by sha256), and the fault to come."""

    def __init__(self, repository: str, files: dict[str, bytes]) -> None:
        self.repository = repository
        self.files = dict(files)
        self.listed = dict(files)  # what the listing speaks of, where it differs
        self.faults: dict[str, list[Fault]] = {}
        self.requests: list[tuple[str, str | None]] = []  # path and range of each request for a file
        self.tokens: list[str | None] = []
        self.etags: Counter[str] = Counter()
        self.endpoint = ""

    def listing(self) -> dict[str, Any]:
        """Return what the hub's API says of the repository."""
        siblings = []
        for name, data in self.listed.items():
            entry: dict[str, Any] = {"rfilename": name, "size": len(data)}
            entry["blobId"] = hashlib.sha1(f"blob {len(data)}\0".encode() + data).hexdigest()
            if not name.endswith(".json"):
                entry["lfs"] = {"sha256": sha256(data), "size": len(data), "pointerSize": 134}
            siblings.append(entry)
        return {"id": self.repository, "sha": "0123abc", "siblings": siblings}

    def other_listing(self) -> dict[str, Any]:
        """Return the same in ModelScope's words."""
        files = [
            {"Path": name, "Type": "blob", "Size": len(data), "Sha256": sha256(data)}
            for name, data in self.listed.items()
        ]
        return {"Code": 200, "Success": True, "Data": {"Files": [{"Path": "parts", "Type": "tree"}, *files]}}

    @contextmanager
    def serve(self) -> Iterator[None]:
        """Answer until the block ends."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"hub": self}))
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        self.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


class Handler(BaseHTTPRequestHandler):
    """Answers the API's listing and requests for files."""

    hub: Hub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer a request."""
        path = self.path.split("?")[0]
        if path == f"/api/models/{self.hub.repository}/revision/main":
            self.answer(200, json.dumps(self.hub.listing()).encode(), {"Content-Type": "application/json"})
            return
        if path == f"/api/v1/models/{self.hub.repository}/repo/files":  # as ModelScope does
            self.answer(
                200, json.dumps(self.hub.other_listing()).encode(), {"Content-Type": "application/json"}
            )
            return
        if path == f"/api/v1/models/{self.hub.repository}/repo":
            asked_for = parse_qs(self.path.partition("?")[2])["FilePath"][0]
            path = f"/{self.hub.repository}/resolve/0123abc/{asked_for}"
        name = path.removeprefix(f"/{self.hub.repository}/resolve/0123abc/")
        if name not in self.hub.files:
            self.answer(404, b"")
            return
        asked = self.headers.get("Range")
        self.hub.requests.append((name, asked))
        self.hub.tokens.append(self.headers.get("Authorization"))
        data = self.hub.files[name]
        start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1]) if asked else 0  # type: ignore[index]
        faults = self.hub.faults.get(name, [])
        if faults and faults.pop(0)(self, data, start):
            return
        if self.headers.get("If-Range", etag_of(data)) != etag_of(data):
            start = 0
        self.send(data, start, with_range=bool(asked) and start > 0)

    def send(self, data: bytes, start: int, *, with_range: bool) -> None:
        """Send a file from `start` on."""
        headers = {"ETag": etag_of(data)}
        if with_range:
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        self.answer(206 if with_range else 200, data[start:], headers)

    def answer(
        self, status: int, body: bytes, headers: dict[str, str] | None = None, *, length: int | None = None
    ) -> None:
        """Send an answer; `length` is what it claims to have where that is not the truth."""
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)
        if length is not None:
            self.close_connection = True

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


def etag_of(data: bytes) -> str:
    """Return the tag of a version of a file."""
    return f'"{sha256(data)[:16]}"'


def sha256(data: bytes) -> str:
    """Return the hash of some bytes."""
    return hashlib.sha256(data).hexdigest()


def break_off(handler: Handler, data: bytes, start: int) -> bool:
    """Promise the rest, send half of it, and hang up."""
    rest = data[start:]
    headers = {"ETag": etag_of(data)}
    if start:
        headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
    handler.answer(206 if start else 200, rest[: len(rest) // 2], headers, length=len(rest))
    return True


def half_a_range(handler: Handler, data: bytes, start: int) -> bool:
    """Serve half of the range that was asked for, and say so."""
    stop = start + (len(data) - start) // 2
    headers = {"ETag": etag_of(data), "Content-Range": f"bytes {start}-{stop - 1}/{len(data)}"}
    handler.answer(206, data[start:stop], headers)
    return True


def another_range(handler: Handler, data: bytes, start: int) -> bool:
    """Serve a range that nobody asked for."""
    wrong = start // 2 + 1
    headers = {"ETag": etag_of(data), "Content-Range": f"bytes {wrong}-{len(data) - 1}/{len(data)}"}
    handler.answer(206, data[wrong:], headers)
    return True


def no_ranges(handler: Handler, data: bytes, start: int) -> bool:
    """Know nothing of ranges: send all of it."""
    handler.send(data, 0, with_range=False)
    return True


def longer_than_said(handler: Handler, data: bytes, start: int) -> bool:
    """Send more than the listing said there is."""
    handler.answer(200, data + b"and more", {"ETag": etag_of(data)})
    return True


def shorter_than_said(handler: Handler, data: bytes, start: int) -> bool:
    """Claim that the file is shorter than the listing said."""
    handler.answer(200, data[: len(data) // 3], {"ETag": etag_of(data)})
    return True


def out_of_order(handler: Handler, data: bytes, start: int) -> bool:
    """Fail for the moment."""
    handler.answer(503, b"")
    return True


def changed(handler: Handler, data: bytes, start: int) -> bool:
    """Serve another file of the same length under the same tag, as if nothing had happened."""
    other = bytes(byte ^ 1 for byte in data)
    headers = {"ETag": etag_of(data)}
    if start:
        headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
    handler.answer(206 if start else 200, other[start:], headers)
    return True
