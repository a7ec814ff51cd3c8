"""How long nobody has used mouse and keyboard: each desktop's own way to ask, behind one function."""

import ctypes
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

PATIENCE_S = 3.0

MUTTER = (
    "gdbus", "call", "--session", "--dest", "org.gnome.Mutter.IdleMonitor",
    "--object-path", "/org/gnome/Mutter/IdleMonitor/Core",
    "--method", "org.gnome.Mutter.IdleMonitor.GetIdletime",
)  # fmt: skip
"""Asks GNOME's compositor, also under Wayland; it answers `(uint64 milliseconds,)`."""

Ask = Callable[[Sequence[str]], str]
"""Runs a program and returns what it prints; "" when it is not there or fails."""


def idle_seconds() -> float | None:
    """Return the seconds since somebody last used this machine, or None where nobody tells."""
    if sys.platform == "win32":
        return _windows()
    return _macos(ask) if sys.platform == "darwin" else _linux(ask)


def ask(command: Sequence[str]) -> str:
    """Return what a program prints; "" when it is not there, fails or takes too long."""
    program = shutil.which(command[0])
    if program is None:
        return ""
    try:
        done = subprocess.run(
            [program, *command[1:]], capture_output=True, text=True, timeout=PATIENCE_S, check=True,
            stdin=subprocess.DEVNULL, errors="replace",
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout


def _linux(ask: Ask) -> float | None:
    """Ask GNOME's compositor, then X11, then logind, in which most desktops note when they go idle."""
    if os.environ.get("DBUS_SESSION_BUS_ADDRESS") and (found := re.search(r"uint64 (\d+)", ask(MUTTER))):
        return int(found[1]) / 1000
    if os.environ.get("DISPLAY") and (found := re.fullmatch(r"\s*(\d+)\s*", ask(("xprintidle",)))):
        return int(found[1]) / 1000
    return parse_session(ask(("loginctl", "show-session", "auto", "-p", "IdleHint", "-p", "IdleSinceHint")))


def parse_session(text: str, *, now: float | None = None) -> float | None:
    """Return how long a session has been idle, by what `loginctl show-session` prints."""
    values = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    if values.get("IdleHint") not in ("yes", "no"):
        return None
    if values["IdleHint"] == "no":
        return 0.0
    since = values.get("IdleSinceHint", "")
    now = time.time() if now is None else now
    return max(0.0, now - int(since) / 1e6) if since.isdigit() else 0.0


def _macos(ask: Ask) -> float | None:
    """Ask the HID system, which counts nanoseconds."""
    found = re.search(r'"HIDIdleTime"\s*=\s*(\d+)', ask(("ioreg", "-c", "IOHIDSystem", "-d", "4")))
    return int(found[1]) / 1e9 if found else None


def _windows() -> float | None:
    if sys.platform != "win32":
        return None

    class LastInput(ctypes.Structure):
        _fields_ = (("size", ctypes.c_uint), ("ticks", ctypes.c_uint))

    last = LastInput(ctypes.sizeof(LastInput), 0)
    if not ctypes.windll.user32.GetLastInputInfo(ctypes.byref(last)):
        return None
    return ((ctypes.windll.kernel32.GetTickCount() - last.ticks) & 0xFFFFFFFF) / 1000
