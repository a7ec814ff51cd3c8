"""How the daemon starts, ends, dies and comes back."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from daemon.client import Client
from daemon.connection import is_locked, read_endpoint
from daemon.launch import wait_until_stopped
from daemon.paths import find_paths
from daemon.protocol.errors import DubwrightError
from daemon.protocol.events import JobChanged, JobProgressed
from daemon.protocol.jobs import JobState

Script = Callable[[str], dict[str, object]]

CHECKOUT = Path(__file__).resolve().parents[2]
HEAVY = ("torch", "av", "cv2", "numpy", "scipy", "ai_edge_litert", "soxr")

posix = pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")


@contextmanager
def run_daemon() -> Iterator[subprocess.Popen[str]]:
    """Start a daemon in the foreground, as a service would; wait for its end."""
    command = [sys.executable, "-m", "daemon"]
    with subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
            process.wait(20)
        finally:
            process.kill()


def first_line(process: subprocess.Popen[str]) -> dict[str, dict[str, object]]:
    """Return what a daemon prints when it is ready, or why it is not."""
    assert process.stdout is not None
    return json.loads(process.stdout.readline())


def code_of(call: Callable[[], object]) -> str:
    """Return the code of the error that a call ends with."""
    with pytest.raises(DubwrightError) as caught:
        call()
    return caught.value.code


def test_the_server_loads_no_heavy_library() -> None:
    program = f"import sys, daemon.__main__; print([m for m in {HEAVY} if m in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", program], cwd=CHECKOUT, capture_output=True, check=True)
    assert loaded.stdout.strip() == b"[]"


def test_only_the_owner_can_read_the_home(client: Client) -> None:
    paths = find_paths()
    for file in (paths.keys_file, paths.endpoint_file):
        assert os.name == "nt" or file.stat().st_mode & 0o077 == 0
    assert os.name == "nt" or paths.data.stat().st_mode & 0o077 == 0


def test_a_second_daemon_is_refused_and_the_first_goes_on(client: Client) -> None:
    with run_daemon() as second:
        line = first_line(second)
    assert second.returncode == 4
    assert line["error"]["code"] == "daemon.running"
    assert str(client.status().server_pid) in str(line["error"]["message"])


def test_clients_that_start_a_daemon_together_get_the_same_one(quiet_home: Path) -> None:
    found: list[int] = []

    def connect() -> None:
        with Client.connect() as client:
            found.append(client.status().server_pid)

    threads = [threading.Thread(target=connect) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with Client.connect(start=False) as client:
        assert found == [client.status().server_pid] * 4
        client.shutdown()


def test_a_stopped_daemon_leaves_nothing_and_is_not_started_again(client: Client) -> None:
    pid = client.status().server_pid
    client.shutdown()
    paths = find_paths()
    assert not paths.endpoint_file.exists()
    assert not is_locked(paths.lock_file)
    assert code_of(client.status) == "daemon.unreachable"
    assert code_of(lambda: Client.connect(start=False)) == "daemon.unreachable"
    with Client.connect() as again:
        assert again.status().server_pid != pid


@posix
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly_with_its_workers_and_keeps_the_job(
    quiet_home: Path, script: Script, number: signal.Signals
) -> None:
    with run_daemon() as process:
        assert first_line(process)["endpoint"]["server_pid"] == process.pid
        with Client.connect(start=False) as client:
            job_id = client.submit(script("loop")).job_id
            next(event for event in client.watch(job_id) if isinstance(event, JobProgressed))
            workers = [psutil.Process(worker.pid) for worker in client.status().workers]
            process.send_signal(number)
            assert process.wait(10) == 0
    assert workers
    assert psutil.wait_procs(workers, timeout=5)[1] == []
    assert not find_paths().endpoint_file.exists()
    with Client.connect() as client:
        assert client.cancel(job_id).job_id == job_id
        client.shutdown()


@posix
def test_a_killed_daemon_comes_back_and_the_job_finishes_under_the_watchers_eyes(
    client: Client, script: Script
) -> None:
    job_id = client.submit(script("paint")).job_id
    killed = 0
    for event in client.watch(job_id):
        if isinstance(event, JobProgressed) and not killed:
            killed = client.status().server_pid
            os.kill(killed, signal.SIGKILL)
    assert isinstance(event, JobChanged)
    assert event.job.state == JobState.DONE
    assert event.job.attempts == 2
    assert len(event.job.takes) == 1
    assert client.status().server_pid != killed


@posix
def test_what_a_killed_daemon_left_does_not_disturb_the_next(client: Client, script: Script) -> None:
    job = client.submit(script("paint"), hold=True)
    stale = read_endpoint(find_paths().endpoint_file)
    assert stale is not None
    os.kill(stale.server_pid, signal.SIGKILL)
    wait_until_stopped(find_paths())
    assert find_paths().lock_file.exists()
    assert read_endpoint(find_paths().endpoint_file) == stale
    assert code_of(lambda: Client.connect(start=False)) == "daemon.unreachable"
    with Client.connect() as again:
        assert [found.job_id for found in again.jobs()] == [job.job_id]


def test_wrong_settings_keep_it_from_starting_and_are_named(home: Path) -> None:
    paths = find_paths()
    paths.make()
    paths.config_file.write_text("[server]\nprot = 1\n", encoding="utf-8")
    with run_daemon() as process:
        line = first_line(process)
    assert process.returncode == 2
    assert line["error"]["code"] == "config.invalid"
    assert "server.port" in str(line["error"]["hint"])
    assert code_of(Client.connect) == "config.invalid"


def test_a_port_that_is_taken_is_a_clear_error(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = read_endpoint(find_paths().endpoint_file)
    assert endpoint is not None
    other = tmp_path / "other"
    config = other / "config" / "config.toml"
    config.parent.mkdir(parents=True)
    port = endpoint.requests.rpartition(":")[2]
    config.write_text(f"[server]\nport = {port}\n", encoding="utf-8")
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("DUBWRIGHT_HOME", str(other))
        with pytest.raises(DubwrightError) as caught:
            Client.connect()
    error = caught.value
    assert error.code == "daemon.unreachable"
    assert port in error.message
    assert "server.port" in error.hint


def test_a_home_that_cannot_be_made_is_a_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("not a folder", encoding="utf-8")
    monkeypatch.setenv("DUBWRIGHT_HOME", str(tmp_path / "file" / "home"))
    assert code_of(Client.connect) == "home.unwritable"


def test_a_broken_queue_is_restored_from_its_last_copy_and_told(client: Client, script: Script) -> None:
    job_id = client.submit(script("paint"), hold=True).job_id
    client.shutdown()
    find_paths().queue_file.write_bytes(b"this is no database" * 100)
    with Client.connect() as again:
        [problem] = again.status().problems
        assert problem.code == "daemon.queue_broken"
        assert "took its place" in problem.message
        assert [job.job_id for job in again.jobs()] == [job_id]


def test_a_broken_queue_is_set_aside_and_told(quiet_home: Path) -> None:
    paths = find_paths()
    paths.make()
    paths.queue_file.write_bytes(b"this is no database" * 100)
    with Client.connect() as client:
        [problem] = client.status().problems
        assert problem.code == "daemon.queue_broken"
        assert client.jobs() == []
        client.shutdown()


@posix
def test_a_daemon_whose_home_was_deleted_ends_and_makes_none_anew(quiet_home: Path) -> None:
    with run_daemon() as process:
        assert "endpoint" in first_line(process)
        workers = psutil.Process(process.pid).children()
        shutil.rmtree(quiet_home)
        assert process.wait(20) == 0
    assert not psutil.wait_procs(workers, timeout=20)[1]
    assert not quiet_home.exists()
