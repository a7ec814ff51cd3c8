"""Readings of the machine, at the seam: what systems print, and what is said where nothing can be asked."""

import http.server
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from daemon.machine import awake, gpu, idle, notify
from daemon.machine.sensors import Sensors

MUTTER = "(uint64 734512,)\n"
LOGINCTL = "IdleHint=yes\nIdleSinceHint=1763500000000000\n"
IOREG = '    | |   "HIDIdleTime" = 12345678901\n    | |   "HIDParameters" = {}\n'


def test_gnome_x11_and_logind_are_asked_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere")
    monkeypatch.setenv("DISPLAY", ":0")
    assert idle._linux(lambda command: MUTTER if command[0] == "gdbus" else "") == 734.512
    assert idle._linux(lambda command: "4200\n" if command[0] == "xprintidle" else "") == 4.2
    assert idle._linux(lambda command: "IdleHint=no\n" if command[0] == "loginctl" else "") == 0.0
    assert idle._linux(lambda command: "") is None


def test_logind_tells_since_when() -> None:
    assert idle.parse_session(LOGINCTL, now=1763500300.0) == 300.0
    assert idle.parse_session(LOGINCTL, now=1763490000.0) == 0.0  # the clock was set back
    assert idle.parse_session("") is None


def test_macos_counts_nanoseconds() -> None:
    assert idle._macos(lambda command: IOREG) == pytest.approx(12.345678901)


def test_a_program_that_is_not_there_is_no_error() -> None:
    assert idle.ask(["no-such-program-anywhere"]) == ""


class FakeNvml:
    """Stands for the driver's library: a GPU with a program of ours and one of others."""

    class NVMLError(Exception):
        def __init__(self, value: int) -> None:
            self.value = value

    NVML_ERROR_NOT_SUPPORTED, NVML_ERROR_NOT_FOUND, NVML_ERROR_NO_PERMISSION = 3, 6, 4
    NVML_TEMPERATURE_GPU, NVML_TEMPERATURE_THRESHOLD_SLOWDOWN = 0, 1
    broken = False

    def __getattr__(self, name: str) -> Any:
        def answer(*arguments: Any) -> Any:
            if self.broken:
                raise self.NVMLError(15)  # the GPU is lost
            if name == "nvmlDeviceGetGraphicsRunningProcesses":
                raise self.NVMLError(self.NVML_ERROR_NOT_SUPPORTED)
            return ANSWERS[name]

        return answer


ANSWERS: dict[str, Any] = {
    "nvmlDeviceGetCount": 1,
    "nvmlDeviceGetHandleByIndex": "handle",
    "nvmlDeviceGetName": b"NVIDIA RTX",
    "nvmlDeviceGetMemoryInfo": SimpleNamespace(total=24 * 2**30, used=5 * 2**30),
    "nvmlDeviceGetUtilizationRates": SimpleNamespace(gpu=77),
    "nvmlDeviceGetTemperature": 61,
    "nvmlDeviceGetTemperatureThreshold": 93,
    "nvmlDeviceGetComputeRunningProcesses": [
        SimpleNamespace(pid=os.getpid(), usedGpuMemory=4 * 2**30),
        SimpleNamespace(pid=2**22 + 1, usedGpuMemory=None),
    ],
    "nvmlDeviceGetProcessUtilization": [SimpleNamespace(pid=os.getpid(), smUtil=70)],
    "nvmlShutdown": None,
}


def test_the_driver_tells_of_a_gpu_and_who_uses_it() -> None:
    found = gpu.Gpus()
    found._nvml = FakeNvml()
    [card] = found.read(ours=[os.getpid()])
    assert (card.name, card.memory_used, card.temperature, card.utilisation) == (
        "NVIDIA RTX",
        5 * 2**30,
        61,
        77,
    )
    ours, theirs = card.processes
    assert (ours.is_ours, ours.utilisation, ours.name) == (True, 70, psutil.Process().name())
    assert (theirs.is_ours, theirs.utilisation, theirs.name, theirs.memory) == (False, 0, "", None)
    assert found.limit(0) == 93


def test_a_driver_that_was_reset_is_no_error() -> None:
    found = gpu.Gpus()
    found._nvml = FakeNvml()
    found._nvml.broken = True
    assert found.read() == []


def test_here_the_readings_can_be_taken() -> None:
    sensors = Sensors(list)
    readings = sensors.read()
    assert isinstance(list(readings.gpus), list)
    assert list(readings.rendering) == []  # nothing was measured before


def test_a_program_that_renders_is_found_unless_it_is_ours() -> None:
    program = [sys.executable, "-c", "input()"]
    with subprocess.Popen(program, stdin=subprocess.PIPE) as process:
        ours: list[int] = []
        sensors = Sensors(lambda: ours)
        sensors.programs = [psutil.Process(process.pid).name()]
        sensors.read()
        spent, then = sensors._busy_s[process.pid]
        sensors._busy_s[process.pid] = spent - 1e6, then  # as if it had worked on many cores since
        assert psutil.Process(process.pid).name() in sensors.read().rendering
        ours.append(process.pid)
        sensors.read()
        assert process.pid not in sensors._busy_s
        process.communicate(b"\n")


@pytest.mark.skipif(os.name == "nt", reason="runs a script")
def test_sleep_is_held_off_only_while_wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "systemd-inhibit"
    script.write_text('#!/bin/sh\nfor last; do :; done\nexec "$last"\n')
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr("sys.platform", "linux")
    keeper = awake.Awake()
    keeper.hold(True)
    assert keeper.is_held
    helper = keeper._helper
    keeper.hold(False)
    assert not keeper.is_held
    assert helper is not None
    assert helper.poll() is not None


def test_the_lock_is_logind_s_and_ends_with_us(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr("sys.platform", "linux")
    assert awake.inhibitor() == [
        "/usr/bin/systemd-inhibit", "--what=sleep:idle", "--mode=block", "--who=Dubwright",
        "--why=A job runs.", "cat",
    ]  # fmt: skip
    monkeypatch.setattr("sys.platform", "darwin")
    assert awake.inhibitor() == ["caffeinate", "-i", "-w", str(os.getpid())]


def test_words_of_a_notification_are_arguments_and_never_a_script() -> None:
    hostile = '"; rm -rf ~; "'
    for platform in ("darwin", "win32"):
        command = notify.notifier("Dubwright", hostile, platform=platform)
        assert command is not None
        assert any(hostile in part for part in command)
        assert all(hostile not in part for part in command if "display notification" in part)


def test_the_studios_command_gets_the_report_and_no_shell(tmp_path: Path) -> None:
    report = tmp_path / "a report.json"
    report.write_text("{}")
    script = tmp_path / "tell.py"
    script.write_text(f"import sys; open({str(tmp_path / 'told')!r}, 'w').write(repr(sys.argv[1:]))")
    assert notify.run_command([sys.executable, str(script), "$HOME; true"], report)
    assert (tmp_path / "told").read_text() == repr(["$HOME; true", str(report)])
    assert not notify.run_command(["no-such-program-anywhere"], report)


def test_a_report_is_sent_to_a_web_address_and_a_deaf_one_is_no_error(tmp_path: Path) -> None:
    got: list[bytes] = []

    class Receiver(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    report = tmp_path / "report.json"
    report.write_text('{"night": "2026-11-18"}')
    with http.server.HTTPServer(("127.0.0.1", 0), Receiver) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        address = f"http://127.0.0.1:{server.server_port}/dubs"
        assert notify.post(address, report)
        thread.join()
    assert got == [report.read_bytes()]
    assert not notify.post(address, report)
