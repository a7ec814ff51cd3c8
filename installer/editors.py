"""Plugins where editors look for them: made by `editor_plugin.install`, staged, and placed from there."""

import shutil
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath

from installer.environment import Environment
from installer.files import PlaceFile
from installer.machine import Machine
from installer.places import HOME_VARIABLE
from installer.problems import InstallError
from installer.progress import Progress
from installer.record import Record
from installer.steps import Placed, fingerprint

EXTENSION = "dubwright"
SCRIPT = "Dubwright.py"


@dataclass
class Stage:
    """The editors' scripts and the shells' completion, made by the new version in a folder of its own.

    Nothing outside that folder changes, so that a version that fails its doctor has touched no editor.
    """

    environment: Environment
    folder: Path
    shells: tuple[str, ...]
    title: str = "Making plugins and completion"

    @property
    def detail(self) -> str:
        """Return where they wait to be placed."""
        return str(self.folder)

    @property
    def blender(self) -> Path:
        """Return the Blender extension."""
        return self.folder / "dubwright-blender.zip"

    @property
    def resolve(self) -> Path:
        """Return the folder of Resolve's scripts."""
        return self.folder / "resolve"

    @property
    def interpreter(self) -> Path:
        """Return the record that tells editors which Python to start."""
        return self.folder / "home" / "data" / "editors.json"

    def is_done(self) -> bool:
        """True when this version has made them."""
        return self.environment.fingerprint_of("stage") == fingerprint(str(self.folder), *self.shells)

    def do(self, progress: Progress) -> None:
        """Make them."""
        self.environment.begin("stage")
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        python = str(self.environment.python)
        self._run([python, "-m", "editor_plugin.install", "resolve", str(self.resolve)])
        self._run([python, "-m", "editor_plugin.install", "blender", str(self.blender)])
        for shell in self.shells:
            script = self._run(
                [str(self.environment.programs / "dubwright")], _DUBWRIGHT_COMPLETE=f"source_{shell}"
            )
            (self.folder / f"completion.{shell}").write_text(script, encoding="utf-8")
        self.environment.finish("stage", fingerprint(str(self.folder), *self.shells))

    def _run(self, command: list[str], **variables: str) -> str:
        moved = {HOME_VARIABLE: str(self.folder / "home"), **variables}
        everything = {**self.environment.variables(), **moved}
        run = subprocess.run(
            command, env=everything, cwd=self.folder, capture_output=True, text=True, check=False
        )
        if run.returncode:
            raise InstallError(
                f"`{' '.join(command)}` failed: {(run.stderr.strip() or 'no reason given').splitlines()[-1]}",
                "Run `python3 installer repair`.",
            )
        return run.stdout


@dataclass
class PlaceStaged:
    """All files of a plugin, as they were staged, in a folder of an editor's."""

    record: Record
    title: str
    folder: PurePath
    staged: Callable[[], dict[str, bytes]]

    @property
    def detail(self) -> str:
        """Return where they go."""
        return str(self.folder)

    @property
    def paths(self) -> list[PurePath]:
        """Return the files of the plugin."""
        return [step.path for step in self._steps()]

    def is_done(self) -> bool:
        """True when all of them are there."""
        try:
            return all(step.is_done() for step in self._steps())
        except OSError:
            return False  # not staged yet

    def do(self, progress: Progress) -> None:
        """Write them."""
        for step in self._steps():
            step.do(progress)

    def _steps(self) -> list[PlaceFile]:
        return [
            PlaceFile(self.record, self.title, self.folder / name, lambda data=data: data)
            for name, data in self.staged().items()
        ]


def editor_steps(record: Record, machine: Machine, stage: Stage) -> Iterator[Placed]:
    """Return the steps for each editor. Blender's versions are those that have settings here."""
    interpreter = machine.data / "editors.json"
    yield PlaceFile(record, "Telling editors where Python is", interpreter, stage.interpreter.read_bytes)
    title = "Placing the scripts for DaVinci Resolve"
    yield PlaceStaged(record, title, machine.resolve_scripts, lambda: _files_of(stage.resolve))
    for version in machine.blenders:
        title = f"Placing the extension for Blender {version}"
        folder = extension_folder(machine, version)
        yield PlaceStaged(record, title, folder, lambda: _members_of(stage.blender))


def _files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def _members_of(archive: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(archive) as opened:
        return {name: opened.read(name) for name in opened.namelist() if not name.endswith("/")}


def extension_folder(machine: Machine, version: str) -> PurePath:
    """Return where a version of Blender keeps our extension."""
    return machine.blender / version / "extensions" / "user_default" / EXTENSION
