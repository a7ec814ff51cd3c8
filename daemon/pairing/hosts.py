"""Which daemons on other machines this one may use: a private file for each, with a key pair of its own."""

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec
import zmq

from daemon.config import load_config
from daemon.connection import ClientKeys, Endpoint, write_private
from daemon.pairing.codes import Invitation, split_address
from daemon.pairing.names import LOCAL, check_name
from daemon.paths import Paths
from daemon.protocol.errors import RequestError
from daemon.protocol.messages import PROTOCOL_VERSION

VARIABLE = "DUBWRIGHT_DAEMON"
PORTS = ("requests", "control", "events", "files")
"""The sockets for paired machines, on the port of the address and those after it."""


class Host(msgspec.Struct, frozen=True, kw_only=True):
    """A daemon on another machine, and how it knows us."""

    name: str
    address: str  # host:port
    server_public: str
    client_public: str
    client_secret: str
    folders: list[tuple[str, str]] = []  # the same folder here and there

    @property
    def keys(self) -> ClientKeys:
        """Return what a socket needs."""
        return ClientKeys(
            server_public=self.server_public,
            client_public=self.client_public,
            client_secret=self.client_secret,
        )

    @property
    def endpoint(self) -> Endpoint:
        """Return where the daemon listens for paired machines."""
        requests, control, events, files = socket_addresses(self.address)
        return Endpoint(
            requests=requests,
            control=control,
            events=events,
            files=files,
            server_pid=0,
            server_version="",
            protocol=PROTOCOL_VERSION,
        )


def socket_addresses(address: str) -> list[str]:
    """Return the address of each of PORTS. Raises RequestError `pair.code`."""
    host, port = split_address(address)
    return [f"tcp://{host}:{port + step}" for step in range(len(PORTS))]


def join_host(paths: Paths, name: str, invitation: Invitation) -> Host:
    """Make a key pair for a daemon and remember it. Raises RequestError `pair.name`, `pair.exists`."""
    check_name(name)
    if _file(paths, name).exists():
        raise RequestError("pair.exists", f"A daemon is known as {name} already.")
    public, secret = zmq.curve_keypair()
    host = Host(
        name=name,
        address=invitation.address,
        server_public=invitation.server_public,
        client_public=public.decode(),
        client_secret=secret.decode(),
    )
    save_host(paths, host)
    return host


def save_host(paths: Paths, host: Host) -> None:
    """Write a host's file."""
    paths.hosts.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_private(_file(paths, host.name), msgspec.json.format(msgspec.json.encode(host)))


def load_host(paths: Paths, name: str) -> Host:
    """Return a daemon we were paired with. Raises RequestError `pair.not_found`."""
    check_name(name)
    try:
        return msgspec.json.decode(_file(paths, name).read_bytes(), type=Host)
    except FileNotFoundError:
        raise RequestError("pair.not_found", f"No daemon on another machine is known as {name}.") from None
    except (OSError, ValueError, RecursionError) as error:
        raise RequestError("pair.not_found", f"What is known of {name} cannot be read: {error}.") from error


def leave_host(paths: Paths, name: str) -> None:
    """Forget a daemon and our key to it. Raises RequestError `pair.not_found`."""
    load_host(paths, name)
    _file(paths, name).unlink()


def all_hosts(paths: Paths) -> list[Host]:
    """Return the daemons that we were paired with."""
    return [load_host(paths, file.stem) for file in sorted(paths.hosts.glob("*.json"))]


def chosen_host(paths: Paths, name: str | None = None) -> Host | None:
    """Return the daemon that is to be used, or None for that of this home.

    `name` wins over the variable DUBWRIGHT_DAEMON, that over `client.daemon` of the settings.
    Raises RequestError `pair.not_found`.
    """
    chosen = name or os.environ.get(VARIABLE) or load_config(paths.config_file).client.daemon or LOCAL
    return None if chosen == LOCAL else load_host(paths, chosen)


def with_folder(host: Host, here: str, there: str) -> Host:
    """Return a host that finds what lies in the folder `here` in its folder `there`."""
    return msgspec.structs.replace(host, folders=[*_without(host.folders, here), (here, there)])


def without_folder(host: Host, here: str) -> Host:
    """Return a host for which the folder `here` is nothing special any more."""
    return msgspec.structs.replace(host, folders=_without(host.folders, here))


def _without(folders: Sequence[tuple[str, str]], here: str) -> list[tuple[str, str]]:
    return [pair for pair in folders if pair[0] != here]


def _file(paths: Paths, name: str) -> Path:
    return paths.hosts / f"{name}.json"
