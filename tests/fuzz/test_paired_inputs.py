"""Whatever a paired machine sends: an answer or our own error, and nothing written outside of its folder."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st

from daemon.connection import secure_client
from daemon.pairing.clients import PairedClients
from daemon.pairing.hosts import load_host
from daemon.paths import find_paths
from daemon.protocol import codec, messages
from daemon.protocol.errors import DubwrightError
from tests.fuzz.test_inputs import BODIES, VALUES, check, damaged, fuzzed
from tests.machines import paired

FILES = st.sampled_from([name for name, kind in messages.REQUESTS.items() if kind.is_file])
OTHERS = st.sampled_from(list(messages.REQUESTS))
FILE_BODIES = st.fixed_dictionaries(
    {},
    optional={
        "sha256": st.one_of(VALUES, st.just("0" * 64), st.just("../" * 21 + "a")),
        "size": st.one_of(VALUES, st.integers(0, 100)),
        "name": st.one_of(VALUES, st.sampled_from(["..", "/etc/passwd", "a\0b", ""])),
        "offset": st.one_of(VALUES, st.integers(0, 100)),
        "data": st.binary(max_size=200),
        "job_id": VALUES,
        "path": VALUES,
    },
)


@pytest.fixture(scope="module")
def send(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str, bytes], codec.Reply]]:
    """A paired machine, and a function that sends bytes to a socket of the daemon and returns the reply."""
    folder = tmp_path_factory.mktemp("fuzz")
    with (
        paired(folder, DUBWRIGHT_RUNNER="tests.fakes.runner:run_job") as two,
        contextlib.ExitStack() as stack,
    ):
        host = load_host(two.here.paths, "there")
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        stack.callback(context.destroy, linger=0)
        sockets = {}
        for name in ("requests", "files"):
            sockets[name] = context.socket(zmq.DEALER)
            secure_client(sockets[name], host.keys)
            sockets[name].rcvtimeo = 60_000
            sockets[name].connect(getattr(host.endpoint, name))

        def exchange(name: str, data: bytes) -> codec.Reply:
            sockets[name].send(data)
            return codec.decode_reply(sockets[name].recv())

        with two.there.owner() as owner:
            pid = owner.status().server_pid
            before = outside(folder)
            yield exchange
            assert outside(folder) == before
            assert owner.status().server_pid == pid


def outside(folder: Path) -> set[Path]:
    """Return all files but those that the daemon keeps of paired machines, its queue and its logs."""
    ours = ("paired", "logs", "work")
    return {
        path
        for path in folder.rglob("*")
        if not path.name.startswith("queue.") and not any(name in path.parts for name in ours)
    }


def message(kind: str, body: Any) -> bytes:
    return msgspec.msgpack.encode({"id": codec.new_id(), "type": kind, "version": 1, "body": body})


@fuzzed
@given(kind=FILES, body=FILE_BODIES)
def test_requests_about_files(
    send: Callable[[str, bytes], codec.Reply], kind: str, body: dict[str, Any]
) -> None:
    with contextlib.suppress(ValueError):  # what msgpack cannot hold
        check(send("files", message(kind, body)))


@fuzzed
@given(kind=OTHERS, body=BODIES, socket=st.sampled_from(["requests", "files"]))
def test_requests_of_a_paired_machine(
    send: Callable[[str, bytes], codec.Reply], kind: str, body: dict[str, Any], socket: str
) -> None:
    if kind == "submit_job":
        body["hold"] = True
    with contextlib.suppress(ValueError):
        check(send(socket, message(kind, body)))


@fuzzed
@given(data=damaged(message("offer_file", {"sha256": "0" * 64, "size": 9, "name": "a"})))
def test_damaged_frames_about_files(send: Callable[[str, bytes], codec.Reply], data: bytes) -> None:
    check(send("files", data))


@fuzzed
@given(
    data=st.one_of(damaged(b'[{"name": "a", "public": "k", "added_at": 1.0, "folders": []}]'), st.binary())
)
def test_lists_of_machines_and_what_is_known_of_hosts(home: Path, data: bytes) -> None:
    paths = find_paths()
    paths.make()
    paths.hosts.mkdir(exist_ok=True)
    for file in (paths.paired_file, paths.hosts / "there.json"):
        file.write_bytes(data)
    for read in (lambda: PairedClients(paths.paired_file).all(), lambda: load_host(paths, "there")):
        with contextlib.suppress(DubwrightError):
            read()
