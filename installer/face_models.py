"""The two face models: taken out of the MediaPipe wheel that carries them, and checked by their hashes.

Newer MediaPipe wheels hold no models. Every platform's wheel of 0.10.21 holds the same files, so one fixed
wheel is asked for, whatever the machine. The wheel itself is not installed. The models are Apache-2.0.
"""

import hashlib
import os
import tempfile
import zipfile
from pathlib import Path

from installer.pip import Pip
from installer.problems import InstallError
from installer.progress import Progress

REQUIREMENT = "mediapipe==0.10.21"
WHEEL_OPTIONS = (
    "--only-binary=:all:",
    "--python-version=3.11",
    "--implementation=cp",
    "--abi=cp311",
    "--platform=manylinux_2_28_x86_64",
)
MODELS = {
    "mediapipe/modules/face_detection/face_detection_short_range.tflite": (
        "bbff11cebd1eb27a1e004cae0b0e63ec8c551cbf34a4451148b4908b8db3eca8"
    ),
    "mediapipe/modules/face_landmark/face_landmark.tflite": (
        "1055cb9d4a9ca8b8c688902a3a5194311138ba256bcc94e336d8373a5f30c814"
    ),
}
"""Path in the wheel -> sha256."""


def missing(folder: Path) -> list[str]:
    """Return the names in the wheel of the models that are not in `folder`, or are not the right files."""
    return [name for name, digest in MODELS.items() if _digest(folder / Path(name).name) != digest]


def fetch(pip: Pip, folder: Path, progress: Progress) -> None:
    """Download the wheel, check the models in it and put them into `folder`. Raises InstallError."""
    with tempfile.TemporaryDirectory(prefix="dubwright-") as scratch:
        wheel = pip.download(REQUIREMENT, Path(scratch), progress, options=WHEEL_OPTIONS)
        take_from_wheel(wheel, folder)


def take_from_wheel(wheel: Path, folder: Path) -> None:
    """Copy the models that `folder` lacks out of `wheel`. Raises InstallError when one is not right."""
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(wheel) as archive:
        for name in missing(folder):
            data = archive.read(name)
            if hashlib.sha256(data).hexdigest() != MODELS[name]:
                raise InstallError(
                    f"{Path(name).name} from {wheel.name} is not the file it should be.",
                    "Run the same command again; if it stays so, the package registry serves a changed file.",
                )
            _write_whole(folder / Path(name).name, data)


def _write_whole(path: Path, data: bytes) -> None:
    """Write a file so that it is there completely or not at all."""
    draft = path.with_suffix(".new")
    with draft.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)


def _digest(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None
