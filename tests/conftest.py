"""Fixtures that every test may use: real footage, and a home folder of its own for whatever a test starts."""

from pathlib import Path

import pytest

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
