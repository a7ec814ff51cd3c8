"""Runs the environment's pip, shows what it is at, and repairs what an interrupted pip left behind."""

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from installer.environment import Environment
from installer.problems import problem_of_pip
from installer.progress import Progress

QUIET = ("--no-input", "--disable-pip-version-check", "--progress-bar", "off")
TAIL_LINES = 12


@dataclass(frozen=True)
class Pip:
    """The pip of one environment."""

    environment: Environment

    def install(self, requirements: Sequence[str], progress: Progress) -> None:
        """Install `requirements`. Raises InstallError."""
        self._run(["install", *QUIET, *requirements], progress)

    def download(self, requirement: str, folder: Path, progress: Progress, *, options: Sequence[str]) -> Path:
        """Download the wheel of `requirement` into `folder`; return its path. Raises InstallError."""
        self._run(["download", *QUIET, "--no-deps", *options, "--dest", str(folder), requirement], progress)
        return next(folder.glob("*.whl"))

    def forget_half_installed(self) -> None:
        """Remove the metadata of packages whose files are not all there, so that pip installs them again.

        pip takes a package as installed when it finds METADATA, but it writes the other files first and
        RECORD last; a pip that was killed in between leaves a package that looks whole and is not.
        """
        for metadata in self.environment.site_packages.glob("*.dist-info"):
            if not _is_whole(metadata):
                shutil.rmtree(metadata)

    def _run(self, arguments: Sequence[str], progress: Progress) -> None:
        command = [str(self.environment.python), "-m", "pip", *arguments]
        output: list[str] = []
        with subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=self.environment.variables(),
        ) as process:
            assert process.stdout is not None
            try:
                for line in process.stdout:
                    output.append(line.rstrip())
                    progress.detail(line)
            except BaseException:
                process.terminate()
                raise
        status = process.returncode
        if status:
            for line in output[-TAIL_LINES:]:
                progress.say(f"  {line}")
            raise problem_of_pip(output)


def _is_whole(metadata: Path) -> bool:
    try:
        recorded = (metadata / "RECORD").read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    return all(_is_there(metadata.parent / name, size) for name, size in _recorded_files(recorded))


def _is_there(path: Path, size: str) -> bool:
    try:
        return path.stat().st_size == int(size or path.stat().st_size)
    except OSError:
        return False


def _recorded_files(record: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield the paths and sizes of a RECORD file, without compiled files, which may come and go."""
    for line in record:
        name, _, size = line.rsplit(",", 2)
        if name and not name.endswith(".pyc"):
            yield name.strip('"'), size
