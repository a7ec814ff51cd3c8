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
from daemon.protocol.errors import RequestError
from daemon.protocol.events import PREVIEW_LIMIT, JobPreviewed, JobProgressed
from daemon.protocol.jobs import JobState
from tests.studio import Studio, command, open_studio, sidecar_of

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
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")  # tiny networks: more threads only wait for each other
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
        "--quality", "draft", "--crop", 64, "--deliver", "baked", "--codec", "ffv1", "--dest", studio.folder,
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
    notes = json.loads(Path(take["sidecar"]).read_text(encoding="utf-8"))["take"]["notes"]
    assert "Draft: 8 steps, no guidance, made at 64x64 pixels." in notes


def test_a_killed_worker_costs_nothing_of_the_result(
    studio: Studio, model: Path, take: dict[str, Any]
) -> None:
    given = {"engine": "wan", "model": str(model), "quality": "draft", "crop": 64}
    job = studio.submit(SHOT, VOICE, FIRST, STOP, deliver="baked", codec="ffv1", **given)
    assert isinstance(studio.wait_for(job, "engine"), JobProgressed)
    for worker in studio.client.status().workers:
        if worker.job_id == job.job_id:
            os.kill(worker.pid, signal.SIGKILL)
    ended = studio.finish(job)
    assert ended.state is JobState.DONE, ended.error
    assert ended.attempts == 2
    assert ended.takes[0].checks["sha256"] == take["checks"]["sha256"]


def test_the_final_of_a_draft_has_its_seed_crop_and_face_and_is_watched_while_it_is_made(
    studio: Studio, take: dict[str, Any]
) -> None:
    assert (take["quality"], take["seed"]) == ("draft", 0)
    begun = command("final", take["take_id"], "--no-wait")
    assert begun.status == ExitStatus.OK, begun.document
    events = list(studio.client.watch(begun.document["job"]))
    (final,) = studio.client.job(begun.document["job"]).takes
    assert (final.quality, final.seed, final.frames) == ("final", 0, take["frames"])
    ours, drafts = sidecar_of(final), json.loads(Path(take["sidecar"]).read_text(encoding="utf-8"))
    assert ours["crop"] == drafts["crop"]
    assert ours["request"]["draft"] == take["take_id"]
    assert f"The final of draft take {take['take_id']}, with its seed and crop." in final.notes
    assert "Final: 40 steps, guidance, made at 64x64 pixels." in final.notes
    previews = [event for event in events if isinstance(event, JobPreviewed)]
    assert previews
    assert all(one.picture.startswith(b"\xff\xd8") and len(one.picture) <= PREVIEW_LIMIT for one in previews)
    assert all(FIRST <= frame < STOP for one in previews for frame in one.frames)
    refused = command("final", final.take_id)
    assert "is a final already" in refused.document["error"]["message"]


@pytest.mark.parametrize(
    ("deliver", "codec"),
    [("overlay", "prores4444"), ("overlay", "exr"), ("baked", "h264")],
)
def test_every_delivery_comes_whole_with_its_checks(
    studio: Studio, model: Path, deliver: str, codec: str
) -> None:
    made = studio.take(
        SHOT, VOICE, FIRST, FIRST + 4, engine="wan", model=str(model), quality="draft", steps=1, crop=64,
        deliver=deliver, codec=codec, matte=True, handles=2,
    )  # fmt: skip
    assert made.frames == 8
    assert Path(made.path).exists()
    assert made.matte is not None
    assert Path(made.matte).exists()
    assert {"seam_delta_e", "outside_max_difference", "frames_passed_through"} <= made.checks.keys()


def test_settings_of_the_sampling_reach_the_model_and_several_chunks_join(
    studio: Studio, model: Path
) -> None:
    """With an overlap and every guidance apart: one more take that is whole, and exact outside the mouth."""
    made = studio.take(
        SHOT, VOICE, FIRST, FIRST + 16, engine="wan", model=str(model), steps=2, crop=64, chunk=16, overlap=4,
        strength=0.8, audio_guidance=3.0, text_guidance=1.5, guidance_until=0.3, deliver="baked",
        codec="ffv1", mask={"grow": 0.1},
    )  # fmt: skip
    assert made.frames == 16
    assert made.checks["outside_max_difference"] == 0
    assert len(sidecar_of(made)["chunks"]) > 1
    assert made.quality == "standard"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"chunk": 18}, "multiple of 4"),
        ({"overlap": 76}, "it may be 72 at most"),
        ({"strength": 0.0}, "must be above 0"),
        ({"guidance_until": 1.5}, "from 0 to 1"),
        ({"steps": 0}, "from 1 to 100"),
    ],
)
def test_settings_that_cannot_be_are_refused_at_once(
    studio: Studio, fields: dict[str, Any], words: str
) -> None:
    with pytest.raises(RequestError, match=words):
        studio.submit(SHOT, VOICE, FIRST, STOP, engine="wan", **fields)


def test_a_voice_that_is_not_in_the_range_is_refused(studio: Studio, model: Path) -> None:
    error = studio.error(SHOT, VOICE, FIRST, STOP, engine="wan", model=str(model), voice_at=STOP + 5)
    assert error.code == "voice.empty"


def test_without_weights_the_job_says_what_to_install(studio: Studio, tmp_path: Path) -> None:
    error = studio.error(SHOT, VOICE, FIRST, STOP, engine="wan", model=str(tmp_path / "none"))
    assert error.code == "engine.unavailable"
    assert "s2v-14B" in error.message
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
