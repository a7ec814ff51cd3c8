"""Keys stay private, one lock at a time, the endpoint file is whole or not there."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from daemon.connection import (
    Endpoint,
    Lock,
    is_locked,
    load_keys,
    load_or_make_keys,
    read_endpoint,
    write_endpoint,
    write_private,
)
from daemon.protocol.errors import MachineError

posix = pytest.mark.skipif(os.name == "nt", reason="file modes are POSIX")


def mode(path: Path) -> int:
    """Return a file's permission bits."""
    return stat.S_IMODE(path.stat().st_mode)


@posix
def test_keys_are_made_once_and_only_their_owner_can_read_them(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    old_mask = os.umask(0)
    try:
        keys = load_or_make_keys(path)
    finally:
        os.umask(old_mask)
    assert mode(path) == 0o600
    assert load_or_make_keys(path) == keys == load_keys(path)
    assert len({keys.server_public, keys.server_secret, keys.client_public, keys.client_secret}) == 4
    assert keys.server_secret not in repr(os.listdir(tmp_path))


@posix
def test_keys_that_others_could_read_are_replaced(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    keys = load_or_make_keys(path)
    path.chmod(0o644)
    assert load_or_make_keys(path) != keys
    assert mode(path) == 0o600


@pytest.mark.parametrize("text", ["", "{}", "nonsense", '{"server_public": "short"}'])
def test_damaged_keys_are_replaced(tmp_path: Path, text: str) -> None:
    path = tmp_path / "keys.json"
    path.write_text(text, encoding="ascii")
    path.chmod(0o600)
    assert load_keys(path) is None
    assert load_or_make_keys(path) == load_keys(path)


def test_a_lock_is_held_by_one_and_names_its_holder(tmp_path: Path) -> None:
    path = tmp_path / "daemon.lock"
    assert not is_locked(path)
    first = Lock(path)
    first.acquire()
    assert is_locked(path)
    with pytest.raises(MachineError) as caught:
        Lock(path).acquire()
    assert caught.value.code == "daemon.running"
    assert str(os.getpid()) in caught.value.message
    first.release()
    assert not is_locked(path)


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    path = tmp_path / "daemon.lock"
    program = (
        "import sys; from pathlib import Path; from daemon.connection import Lock\n"
        "lock = Lock(Path(sys.argv[1])); lock.acquire(); print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", program, str(path)]
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=root) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == b"held"
        assert is_locked(path)
        process.kill()
    assert path.read_text() == f"{process.pid}\n"
    lock = Lock(path)
    lock.acquire()
    lock.release()


def test_an_endpoint_is_read_as_it_was_written_and_junk_is_none(tmp_path: Path) -> None:
    path = tmp_path / "endpoint.json"
    assert read_endpoint(path) is None
    endpoint = Endpoint(
        requests="tcp://127.0.0.1:1",
        control="tcp://127.0.0.1:2",
        events="tcp://127.0.0.1:3",
        server_pid=4,
        server_version="0.1.0",
        protocol=1,
    )
    write_endpoint(path, endpoint)
    assert read_endpoint(path) == endpoint
    path.write_bytes(b'{"requests": ')
    assert read_endpoint(path) is None


def test_a_file_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(MachineError) as caught:
        write_private(tmp_path / "missing" / "keys.json", b"x")
    assert caught.value.code == "home.unwritable"
    (tmp_path / "keys.json").mkdir()
    with pytest.raises(MachineError):
        write_private(tmp_path / "keys.json", b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["keys.json"]  # nothing half written beside it
