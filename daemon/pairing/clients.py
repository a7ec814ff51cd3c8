"""Which machines may use this daemon: `paired.json`, beside the keys, and as private.

The file is the one truth. The commands write it, and the daemon looks at it with every message of a paired
machine, so a machine that was struck from it is refused at once, on connections that are open, too.
"""

import hashlib
import logging
import time
from collections.abc import Collection
from pathlib import Path

import msgspec

from daemon.connection import write_private
from daemon.pairing.names import check_name
from daemon.protocol.errors import MachineError, RequestError

log = logging.getLogger(__name__)


class PairedClient(msgspec.Struct, frozen=True, kw_only=True):
    """A machine that was let in."""

    name: str
    public: str  # its CURVE key, in Z85
    added_at: float
    folders: list[str] = []  # of the daemon's machine, in which its jobs may read and write

    @property
    def folder_name(self) -> str:
        """Return the name of the folder of its media and takes; another key gets another folder."""
        return hashlib.sha256(self.public.encode()).hexdigest()[:16]


class PairedClients:
    """The file, read again whenever it has changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._clients: dict[str, PairedClient] = {}

    def all(self) -> list[PairedClient]:
        """Return every machine that may come in. Raises MachineError `home.unwritable` for a damaged file."""
        return list(self._read().values())

    def find(self, public: str) -> PairedClient | None:
        """Return the machine with this key, or None: it is not let in, or not any more."""
        return self._read().get(public)

    def callback(self, domain: str, key: bytes) -> bool:
        """Return whether the client with this public key (Z85) may come in; what the ZAP handler asks.

        While the file cannot be read nobody may; the handler itself must go on for this home's clients.
        """
        try:
            return self.find(key.decode("ascii", "replace")) is not None
        except MachineError as error:
            log.error("No paired machine is let in: %s", error)
            return False

    def add(self, name: str, public: str, folders: Collection[str]) -> PairedClient:
        """Let a machine in. Raises RequestError `pair.exists`."""
        check_name(name)
        clients = self._read()
        taken = next((one for one in clients.values() if name == one.name or public == one.public), None)
        if taken is not None:
            raise RequestError(
                "pair.exists", f"A machine with that name or key is paired already, as {taken.name}."
            )
        added = PairedClient(name=name, public=public, added_at=time.time(), folders=list(folders))
        self._write([*clients.values(), added])
        return added

    def revoke(self, name: str) -> PairedClient:
        """Let a machine in no more. Raises RequestError `pair.not_found`."""
        clients = self.all()
        gone = next((one for one in clients if one.name == name), None)
        if gone is None:
            raise RequestError("pair.not_found", f"No machine is paired as {name}.")
        self._write([one for one in clients if one is not gone])
        return gone

    def _write(self, clients: list[PairedClient]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_private(self._path, msgspec.json.format(msgspec.json.encode(clients)))

    def _read(self) -> dict[str, PairedClient]:
        try:
            about = self._path.stat()
        except FileNotFoundError:
            self._seen, self._clients = None, {}
            return self._clients
        seen = (about.st_ino, about.st_mtime_ns, about.st_size)
        if seen != self._seen:
            self._clients = _decode(self._path)
            self._seen = seen
        return self._clients


def _decode(path: Path) -> dict[str, PairedClient]:
    try:
        clients = msgspec.json.decode(path.read_bytes(), type=list[PairedClient])
    except (OSError, ValueError, RecursionError) as error:
        hint = f"Correct {path}, or delete it and pair the machines anew."
        raise MachineError("home.unwritable", f"{path} cannot be read: {error}.", hint=hint) from error
    return {client.public: client for client in clients}
