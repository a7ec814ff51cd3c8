"""A real daemon in a home of its own: with scripted jobs (tests/fakes/runner.py), or as a studio at work."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from daemon.client import Client
from daemon.connection import is_locked
from daemon.launch import find_daemon
from daemon.paths import find_paths
from tests.clips import make_clip, make_voice
from tests.studio import Studio, open_studio

Script = Callable[[str], dict[str, object]]


@pytest.fixture
def quiet_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give a home whose daemon runs scripted jobs and is stopped at the end, whoever started it."""
    monkeypatch.setenv("DUBWRIGHT_RUNNER", "tests.fakes.runner:run_job")
    yield home
    if is_locked(find_paths().lock_file) and find_daemon(find_paths()):
        with Client.connect(start=False, name="test") as last:
            last.shutdown()


@pytest.fixture
def client(quiet_home: Path) -> Iterator[Client]:
    """Start a daemon by connecting to it."""
    with Client.connect(name="test") as connected:
        yield connected


@pytest.fixture
def script(tmp_path: Path) -> Script:
    """Return a function that makes the spec of a scripted job."""
    dest = tmp_path / "takes"
    dest.mkdir()

    def make(name: str) -> dict[str, object]:
        return {
            "source": os.path.abspath("a.mov"),
            "voice": os.path.abspath(name),
            "in": 0,
            "out": 30,
            "dest": os.fspath(dest),
        }

    return make


@pytest.fixture(scope="module")
def studio(face_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """Start a daemon that re-dubs in earnest, for a whole module of tests."""
    with open_studio(tmp_path_factory.mktemp("studio"), face_models) as opened:
        yield opened


@pytest.fixture(scope="module")
def shot(studio: Studio) -> Path:
    """Return a clip of somebody who speaks."""
    return make_clip(studio.folder / "shot.mov")


@pytest.fixture(scope="module")
def voice(studio: Studio) -> Path:
    """Return a voice for it."""
    return make_voice(studio.folder / "voice.wav")
