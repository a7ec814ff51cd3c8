"""Two machines on one: a daemon that listens on another loopback address, and a home that is paired with it.

127.0.0.1 and 127.0.0.2 serve as two machines; macOS has the second only when it was set up.
"""

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from daemon.client import Client
from daemon.connection import is_locked, load_keys
from daemon.launch import find_daemon, wait_until_stopped
from daemon.pairing import codes, hosts
from daemon.pairing.clients import PairedClients
from daemon.pairing.names import LOCAL
from daemon.paths import Paths, find_paths
from tests.studio import Run, command

OTHER = "127.0.0.2"
ROOT = Path(__file__).resolve().parents[1]


@dataclass
class Machine:
    """One of the two."""

    home: Path
    paths: Paths

    def owner(self) -> Client:
        """Connect as this machine's own user."""
        return Client.connect(name="owner", paths=self.paths, on=LOCAL)

    def command(self, *arguments: object) -> Run:
        """Run a command of the command line on this machine, with `--json`."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DUBWRIGHT_HOME", str(self.home))
            return command(*arguments)


@dataclass
class Pair:
    """The daemon's machine, and the one whose user has no daemon."""

    there: Machine
    here: Machine

    def connect(self) -> Client:
        """Connect from here to the daemon there."""
        return Client.connect(name="test", paths=self.here.paths, on="there")


def machine(home: Path, settings: str = "") -> Machine:
    """Make a home."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DUBWRIGHT_HOME", str(home))
        paths = find_paths()
    paths.make()
    paths.config_file.write_text(settings)
    return Machine(home, paths)


@contextlib.contextmanager
def serving(host: Machine, **variables: str) -> Iterator[None]:
    """Run a machine's daemon; stop it at the end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "daemon"],
        env={**os.environ, **variables, "DUBWRIGHT_HOME": str(host.home)},
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        first = process.stdout.readline()
        assert b"endpoint" in first, first
        yield
    finally:
        if is_locked(host.paths.lock_file) and find_daemon(host.paths):
            with host.owner() as last:
                last.shutdown()
            wait_until_stopped(host.paths)
        process.stdout.close()
        process.wait(20)


def free_ports(address: str = OTHER, count: int = 4) -> int:
    """Return the first of some ports in a row that nothing uses."""
    for _ in range(50):
        with contextlib.ExitStack() as held, contextlib.suppress(OSError):
            first = held.enter_context(socket.create_server((address, 0)))
            port = first.getsockname()[1]
            for step in range(1, count):
                held.enter_context(socket.create_server((address, port + step)))
            return port
    raise AssertionError("no ports are free")


def introduce(there: Machine, here: Machine, address: str, *, folders: tuple[str, ...] = ()) -> None:
    """Pair two machines by what their commands call."""
    keys = load_keys(there.paths.keys_file)
    assert keys is not None
    host = hosts.join_host(here.paths, "there", codes.Invitation(address, keys.server_public))
    PairedClients(there.paths.paired_file).add("here", host.client_public, folders)


@contextlib.contextmanager
def paired(
    folder: Path, settings: str = "", *, folders: tuple[str, ...] = (), **variables: str
) -> Iterator[Pair]:
    """Run a daemon on the other address that knows a machine here; both homes are new."""
    try:
        address = f"{OTHER}:{free_ports()}"
    except AssertionError:
        pytest.skip(f"nothing can listen on {OTHER} here")
    there = machine(folder / "there", f'[remote]\nlisten = "{address}"\n{settings}')
    here = machine(folder / "here")
    with serving(there, **variables):
        introduce(there, here, address, folders=folders)
        yield Pair(there, here)
