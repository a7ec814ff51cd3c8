"""What this machine is: its system, the folders programs are put in, and the GPU's driver.

Paths are pure, so that the plan for another system can be shown and tested here.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import Literal

from installer.places import HOME_VARIABLE, moved_home

System = Literal["linux", "darwin", "win32"]
DRIVER_FILE = Path("/proc/driver/nvidia/version")
QUESTION_TIMEOUT_S = 20.0


@dataclass(frozen=True)
class Gpu:
    """An NVIDIA GPU, as its driver names it."""

    name: str
    driver: str  # its version
    memory_bytes: int | None = None


@dataclass(frozen=True)
class Machine:
    """The facts that a plan depends on."""

    system: System
    home: PurePath
    variables: Mapping[str, str] = field(default_factory=dict)
    gpu: Gpu | None = None
    shells: tuple[str, ...] = ()
    blenders: tuple[str, ...] = ()  # versions with a folder of settings, 4.2 or newer

    @property
    def moved(self) -> PurePath | None:
        """Return the folder that DUBWRIGHT_HOME moves everything to."""
        moved = self.variables.get(HOME_VARIABLE)
        return type(self.home)(moved) if moved else None

    @property
    def data(self) -> PurePath:
        """Return the folder of takes, queue and installed versions."""
        return self._own("data", self._shared("XDG_DATA_HOME", ".local", "share"))

    @property
    def config(self) -> PurePath:
        """Return the folder of settings and keys."""
        return self._own("config", self._shared("XDG_CONFIG_HOME", ".config"))

    @property
    def cache(self) -> PurePath:
        """Return the folder of what can be made again; downloaded packages among it."""
        usual = {
            "linux": lambda: self._shared("XDG_CACHE_HOME", ".cache") / "dubwright",
            "darwin": lambda: self.home / "Library" / "Caches" / "dubwright",
            "win32": lambda: self._local() / "dubwright" / "Cache",
        }
        return self.moved / "cache" if self.moved else usual[self.system]()

    @property
    def logs(self) -> PurePath:
        """Return the folder of logs."""
        usual = {
            "linux": lambda: self._shared("XDG_STATE_HOME", ".local", "state") / "dubwright" / "log",
            "darwin": lambda: self.home / "Library" / "Logs" / "dubwright",
            "win32": lambda: self._local() / "dubwright" / "Logs",
        }
        return self.moved / "logs" if self.moved else usual[self.system]()

    @property
    def models(self) -> PurePath:
        """Return the folder of models."""
        return (self.moved or self.data) / "models"

    @property
    def shared(self) -> PurePath:
        """Return the folder of this user's applications, icons and completions (Linux)."""
        return self._shared("XDG_DATA_HOME", ".local", "share")

    @property
    def settings(self) -> PurePath:
        """Return the folder of programs' settings: where Blender and systemd keep theirs."""
        if self.system == "win32":
            return self._roaming()
        if self.system == "darwin":
            return self.home / "Library" / "Application Support"
        return self._shared("XDG_CONFIG_HOME", ".config")

    @property
    def start_menu(self) -> PurePath:
        """Return the folder of the Start menu (Windows)."""
        return self._roaming() / "Microsoft" / "Windows" / "Start Menu" / "Programs"

    @property
    def resolve_scripts(self) -> PurePath:
        """Return where DaVinci Resolve looks for scripts. Source: Blackmagic's scripting README."""
        base = {
            "linux": lambda: self.home / ".local" / "share" / "DaVinciResolve",
            "darwin": lambda: self.settings / "Blackmagic Design" / "DaVinci Resolve",
            "win32": lambda: self.settings / "Blackmagic Design" / "DaVinci Resolve" / "Support",
        }[self.system]()
        return base / "Fusion" / "Scripts" / "Utility"

    @property
    def blender(self) -> PurePath:
        """Return Blender's folder of settings, which has one folder a version."""
        names = {"linux": "blender", "darwin": "Blender", "win32": "Blender Foundation/Blender"}
        return self.settings / names[self.system]

    def _own(self, name: str, linux: PurePath) -> PurePath:
        if self.moved:
            return self.moved / name
        if self.system == "win32":
            return self._local() / "dubwright"
        if self.system == "darwin":
            return self.home / "Library" / "Application Support" / "dubwright"
        return linux / "dubwright"

    def _shared(self, variable: str, *usual: str) -> PurePath:
        named = self.variables.get(variable, "").strip()
        return type(self.home)(named) if named else self.home.joinpath(*usual)

    def _local(self) -> PurePath:
        return type(self.home)(self.variables.get("LOCALAPPDATA") or self.home / "AppData" / "Local")

    def _roaming(self) -> PurePath:
        return type(self.home)(self.variables.get("APPDATA") or self.home / "AppData" / "Roaming")


def this_machine() -> Machine:
    """Look at the machine we run on."""
    system: System = "win32" if os.name == "nt" else "darwin" if sys.platform == "darwin" else "linux"
    kind = PureWindowsPath if system == "win32" else PurePosixPath
    variables = dict(os.environ)
    moved = moved_home()
    if moved is not None:
        variables[HOME_VARIABLE] = str(moved)
    machine = Machine(system, kind(Path.home()), variables, find_gpu(), _shells())
    return Machine(machine.system, machine.home, variables, machine.gpu, machine.shells, _blenders(machine))


def find_gpu() -> Gpu | None:
    """Return the first NVIDIA GPU, asked of nvidia-smi, else of the driver's own file."""
    query = ["--query-gpu=name,driver_version,memory.total", "--format=csv,noheader,nounits"]
    program = shutil.which("nvidia-smi")
    if program is not None:
        try:
            run = subprocess.run(
                [program, *query], capture_output=True, text=True, timeout=QUESTION_TIMEOUT_S, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        parts = [part.strip() for part in run.stdout.partition("\n")[0].split(",")]
        if run.returncode == 0 and len(parts) == 3:
            memory = int(parts[2]) * 2**20 if parts[2].isdigit() else None
            return Gpu(parts[0], parts[1], memory)
    try:
        text = DRIVER_FILE.read_text(encoding="utf-8")
    except OSError:
        return None
    found = re.search(r"Kernel Module.*?(\d+\.\d+[.\d]*)", text)
    return Gpu("NVIDIA GPU", found[1]) if found else None


def _shells() -> tuple[str, ...]:
    return tuple(name for name in ("bash", "zsh", "fish") if shutil.which(name))


def _blenders(machine: Machine) -> tuple[str, ...]:
    """Return the versions of Blender that have settings here and know extensions."""
    found = []
    for folder in sorted(Path(machine.blender).glob("*.*")):
        version = re.fullmatch(r"(\d+)\.(\d+)", folder.name)
        if version and (int(version[1]), int(version[2])) >= (4, 2):
            found.append(folder.name)
    return tuple(found)
