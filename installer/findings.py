"""What the doctor finds on the machine itself, by the standard library alone, even before an installation."""

import contextlib
import ctypes
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from installer import editors, service
from installer.installation import Installation, read_choices
from installer.machine import Machine
from installer.record import Record, read_record

State = Literal["ok", "warning", "broken"]
PYTHONS = ((3, 11), (3, 14))  # from, before
GIGABYTE = 2**30
NEEDED_DISK = 2 * GIGABYTE  # a few takes
USUAL_DISK = 20 * GIGABYTE  # a night of takes; models come on top
USUAL_MEMORY = 6 * GIGABYTE
TRIAL_BYTES = 64 * 2**20
SLOW_DISK = 30 * 2**20  # bytes a second, below what a take in ProRes 4444 of HD wants
QT_LIBRARIES = (
    "libEGL.so.1", "libGL.so.1", "libxkbcommon.so.0", "libxkbcommon-x11.so.0", "libxcb-cursor.so.0",
    "libxcb-icccm.so.4", "libxcb-image.so.0", "libxcb-keysyms.so.1", "libxcb-render-util.so.0",
    "libfontconfig.so.1", "libdbus-1.so.3",
)  # fmt: skip
QT_HINT = (
    "Debian and Ubuntu: sudo apt install libegl1 libgl1 libxkbcommon-x11-0 libxcb-cursor0 libxcb-icccm4 "
    "libxcb-image0 libxcb-keysyms1 libxcb-render-util0 libfontconfig1 libdbus-1-3"
)
INSTALL_HINT = "Run `python3 installer install`."
REPAIR_HINT = "Run `python3 installer repair`."


@dataclass(frozen=True)
class Finding:
    """One thing looked at; `hint` says what to do when it is not ok."""

    name: str
    state: State
    detail: str
    hint: str = ""

    @property
    def ok(self) -> bool:
        """Tell whether work can go on."""
        return self.state != "broken"


def look(machine: Machine) -> Iterator[Finding]:
    """Yield everything that can be found without our own environment."""
    record = read_record(Path(machine.data))
    yield _python()
    yield _installation(machine, record)
    yield from _gpu(machine)
    yield _memory()
    yield from _disk(Path(machine.data))
    yield from _desktop_parts(machine, record)
    yield _service(machine, record)
    yield from _editors(machine, record)


def finding(name: str, is_well: bool, detail: str, hint: str, *, otherwise: State = "broken") -> Finding:
    """Return a finding that is ok or `otherwise`."""
    return Finding(name, "ok", detail) if is_well else Finding(name, otherwise, detail, hint)


def as_document(found: list[Finding]) -> dict[str, object]:
    """Return the findings as `--json` shows them."""
    items = [
        {"name": item.name, "ok": item.ok, "state": item.state, "detail": item.detail, "hint": item.hint}
        for item in found
    ]
    return {"ok": all(item.ok for item in found), "findings": items}


def as_text(found: list[Finding]) -> str:
    """Return the findings for a person."""
    words = {"ok": "ok     ", "warning": "warning", "broken": "BROKEN "}
    lines = []
    for item in found:
        lines.append(f"{words[item.state]} {item.name}: {item.detail}")
        if item.hint and item.state != "ok":
            lines.append(f"        {item.hint}")
    return "\n".join(lines)


def _python() -> Finding:
    is_well = PYTHONS[0] <= sys.version_info[:2] < PYTHONS[1]
    detail = f"{sys.version.split()[0]}, {sys.executable}"
    return finding("python", is_well, detail, "Dubwright runs on Python 3.11 to 3.13.")


def _installation(machine: Machine, record: Record) -> Finding:
    if record.incomplete_file.exists():
        command = record.incomplete_file.read_text(encoding="utf-8")
        hint = f"Run `python3 installer {command}` again: it goes on; or `uninstall`."
        return Finding("installation", "broken", f"`{command}` has not ended", hint)
    if record.version is None:
        return Finding("installation", "warning", "not installed; run from its folder", INSTALL_HINT)
    missing = [item.path for item in record.files if not os.path.lexists(item.path)]
    if missing:
        return Finding("installation", "broken", f"missing: {', '.join(missing)}", REPAIR_HINT)
    source = Path(machine.data) / "versions" / record.version / "source"
    if Installation(machine, source, read_choices(record.choices), record).version != record.version:
        hint = "Run `python3 installer repair`, or `update` where the folder it came from has moved on."
        return Finding("installation", "broken", f"files of {source} were changed", hint)
    return Finding("installation", "ok", f"version {record.version}")


def of_version_that_does_not_run(complaint: str) -> Finding:
    """Return what is to be said when the installed version's own doctor gives no answer."""
    reason = (complaint.strip() or "it gives no answer").splitlines()[-1]
    return Finding("version", "broken", f"the installed version does not run: {reason}", REPAIR_HINT)


def _gpu(machine: Machine) -> Iterator[Finding]:
    gpu = machine.gpu
    if gpu is None:
        detail = "no NVIDIA driver found"
        yield Finding(
            "driver",
            "warning",
            detail,
            "The rewrite engine needs none; for the wan engine install NVIDIA's driver.",
        )
        return
    yield Finding("driver", "ok", f"{gpu.driver} for {gpu.name}")
    cuda = _cuda_version()
    hint = "Install the driver anew: its CUDA library cannot be loaded."
    yield finding("cuda", cuda is not None, f"up to {cuda}" if cuda else "no CUDA library", hint)
    if gpu.memory_bytes is not None:
        yield Finding("video memory", "ok", f"{gpu.memory_bytes / GIGABYTE:.1f} GB")


def _cuda_version() -> str | None:
    name = {"win32": "nvcuda.dll"}.get(sys.platform, "libcuda.so.1")
    version = ctypes.c_int()
    try:
        if ctypes.CDLL(name).cuDriverGetVersion(ctypes.byref(version)) != 0:
            return None
    except (OSError, AttributeError):
        return None
    return f"{version.value // 1000}.{version.value % 1000 // 10}"


def _memory() -> Finding:
    total = _memory_bytes()
    if total is None:
        return Finding("memory", "ok", "cannot be told on this system")
    hint = "Long shots may not fit; close other programs, or choose shorter ranges."
    return finding("memory", total >= USUAL_MEMORY, f"{total / GIGABYTE:.1f} GB", hint, otherwise="warning")


def _memory_bytes() -> int | None:
    if sys.platform == "win32":
        kilobytes = ctypes.c_ulonglong()
        ctypes.windll.kernel32.GetPhysicallyInstalledSystemMemory(ctypes.byref(kilobytes))
        return kilobytes.value * 1024 or None
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return None


def _disk(folder: Path) -> Iterator[Finding]:
    """Look at the room and the speed where takes and checkpoints go."""
    place = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(place).free
    detail = f"{free / GIGABYTE:.1f} GB free in {folder}"
    if free < NEEDED_DISK:
        yield Finding("disk", "broken", detail, "Free some space, or set DUBWRIGHT_HOME to another disk.")
    else:
        yield finding(
            "disk", free >= USUAL_DISK, detail, "A night of takes may need more.", otherwise="warning"
        )
    if not os.access(place, os.W_OK):
        yield Finding("disk speed", "broken", f"{place} cannot be written", "Change its permissions.")
    elif free > 2 * TRIAL_BYTES:
        speed = _disk_speed(place)
        hint = "Takes wait for this disk; set DUBWRIGHT_HOME to a faster one."
        detail = f"{speed / 1e6:.0f} MB/s written"
        yield finding("disk speed", speed >= SLOW_DISK, detail, hint, otherwise="warning")


def _disk_speed(folder: Path) -> float:
    """Return the bytes a second that a file of some size is written with, to the disk itself."""
    block = os.urandom(2**20)
    with tempfile.TemporaryFile(dir=folder) as file:
        start = time.perf_counter()
        for _ in range(TRIAL_BYTES // len(block)):
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
        return TRIAL_BYTES / (time.perf_counter() - start)


def _desktop_parts(machine: Machine, record: Record) -> Iterator[Finding]:
    """Look for what the app needs of the system: Qt's libraries and fonts, which Linux may lack."""
    if machine.system != "linux" or "app" in record.choices.get("without", []):
        return
    missing = [name for name in QT_LIBRARIES if not _can_load(name)]
    detail = f"missing: {', '.join(missing)}" if missing else f"all {len(QT_LIBRARIES)} that Qt asks for"
    yield finding("app libraries", not missing, detail, QT_HINT, otherwise="warning")
    fonts = _font_count()
    hint = "Debian and Ubuntu: sudo apt install fonts-dejavu-core fonts-noto-cjk"
    yield finding("fonts", fonts > 0, f"{fonts} installed", hint, otherwise="warning")


def _can_load(name: str) -> bool:
    with contextlib.suppress(OSError):
        ctypes.CDLL(name)
        return True
    return False


def _font_count() -> int:
    program = shutil.which("fc-list")
    if program is not None:
        run = subprocess.run([program], capture_output=True, text=True, check=False)
        return len(run.stdout.splitlines())
    folders = (Path("/usr/share/fonts"), Path.home() / ".local" / "share" / "fonts", Path.home() / ".fonts")
    return sum(1 for folder in folders for path in folder.rglob("*.[to]t[fc]") if path.is_file())


def _service(machine: Machine, record: Record) -> Finding:
    if record.service is None:
        return Finding("service", "ok", "none; commands start the daemon on demand")
    file = Path(service.service_file(machine))
    if not file.is_file():
        return Finding("service", "broken", f"{file} is missing", REPAIR_HINT)
    if record.service == "systemd" and service.has_user_manager():
        state = service.unit_state()
        hint = f"Run `systemctl --user status {service.UNIT}`."
        return finding("service", state == "active", f"{service.UNIT} is {state}", hint, otherwise="warning")
    return Finding("service", "ok", f"starts at login ({record.service})")


def _editors(machine: Machine, record: Record) -> Iterator[Finding]:
    """Look for editors, and whether their plugin is the one of the version in use."""
    if record.version is None:
        return
    source = str(Path(machine.data) / "versions" / record.version / "source")
    script = Path(machine.resolve_scripts) / editors.SCRIPT
    has_resolve = script.parents[3].is_dir() and any(
        path.name != "Fusion" for path in script.parents[3].iterdir()
    )
    if has_resolve or script.is_file():
        is_ours = script.is_file() and repr(source) in script.read_text(encoding="utf-8")
        found = "found" if has_resolve else "not found"
        detail = f"DaVinci Resolve {found}, script of {record.version if is_ours else 'another version'}"
        yield finding("DaVinci Resolve", is_ours, detail, REPAIR_HINT, otherwise="warning")
    ours = _extension_version(Path(source) / "editor_plugin" / "blender")
    for version in machine.blenders:
        theirs = _extension_version(Path(editors.extension_folder(machine, version)))
        detail = f"found, extension {theirs or 'not installed'}"
        yield finding(f"Blender {version}", theirs == ours, detail, REPAIR_HINT, otherwise="warning")


def _extension_version(folder: Path) -> str | None:
    try:
        return tomllib.loads((folder / "blender_manifest.toml").read_text(encoding="utf-8"))["version"]
    except (OSError, tomllib.TOMLDecodeError, KeyError):
        return None


def to_json(found: list[Finding]) -> str:
    """Return the findings as one line of JSON."""
    return json.dumps(as_document(found))
