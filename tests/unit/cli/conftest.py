"""The command line, run in this process against a real daemon in a home of its own."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from daemon.cli.app import run
from daemon.paths import find_paths
from daemon.schedule.settings import save_schedule
from tests.studio import ALONE


@dataclass(frozen=True)
class Run:
    """What a command left."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document on standard output."""
        return json.loads(self.out)


@pytest.fixture
def dubwright(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., Run]]:
    """Return a function that runs a command in an empty home."""
    yield _command(tmp_path / "home", monkeypatch, capfd)
    run(["daemon", "stop"])


@pytest.fixture(scope="module")
def shared_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home, and with it a daemon, that the tests of a module share."""
    folder = tmp_path_factory.mktemp("home")
    yield folder
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DUBWRIGHT_HOME", str(folder))
        run(["daemon", "stop"])


@pytest.fixture
def shared_dubwright(
    shared_home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., Run]:
    """Return a function that runs a command in the home that the module shares."""
    return _command(shared_home, monkeypatch, capfd)


def _command(
    home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., Run]:
    """Move to `home`, except for the face models, which are those installed."""
    models = find_paths().models / "faces"
    if models.is_dir():
        monkeypatch.setenv("DUBWRIGHT_FACE_MODELS", str(models))
    monkeypatch.setenv("DUBWRIGHT_HOME", str(home))
    find_paths().make()
    save_schedule(find_paths(), ALONE)

    def command(*arguments: object) -> Run:
        capfd.readouterr()
        status = run([str(argument) for argument in arguments])
        return Run(status, *capfd.readouterr())

    return command
