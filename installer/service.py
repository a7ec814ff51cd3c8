"""The daemon as a service of this user: systemd on Linux, launchd on macOS, a logon task on Windows."""

import contextlib
import os
import plistlib
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from xml.sax.saxutils import escape

from installer.machine import Machine
from installer.places import HOME_VARIABLE
from installer.problems import InstallError
from installer.progress import Progress
from installer.record import Record

UNIT = "dubwright.service"
LABEL = "dubwright.daemon"
TASK = "Dubwright"
KINDS = {"linux": "systemd", "darwin": "launchd", "win32": "task"}
TIMEOUT_S = 60.0
PAUSES_S = (0.5, 1.0, 2.0)


def service_file(machine: Machine) -> PurePath:
    """Return the file that describes the service."""
    return {
        "linux": lambda: machine.settings / "systemd" / "user" / UNIT,
        "darwin": lambda: machine.home / "Library" / "LaunchAgents" / f"{LABEL}.plist",
        "win32": lambda: machine.data / "logon-task.xml",
    }[machine.system]()


def service_text(machine: Machine, python: PurePath, source: PurePath) -> bytes:
    """Return what that file holds: `python -m daemon`, in the folder where `daemon` is the right package."""
    home = str(machine.moved) if machine.moved else None
    if machine.system == "linux":
        return _systemd(python, source, home).encode()
    if machine.system == "darwin":
        return _launchd(python, source, home)
    return _task(python.with_name("pythonw.exe"), source).encode("utf-16")


def _systemd(python: PurePath, source: PurePath, home: str | None) -> str:
    variable = f"Environment={_quoted(f'{HOME_VARIABLE}={home}')}\n" if home else ""
    return (
        "[Unit]\n"
        "Description=Dubwright, which re-dubs dialogue in the background\n\n"
        "[Service]\n"
        "Type=exec\n"
        f"ExecStart={_quoted(str(python))} -m daemon\n"
        f"WorkingDirectory={str(source).replace('%', '%%')}\n"
        f"{variable}"
        "Restart=on-failure\n"
        "RestartSec=10\n"
        "# 4: this machine cannot now, or a client's own daemon runs already\n"
        "RestartPreventExitStatus=4\n"
        "KillMode=mixed\n"
        "TimeoutStopSec=30\n\n"
        "[Install]\n"
        "WantedBy=default.target\n"
    )


def _quoted(text: str) -> str:
    """Quote for systemd, which expands % and reads backslashes; a $ in the program's own path it leaves."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'


def _launchd(python: PurePath, source: PurePath, home: str | None) -> bytes:
    document: dict[str, object] = {
        "Label": LABEL,
        "ProgramArguments": [str(python), "-m", "daemon"],
        "WorkingDirectory": str(source),
        "RunAtLoad": True,
        "KeepAlive": {"Crashed": True},
        "ThrottleInterval": 10,
    }
    if home:
        document["EnvironmentVariables"] = {HOME_VARIABLE: home}
    return plistlib.dumps(document)


def _task(python: PurePath, source: PurePath) -> str:
    return (
        '<?xml version="1.0" encoding="UTF-16"?>\n'
        '<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">\n'
        "  <Triggers><LogonTrigger><Enabled>true</Enabled></LogonTrigger></Triggers>\n"
        "  <Principals><Principal><LogonType>InteractiveToken</LogonType>"
        "<RunLevel>LeastPrivilege</RunLevel></Principal></Principals>\n"
        "  <Settings>\n"
        "    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>\n"
        "    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>\n"
        "    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>\n"
        "    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>\n"
        "    <RestartOnFailure><Interval>PT1M</Interval><Count>3</Count></RestartOnFailure>\n"
        "  </Settings>\n"
        f"  <Actions><Exec><Command>{escape(str(python))}</Command><Arguments>-m daemon</Arguments>"
        f"<WorkingDirectory>{escape(str(source))}</WorkingDirectory></Exec></Actions>\n"
        "</Task>\n"
    )


@dataclass
class StartService:
    """The service, known to the system, started now and at each login."""

    record: Record
    machine: Machine
    file: PurePath
    title: str = "Starting the service"

    @property
    def detail(self) -> str:
        """Return by which commands."""
        return "; ".join(" ".join(command) for command in self._starting())

    @property
    def paths(self) -> list[PurePath]:
        """Return the link by which systemd starts it at login."""
        return [self._link] if self.machine.system == "linux" else []

    @property
    def _link(self) -> PurePath:
        return self.file.parent / "default.target.wants" / UNIT

    def is_done(self) -> bool:
        """False: a version that is put to use starts its service anew."""
        return False

    def do(self, progress: Progress) -> None:
        """Have the system start it, now if it can and at the next login anyway."""
        self.record.service = KINDS[self.machine.system]
        if self.machine.system == "linux":
            link = Path(self._link)
            self.record.make_folder(link.parent)
            self.record.announce(link, None)
            if not link.is_symlink():
                link.symlink_to(self.file)
            if not has_user_manager():
                progress.say("  no systemd session here: it starts at the next login")
                return
        if self.machine.system == "darwin":
            stop_service(self.record, self.machine)  # launchd takes no second one of the same name
            self.record.service = KINDS["darwin"]
        for command in self._starting():
            _run_patiently(command)

    def _starting(self) -> list[list[str]]:
        if self.machine.system == "linux":
            return [_systemctl("daemon-reload"), _systemctl("restart", UNIT)]
        if self.machine.system == "darwin":
            return [["launchctl", "bootstrap", f"gui/{_user_id()}", str(self.file)]]
        return [
            ["schtasks", "/Create", "/TN", TASK, "/XML", str(self.file), "/F"],
            ["schtasks", "/Run", "/TN", TASK],
        ]


def _run_patiently(command: Sequence[str]) -> None:
    """Run a command, again if it fails: launchd ends an agent in its own time. Raises InstallError."""
    run = _run(command)
    for pause_s in PAUSES_S:
        if run.returncode:
            time.sleep(pause_s)
            run = _run(command)
    if run.returncode:
        raise InstallError(
            f"`{' '.join(command)}` failed: {(run.stderr or run.stdout).strip()}",
            "Install without it (--without service): commands start the daemon on demand.",
        )


def stop_service(record: Record, machine: Machine) -> None:
    """Stop the service and take it out of the system's lists; its file is the record's business."""
    commands = {
        "systemd": [_systemctl("stop", UNIT)] if machine.system == "linux" and has_user_manager() else [],
        "launchd": [["launchctl", "bootout", f"gui/{_user_id()}/{LABEL}"]],
        "task": [["schtasks", "/End", "/TN", TASK], ["schtasks", "/Delete", "/TN", TASK, "/F"]],
    }
    for command in commands.get(record.service or "", []):
        with contextlib.suppress(OSError):
            _run(command)
    record.service = None
    record.save()


def forget_unit(machine: Machine) -> None:
    """Have systemd read its units again, once ours is gone."""
    if machine.system == "linux" and has_user_manager():
        _run(_systemctl("daemon-reload"))


def has_user_manager() -> bool:
    """Tell whether this user has a systemd that can be asked."""
    try:
        return _run(_systemctl("show-environment")).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def unit_state() -> str:
    """Return what systemd says of the unit, such as "active"."""
    return _run(_systemctl("is-active", UNIT)).stdout.strip() or "unknown"


def _systemctl(*words: str) -> list[str]:
    return ["systemctl", "--user", *words]


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)


def _user_id() -> int:
    return os.getuid() if hasattr(os, "getuid") else 0
