"""Steps that put files outside our own folder, each remembered in the record and put back by it."""

import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePath

from installer.problems import InstallError
from installer.progress import Progress
from installer.record import Record

Content = Callable[[], bytes]


@dataclass
class PlaceFile:
    """A file of ours where another program looks for it."""

    record: Record
    title: str
    path: PurePath
    content: Content
    mode: int = 0o644

    @property
    def detail(self) -> str:
        """Return where it goes."""
        return str(self.path)

    @property
    def paths(self) -> list[PurePath]:
        """Return the one file."""
        return [self.path]

    def is_done(self) -> bool:
        """True when it is there, as it should be, and ours."""
        path = Path(self.path)
        try:
            return self.record.has_written(path) and path.read_bytes() == self.content()
        except OSError:
            return False

    def do(self, progress: Progress) -> None:
        """Write it; what was there is kept in the record."""
        self.record.write(Path(self.path), self.content(), self.mode)


@dataclass
class PlaceShortcut:
    """A shortcut in the Start menu, which only Windows itself can write."""

    record: Record
    title: str
    path: PurePath
    target: PurePath

    @property
    def detail(self) -> str:
        """Return where it goes and what it starts."""
        return f"{self.path} -> {self.target}"

    @property
    def paths(self) -> list[PurePath]:
        """Return the one file."""
        return [self.path]

    def is_done(self) -> bool:
        """True when it is there and ours."""
        return self.record.has_written(Path(self.path)) and Path(self.path).is_file()

    def do(self, progress: Progress) -> None:
        """Have PowerShell write it; the paths travel as variables, so that none can be read as a command."""
        script = (
            "$link = (New-Object -ComObject WScript.Shell).CreateShortcut($env:DUBWRIGHT_LINK);"
            "$link.TargetPath = $env:DUBWRIGHT_TARGET; $link.Save()"
        )
        self.record.make_folder(Path(self.path).parent)
        self.record.announce(Path(self.path), None)
        variables = {**os.environ, "DUBWRIGHT_LINK": str(self.path), "DUBWRIGHT_TARGET": str(self.target)}
        command = ["powershell", "-NoProfile", "-NonInteractive", "-Command", script]
        run = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
        if run.returncode:
            raise InstallError(
                f"The shortcut {self.path} could not be made: {run.stderr.strip()}",
                "Install without it: --without desktop.",
            )
