"""Brings one file over HTTP: goes on where it broke off, believes no length, and keeps nothing unchecked.

Bytes gather in `NAME.part`; `NAME.part.json` says what they are of. A file gets its name only when its hash
is the one expected. A server that ignores a range, serves another range, sends less or more than it says, or
changes the file between two parts costs time, never a wrong file.
"""

import hashlib
import http.client
import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from daemon.models.store import PART, on_disk, write_whole
from daemon.protocol.errors import MachineError

CHUNK_BYTES = 1 << 20
TIMEOUT_S = 30.0
BARREN_TRIES = 5
"""Requests in a row that bring nothing before we give up."""

WHOLE_TRIES = 2
"""Times a file whose bytes are all there, but wrong, is brought anew."""

PAUSE_S = 0.5
_PERMANENT = (400, 401, 403, 404, 410)
_TROUBLE = (OSError, http.client.HTTPException)  # what a connection can end in; URLError is an OSError

Report = Callable[[int], None]
"""Called with the bytes of the file that are here; raises to stop."""


@dataclass(frozen=True)
class RemoteFile:
    """A file of a hub: where it is, how long, and its sha256 or, of small files, git's own hash (sha1)."""

    path: str
    url: str
    bytes: int
    sha256: str | None = None
    git_sha1: str | None = None
    token: str | None = None  # value of an Authorization header; not sent on to where the hub redirects


def fetch(remote: RemoteFile, target: Path, report: Report, *, pause_s: float = PAUSE_S) -> str:
    """Bring a file to `target` and return its sha256.

    Raises MachineError `models.unreachable` when no more bytes come, `models.damaged` when those that come
    are of another file.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + PART)
    for _ in range(WHOLE_TRIES):
        _gather(remote, part, report, pause_s)
        sha256 = _check(remote, part)
        if sha256 is not None:
            part.replace(target)
            _note_of(part).unlink(missing_ok=True)
            return sha256
        part.unlink()
    raise MachineError(
        "models.damaged",
        f"What comes as {remote.path} is not the file that the hub lists.",
        hint="Run the command again later; the hub may be changing the file just now.",
    )


def _gather(remote: RemoteFile, part: Path, report: Report, pause_s: float) -> None:
    """Ask again and again until all bytes are here."""
    barren = 0
    why = ""
    while (have := _bytes_of(remote, part)) < remote.bytes:
        if barren == BARREN_TRIES:
            raise MachineError("models.unreachable", f"{remote.path} stops coming after {have} bytes: {why}.")
        time.sleep(pause_s * 2**barren if barren else 0)
        try:
            _ask(remote, part, have, report)
            why = "the server ends the connection"
        except urllib.error.HTTPError as error:
            why = f"the server answers {error.code} {error.reason}"
            if error.code == 416:  # our part is longer than the file is now
                part.unlink(missing_ok=True)
            elif error.code in _PERMANENT:
                raise MachineError("models.unreachable", f"{remote.path} cannot be had: {why}.") from error
        except _TROUBLE as error:
            why = str(getattr(error, "reason", "") or error or type(error).__name__)
        barren = 0 if _bytes_of(remote, part) > have else barren + 1
    if remote.bytes == 0:
        part.touch()


def _ask(remote: RemoteFile, part: Path, have: int, report: Report) -> None:
    """Request what is missing and append what comes."""
    request = urllib.request.Request(remote.url, headers={"Accept-Encoding": "identity"})
    if remote.token:
        request.add_unredirected_header("Authorization", remote.token)
    note = _read_note(part)
    if have:
        request.add_header("Range", f"bytes={have}-")
        if note.get("etag"):
            request.add_header("If-Range", note["etag"])
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:
        start = _start_of(response)
        if start not in (have, 0):  # another range than we asked for
            part.unlink(missing_ok=True)
            return
        write_whole(_note_of(part), json.dumps(_note(remote, response)).encode())
        with part.open("r+b" if part.exists() else "wb") as file:
            file.truncate(start)
            file.seek(start)
            while file.tell() < remote.bytes and (
                data := response.read(min(CHUNK_BYTES, remote.bytes - file.tell()))
            ):
                with on_disk(part):
                    file.write(data)
                    file.flush()
                report(file.tell())


def _start_of(response: http.client.HTTPResponse) -> int | None:
    """Return the position of the first byte that comes; None when the answer does not say."""
    if response.status != 206:
        return 0
    found = re.fullmatch(r"bytes (\d+)-\d+/(?:\d+|\*)", response.headers.get("Content-Range", ""))
    return int(found[1]) if found else None


def _check(remote: RemoteFile, part: Path) -> str | None:
    """Return the sha256 of a file that is what it should be, else None."""
    sha256, git = hashlib.sha256(), hashlib.sha1(usedforsecurity=False)
    git.update(f"blob {part.stat().st_size}\0".encode())
    with part.open("rb") as file:
        while data := file.read(CHUNK_BYTES):
            sha256.update(data)
            if remote.sha256 is None:
                git.update(data)
    if remote.sha256 is not None:
        return remote.sha256 if sha256.hexdigest() == remote.sha256 else None
    return sha256.hexdigest() if remote.git_sha1 in (None, git.hexdigest()) else None


def _bytes_of(remote: RemoteFile, part: Path) -> int:
    """Return how many bytes of this very file are here; those of another are thrown away."""
    if not part.exists():
        return 0
    note, wanted = _read_note(part), _identity(remote)
    if {key: note.get(key) for key in wanted} != wanted or part.stat().st_size > remote.bytes:
        part.unlink()
        return 0
    return part.stat().st_size


def _identity(remote: RemoteFile) -> dict[str, object]:
    return {"bytes": remote.bytes, "sha256": remote.sha256, "git_sha1": remote.git_sha1}


def _note(remote: RemoteFile, response: http.client.HTTPResponse) -> dict[str, object]:
    etag = response.headers.get("ETag", "")
    return {**_identity(remote), "etag": "" if etag.startswith("W/") else etag}


def _note_of(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _read_note(part: Path) -> dict:
    try:
        note = json.loads(_note_of(part).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}
