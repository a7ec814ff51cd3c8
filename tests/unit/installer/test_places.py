"""The installer, without platformdirs, puts things where the daemon looks for them."""

from pathlib import Path

import pytest

from daemon.paths import find_paths
from installer.places import data_folder, environment_folder, face_models_folder


def assert_same_places() -> None:
    paths = find_paths()
    assert data_folder() == paths.data
    assert face_models_folder() == paths.models / "faces"
    assert environment_folder().parent == paths.data


def test_places_agree_in_the_users_own_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DUBWRIGHT_HOME", raising=False)
    assert_same_places()


def test_places_agree_where_xdg_moves_the_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("DUBWRIGHT_HOME", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert_same_places()


def test_places_agree_under_a_moved_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert_same_places()
    monkeypatch.chdir(home)
    monkeypatch.setenv("DUBWRIGHT_HOME", "relative")
    assert_same_places()
    monkeypatch.setenv("DUBWRIGHT_HOME", "~/elsewhere")
    assert_same_places()
