"""The wan engine through the real daemon, with a model of tiny random networks: the whole path on a CPU."""

import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from daemon.cli.status import ExitStatus
from daemon.paths import find_paths
from daemon.protocol.jobs import JobState
from daemon.protocol.messages import JobProgressed
from tests.studio import Studio, command, open_studio

pytest.importorskip("torch", reason="the wan engine needs torch (pip install dubwright[engine])")

DEMO = Path(__file__).resolve().parents[2] / "daemon" / "demo"
SHOT, VOICE = DEMO / "shot.mov", DEMO / "voice.wav"
FIRST, STOP = 20, 30


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """Start a daemon for this page's tests."""
    models = find_paths().models / "faces"
    faces = Path(os.environ.get("DUBWRIGHT_FACE_MODELS", models))
    if not faces.is_dir():
        pytest.skip("the face models are not installed (python3 installer install)")
    with open_studio(tmp_path_factory.mktemp("studio"), faces) as opened:
        yield opened


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a tiny model."""
    from wan_engine.specs import find_task
    from wan_engine.tiny import write_tiny

    folder = tmp_path_factory.mktemp("model")
    write_tiny(folder, find_task("s2v-14B"))
    return folder


def read_pictures(path: str) -> list[np.ndarray]:
    with av.open(path) as file:
        return [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]


@pytest.fixture(scope="module")
def take(studio: Studio, model: Path) -> dict[str, Any]:
    """Have a take made from the command line; return it as printed."""
    made = command(
        "redub", SHOT, "--in", FIRST, "--out", STOP, "--voice", VOICE, "--engine", "wan", "--model", model,
        "--quality", "draft", "--crop", 128, "--deliver", "baked", "--codec", "ffv1", "--dest", studio.folder,
    )  # fmt: skip
    assert made.status == ExitStatus.BAD_TAKE, made.document  # random networks draw no mouth
    (found,) = made.document["takes"]
    return found


def test_the_command_line_makes_a_take_and_outside_the_mouth_it_is_the_source(take: dict[str, Any]) -> None:
    assert take["engine"] == "wan"
    assert take["frames"] == STOP - FIRST
    assert take["checks"]["outside_max_difference"] == 0
    pictures, source = read_pictures(take["path"]), read_pictures(str(SHOT))[FIRST:STOP]
    assert any((new != old).any() for new, old in zip(pictures, source, strict=True))
    notes = json.loads(Path(take["sidecar"]).read_text(encoding="utf-8"))["notes"]
    assert "Draft: 8 steps, no guidance, made at 128x128 pixels." in notes


def test_a_killed_worker_costs_nothing_of_the_result(
    studio: Studio, model: Path, take: dict[str, Any]
) -> None:
    given = {"engine": "wan", "model": str(model), "quality": "draft", "crop": 128}
    job = studio.submit(SHOT, VOICE, FIRST, STOP, deliver="baked", codec="ffv1", **given)
    assert isinstance(studio.wait_for(job, "engine"), JobProgressed)
    for worker in studio.client.status().workers:
        if worker.job_id == job.job_id:
            os.kill(worker.pid, signal.SIGKILL)
    ended = studio.finish(job)
    assert ended.state is JobState.DONE, ended.error
    assert ended.attempts == 2
    assert ended.takes[0].checks["sha256"] == take["checks"]["sha256"]


def test_without_weights_the_job_says_what_to_install(studio: Studio, tmp_path: Path) -> None:
    error = studio.error(SHOT, VOICE, FIRST, STOP, engine="wan", model=str(tmp_path / "none"))
    assert error.code == "engine.unavailable"
    assert "Wan2.2-S2V-14B" in error.message
    assert "--engine rewrite" in error.hint


def test_an_unfinished_model_folder_names_what_is_missing(
    studio: Studio, model: Path, tmp_path: Path
) -> None:
    unfinished = shutil.copytree(model, tmp_path / "unfinished")
    (unfinished / "Wan2.1_VAE.pth").unlink()
    error = studio.error(SHOT, VOICE, FIRST, STOP, engine="wan", model=str(unfinished))
    assert error.code == "engine.unavailable"
    assert "Wan2.1_VAE.pth does not exist" in error.message


def test_a_crop_that_the_model_cannot_make_is_refused(studio: Studio) -> None:
    refused = command(
        "redub", SHOT, "--in", 0, "--out", 9, "--voice", VOICE, "--engine", "wan", "--crop", 100
    )
    assert refused.status == 2
    assert refused.document["error"]["code"] == "job.invalid"
