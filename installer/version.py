"""A version of Dubwright in the data folder: a copy of its code, and an environment of its own.

Versions lie side by side under `versions/`, so that a new one can be made and tried while the old one works.
A version's name tells its code, its Python and what was chosen, so that the same is never installed twice.
"""

import base64
import hashlib
import os
import shutil
import tomllib
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from installer.environment import Environment
from installer.pip import Pip
from installer.progress import Progress
from installer.steps import fingerprint

PACKAGES = ("daemon", "wan_engine", "editor_plugin", "gui", "installer")
PAGES = ("pyproject.toml", "README.md", "LICENSE")
_SKIPPED = ("__pycache__",)


def source_files(root: Path) -> Iterator[Path]:
    """Yield the files of the code under `root`, relative to it, in order."""
    for name in PAGES:
        if (root / name).is_file():
            yield Path(name)
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*")):
            relative = path.relative_to(root)
            if path.is_file() and path.suffix != ".pyc" and not set(_SKIPPED) & set(relative.parts):
                yield relative


def version_of(root: Path, *choices: str) -> str:
    """Return the name of the version that `root` and the choices make."""
    digest = hashlib.sha256(fingerprint(*choices).encode())
    for relative in source_files(root):
        digest.update(f"{relative.as_posix()}\0".encode())
        digest.update((root / relative).read_bytes())
    try:
        number = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    except OSError:
        number = "0"  # the code is gone; no version has this name
    return f"{number}-{digest.hexdigest()[:8]}"


@dataclass
class CopySource:
    """The code, copied, so that the clone can change or go."""

    clone: Path
    target: Path
    title: str = "Copying Dubwright"

    @property
    def detail(self) -> str:
        """Return where to."""
        return str(self.target)

    def is_done(self) -> bool:
        """True when every file is there as it is in the clone."""
        return all(_same(self.clone / path, self.target / path) for path in source_files(self.clone))

    def do(self, progress: Progress) -> None:
        """Copy what is missing or differs."""
        for relative in source_files(self.clone):
            source, target = self.clone / relative, self.target / relative
            if not _same(source, target):
                target.parent.mkdir(parents=True, exist_ok=True)
                draft = target.with_name(target.name + ".new")
                shutil.copyfile(source, draft)
                os.replace(draft, target)


@dataclass
class InstallSource:
    """The copied code, made known to the environment, with its commands.

    The wheel holds a path and no code; it is written here because a build backend would be one download more.
    """

    environment: Environment
    source: Path
    title: str = "Installing Dubwright's commands"

    @property
    def detail(self) -> str:
        """Return where they are."""
        return str(self.environment.programs)

    def is_done(self) -> bool:
        """True when this copy is the one installed and its command is there."""
        command = self.environment.programs / ("dubwright.exe" if os.name == "nt" else "dubwright")
        is_here = command.exists() and (self.source / "pyproject.toml").exists()
        return is_here and self.environment.fingerprint_of("source") == self._fingerprint()

    def do(self, progress: Progress) -> None:
        """Write the wheel and have pip install it."""
        self.environment.begin("source")
        wheel = write_pointing_wheel(self.source, self.environment.folder)
        options = ["--no-deps", "--no-index", "--force-reinstall", str(wheel)]
        Pip(self.environment).install(options, progress)
        wheel.unlink()
        self.environment.finish("source", self._fingerprint())

    def _fingerprint(self) -> str:
        return fingerprint(str(self.source), (self.source / "pyproject.toml").read_text(encoding="utf-8"))


def write_pointing_wheel(source: Path, folder: Path) -> Path:
    """Write a wheel that puts `source` on the path and makes the project's commands; return its file."""
    project = tomllib.loads((source / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    name, version = project["name"], project["version"]
    info = f"{name}-{version}.dist-info"
    commands = "\n".join(f"{command} = {place}" for command, place in project["scripts"].items())
    metadata = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}"]
    metadata += [f"Requires-Dist: {requirement}" for requirement in project["dependencies"]]
    files = {
        f"{name}.pth": f"{source}\n",
        f"{info}/METADATA": "\n".join(metadata) + "\n",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: {name}\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[console_scripts]\n{commands}\n",
    }
    lines = [f"{path},sha256={_wheel_hash(text)},{len(text.encode())}" for path, text in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*lines, f"{info}/RECORD,,"]) + "\n"
    wheel = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return wheel


@dataclass
class SharePackages:
    """The packages of another environment, used in place instead of downloaded ones."""

    environment: Environment
    folder: Path
    title: str = "Using the packages of another environment"

    @property
    def detail(self) -> str:
        """Return which."""
        return str(self.folder)

    @property
    def _file(self) -> Path:
        return self.environment.site_packages / "dubwright-shared.pth"

    def is_done(self) -> bool:
        """True when the environment already looks there."""
        return self._file.is_file() and self._file.read_text(encoding="utf-8") == f"{self.folder}\n"

    def do(self, progress: Progress) -> None:
        """Put the folder on the environment's path, behind its own packages."""
        self._file.write_text(f"{self.folder}\n", encoding="utf-8")


def _wheel_hash(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")


def _same(one: Path, other: Path) -> bool:
    return (
        other.is_file()
        and one.stat().st_size == other.stat().st_size
        and one.read_bytes() == other.read_bytes()
    )
