"""How the daemon and its clients find and trust each other: keys, the lock, the endpoint file.

One daemon serves one home. It takes the lock before it binds, because a second bind can silently steal an
endpoint (libzmq). Its keys and its clients' key lie in one file that only the owner can read; whoever can
read it is a client, everyone else is refused by the ZAP handler.
"""

import contextlib
import errno
import os
import stat
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, Any

import msgspec
import zmq

from daemon.protocol.errors import MachineError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

HOME, PAIRED = "home", "paired"
"""ZAP domains: sockets for this home's clients know its one key, those for paired machines only theirs."""

LOCK_TRIES = 5
LOCK_PAUSE_S = 0.02
_LOCK_BYTE = 1 << 30  # far behind the text, because Windows keeps others from reading a locked byte


class ClientKeys(msgspec.Struct, frozen=True, kw_only=True):
    """What a client needs to speak with one daemon: CURVE keys in Z85, as libzmq writes them."""

    server_public: str
    client_public: str
    client_secret: str


class Keys(ClientKeys, frozen=True, kw_only=True):
    """What a daemon keeps: its own key pair, and that of its home's clients."""

    server_secret: str


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """Where the running daemon listens."""

    requests: str
    control: str
    events: str
    files: str = ""  # for paired machines alone
    server_pid: int
    server_version: str
    protocol: int


class Lock:
    """The one daemon's lock. The system frees it when its process ends, however it ends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[str] | None = None

    def acquire(self) -> None:
        """Take the lock and write our process id into its file.

        Raises MachineError `daemon.running`, or `home.unwritable`.
        """
        try:
            file = open(self._path, "a+", encoding="ascii")  # noqa: SIM115 - stays open while we live
        except OSError as error:
            raise MachineError(
                "home.unwritable", f"The lock {self._path} cannot be written: {error.strerror}."
            ) from error
        for _ in range(LOCK_TRIES):  # a client that asks `is_locked` holds it for an instant
            if _try_lock(file):
                break
            time.sleep(LOCK_PAUSE_S)
        else:
            file.seek(0)
            holder = file.read().strip()
            file.close()
            raise MachineError("daemon.running", f"A daemon already runs here, as process {holder or '?'}.")
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        self._file = file

    @property
    def is_ours(self) -> bool:
        """Whether the file that we hold is still the one at its place; not when the home was deleted."""
        try:
            return self._file is not None and os.path.samestat(
                os.fstat(self._file.fileno()), self._path.stat()
            )
        except OSError:
            return False

    def release(self) -> None:
        """Give the lock back. The file stays: removing it would let two daemons lock two files."""
        if self._file is not None:
            self._file.close()
            self._file = None


def is_locked(path: Path) -> bool:
    """Return whether a daemon holds the lock."""
    try:
        with open(path, "r+", encoding="ascii") as file:
            return not _try_lock(file)
    except OSError:
        return False


def _try_lock(file: IO[str]) -> bool:
    try:
        if sys.platform == "win32":
            file.seek(_LOCK_BYTE)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def make_keys() -> Keys:
    """Return two new key pairs."""
    server_public, server_secret = zmq.curve_keypair()
    client_public, client_secret = zmq.curve_keypair()
    return Keys(
        server_public=server_public.decode(),
        server_secret=server_secret.decode(),
        client_public=client_public.decode(),
        client_secret=client_secret.decode(),
    )


def load_or_make_keys(path: Path) -> Keys:
    """Return the keys of this home, made at the first start. The daemon calls it while it holds the lock.

    Keys that others could read, or that are damaged, are replaced: clients read the file at each connection.
    """
    keys = load_keys(path)
    if keys is not None and _is_private(path):
        return keys
    keys = make_keys()
    write_private(path, msgspec.json.format(msgspec.json.encode(keys)))
    return keys


def load_keys(path: Path) -> Keys | None:
    """Return the keys of this home, or None when there are none or they are damaged."""
    try:
        keys = msgspec.json.decode(path.read_bytes(), type=Keys)
    except (OSError, msgspec.DecodeError):
        return None
    values = [getattr(keys, name) for name in keys.__struct_fields__]
    return keys if all(len(value) == 40 and value.isascii() for value in values) else None


def _is_private(path: Path) -> bool:
    if sys.platform == "win32":
        return True  # the profile's folders are closed to other users
    return stat.S_IMODE(path.stat().st_mode) & 0o077 == 0


def write_endpoint(path: Path, endpoint: Endpoint) -> None:
    """Say where we listen."""
    write_private(path, msgspec.json.encode(endpoint))


def read_endpoint(path: Path) -> Endpoint | None:
    """Return where the daemon says it listens, or None. The daemon may be dead: ask `is_locked`."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Endpoint)
    except (OSError, msgspec.DecodeError):
        return None


def write_private(path: Path, data: bytes) -> None:
    """Write a file that only its owner can read, whole or not at all.

    Raises MachineError `home.unwritable`.
    """
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)  # mkstemp: mode 0600
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, path)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(name)
            raise
    except OSError as error:
        code = "disk.full" if error.errno == errno.ENOSPC else "home.unwritable"
        raise MachineError(code, f"{path} cannot be written: {error.strerror}.") from error


def secure_server(socket: "zmq.Socket[Any]", keys: Keys, *, domain: str = HOME) -> None:
    """Make a socket speak CURVE as the server, to clients that the ZAP handler lets into `domain`."""
    socket.zap_domain = domain.encode()
    socket.curve_server = True
    socket.curve_secretkey = keys.server_secret.encode()
    socket.curve_publickey = keys.server_public.encode()


def secure_client(socket: "zmq.Socket[bytes]", keys: ClientKeys) -> None:
    """Make a socket speak CURVE as a client of one daemon."""
    socket.curve_serverkey = keys.server_public.encode()
    socket.curve_secretkey = keys.client_secret.encode()
    socket.curve_publickey = keys.client_public.encode()


class KnownClients:
    """What the ZAP handler asks: this home's client key is the only one known at its sockets."""

    def __init__(self, keys: Keys) -> None:
        self._known = {keys.client_public.encode()}

    def callback(self, domain: str, key: bytes) -> bool:
        """Return whether the client with this public key (Z85) may come in."""
        return key in self._known
