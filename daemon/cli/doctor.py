"""`dubwright doctor`: look at everything a job needs, and say what is wrong and what to do."""

import shutil
import sqlite3
import stat
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib import metadata

import daemon
from daemon.cli.output import JsonOption, print_json, print_line
from daemon.cli.status import ExitStatus
from daemon.client import Client
from daemon.launch import find_daemon
from daemon.paths import Paths, find_paths
from daemon.protocol.errors import DubwrightError
from installer import face_models

PYTHONS = ((3, 11), (3, 14))  # from, before
PACKAGES = ("ai-edge-litert", "av", "msgspec", "numpy", "opencv-python-headless", "pyzmq", "scipy", "soxr")
ENOUGH_DISK_BYTES = 2 * 2**30
INSTALL_HINT = "Run `python3 installer install`."


@dataclass(frozen=True)
class Finding:
    """One thing looked at."""

    name: str
    ok: bool
    detail: str
    hint: str = ""


def doctor(as_json: JsonOption = False) -> int:
    """Check this machine: Python, packages, face models, keys, disk, queue, daemon."""
    paths = find_paths()
    findings = [finding for look in LOOKS for finding in look(paths)]
    is_well = all(finding.ok for finding in findings)
    if as_json:
        print_json({"ok": is_well, "findings": [asdict(finding) for finding in findings]})
    else:
        for finding in findings:
            print_line(f"{'ok  ' if finding.ok else 'BAD '} {finding.name}: {finding.detail}")
            if finding.hint and not finding.ok:
                print_line(f"     {finding.hint}")
    return ExitStatus.OK if is_well else ExitStatus.MACHINE


def _python(_: Paths) -> Iterator[Finding]:
    ok = PYTHONS[0] <= sys.version_info[:2] < PYTHONS[1]
    yield Finding("python", ok, sys.version.split()[0], "Dubwright runs on Python 3.11 to 3.13.")


def _packages(_: Paths) -> Iterator[Finding]:
    versions, absent = [f"dubwright {daemon.__version__}"], []
    for name in PACKAGES:
        try:
            versions.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            absent.append(name)
    detail = f"missing: {', '.join(absent)}" if absent else ", ".join(versions)
    yield Finding("packages", not absent, detail, INSTALL_HINT)


def _models(paths: Paths) -> Iterator[Finding]:
    folder = paths.models / "faces"
    missing = face_models.missing(folder)
    detail = f"{', '.join(missing)} not right in {folder}" if missing else str(folder)
    yield Finding("face models", not missing, detail, INSTALL_HINT)


def _keys(paths: Paths) -> Iterator[Finding]:
    try:
        mode = stat.S_IMODE(paths.keys_file.stat().st_mode)
    except FileNotFoundError:
        yield Finding("keys", True, "none yet; the daemon makes them at its first start")
        return
    is_private = sys.platform == "win32" or mode & 0o077 == 0
    hint = f"Run: chmod 600 {paths.keys_file}, and restart the daemon, which then makes new keys."
    yield Finding("keys", is_private, f"{paths.keys_file} has mode {mode:04o}", hint)


def _disk(paths: Paths) -> Iterator[Finding]:
    try:
        paths.make()
        free = shutil.disk_usage(paths.data).free
    except (DubwrightError, OSError) as error:
        yield Finding("disk", False, str(error), "Set DUBWRIGHT_HOME to a folder you may write to.")
        return
    detail = f"{free / 2**30:.1f} GB free in {paths.data}"
    yield Finding("disk", free >= ENOUGH_DISK_BYTES, detail, "Free some space.")


def _queue(paths: Paths) -> Iterator[Finding]:
    if not paths.queue_file.exists():
        yield Finding("queue", True, "empty")
        return
    try:
        database = sqlite3.connect(f"{paths.queue_file.as_uri()}?mode=ro", uri=True)
        try:
            verdict = database.execute("PRAGMA quick_check").fetchone()[0]
        finally:
            database.close()
    except sqlite3.Error as error:
        verdict = str(error)
    hint = f"Stop the daemon and move {paths.queue_file} away; takes on disk are not touched."
    yield Finding("queue", verdict == "ok", f"{paths.queue_file}: {verdict}", hint)


def _daemon(paths: Paths) -> Iterator[Finding]:
    try:
        if find_daemon(paths) is None:
            yield Finding("daemon", True, "not running; it starts on demand")
            return
        with Client.connect(start=False, name="cli", paths=paths) as client:
            found = client.status()
    except DubwrightError as error:
        yield Finding("daemon", False, error.message, error.hint)
        return
    detail = f"version {found.version} runs as process {found.server_pid}"
    hint = f"This command is version {daemon.__version__}. Run `dubwright daemon stop`."
    yield Finding("daemon", found.version == daemon.__version__, detail, hint)


LOOKS: tuple[Callable[[Paths], Iterator[Finding]], ...] = (
    _python,
    _packages,
    _models,
    _keys,
    _disk,
    _queue,
    _daemon,
)
COMMANDS = {"doctor": doctor}
