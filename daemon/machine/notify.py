"""Tells people and programs that a report is there: a desktop notification, a command, a web address.

What is run or called stands in the settings file alone; no message of a client can change it. Nothing goes
through a shell.
"""

import logging
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

log = logging.getLogger(__name__)

PATIENCE_S = 60.0


def show(title: str, text: str) -> bool:
    """Show a notification on the desktop; return whether a program for that is here and took it."""
    command = notifier(title, text)
    return command is not None and _run(command)


def notifier(title: str, text: str, *, platform: str = sys.platform) -> list[str] | None:
    """Return the command that shows a notification, or None where there is none."""
    if platform == "darwin":
        script = "on run argv\ndisplay notification (item 2 of argv) with title (item 1 of argv)\nend run"
        return ["osascript", "-e", script, title, text]
    if platform == "win32":
        return ["msg", "*", "/TIME:60", f"{title}: {text}"]
    program = shutil.which("notify-send")
    return None if program is None else [program, "--app-name=Dubwright", "--", title, text]


def run_command(command: Sequence[str], report: Path) -> bool:
    """Run the studio's own command with the report's path as its last argument."""
    return _run([*command, str(report)])


def post(address: str, report: Path) -> bool:
    """Send the report to a web address as JSON."""
    import urllib.request  # not at the top: 30 ms of the daemon's start for what few ask for

    try:
        request = urllib.request.Request(
            address, report.read_bytes(), {"Content-Type": "application/json"}, method="POST"
        )
        with urllib.request.urlopen(request, timeout=PATIENCE_S):
            return True
    except (OSError, ValueError) as error:
        log.warning("The report could not be sent to %s: %s.", address, error)
        return False


def _run(command: Sequence[str]) -> bool:
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE_S, check=False
        )
    except (OSError, subprocess.SubprocessError) as error:
        log.warning("%s could not be run: %s.", command[0], error)
        return False
    if done.returncode:
        log.warning("%s ended with status %s.", command[0], done.returncode)
    return done.returncode == 0
