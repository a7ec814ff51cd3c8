"""Fixtures that every test may use: real footage, and a home folder of its own for whatever a test starts."""

import os
from pathlib import Path

import pytest

from daemon.worker.child import ONE_BLAS_THREAD

os.environ.update(ONE_BLAS_THREAD)  # as in the worker, and before NumPy is loaded

from daemon.faces.mesh import MODEL_FILES, models_folder

MEDIA = Path(__file__).resolve().parents[2] / "shared" / "media"


@pytest.fixture(scope="session")
def media() -> Path:
    """Return the folder of real footage, or skip: the footage is not part of the repository."""
    if not MEDIA.is_dir():
        pytest.skip(f"the real footage is not here ({MEDIA})")
    return MEDIA


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Point DUBWRIGHT_HOME at an empty folder, so that nothing touches the user's own."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("DUBWRIGHT_HOME", str(folder))
    return folder


@pytest.fixture(scope="session")
def face_models() -> Path:
    """Return the folder of the two face models, or skip: they are fetched at set-up."""
    folder = models_folder()
    if not all((folder / name).is_file() for name in MODEL_FILES):
        pytest.skip(f"the face models are not here ({folder}); `python3 installer test` fetches them")
    return folder
