"""`dubwright speak` through the real daemon, with tiny networks: takes, and clips that are not made twice."""

import os
import signal
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from daemon.cli.status import ExitStatus
from daemon.paths import find_paths
from daemon.protocol.events import JobChanged, JobProgressed
from daemon.protocol.jobs import JobState
from tests.studio import Studio, command, essence_of, open_studio

pytest.importorskip("torch", reason="the wan engine needs torch (pip install dubwright[engine])")

STEPS = 8  # of `draft`
CLIPS = 4


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """Start a daemon for this page's tests; it needs no face models."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")  # tiny networks: more threads only wait for each other
        with open_studio(tmp_path_factory.mktemp("studio"), find_paths().models / "faces") as opened:
            yield opened


@pytest.fixture(scope="module")
def fields(studio: Studio, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return a job of several clips: three and a half seconds of noise."""
    from wan_engine.specs import find_task
    from wan_engine.tiny import write_tiny

    folder = tmp_path_factory.mktemp("inputs")
    write_tiny(folder / "model", find_task("s2v-14B"))
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / "face.png")
    with wave.open(str(folder / "voice.wav"), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(np.random.default_rng(1).normal(0, 3000, 56_000).astype("<i2").tobytes())
    return {
        "kind": "speak", "picture": str(folder / "face.png"), "voice": str(folder / "voice.wav"),
        "model": str(folder / "model"), "dest": str(studio.folder / "takes"), "chunk": 16,
        "quality": "draft", "seed": 5,
    }  # fmt: skip


@pytest.fixture(scope="module")
def take(fields: dict[str, Any]) -> dict[str, Any]:
    """Have a shot made from the command line; return it as printed."""
    options = [(f"--{name}", value) for name, value in fields.items() if name not in ("kind", "picture")]
    made = command("speak", fields["picture"], *(word for option in options for word in option))
    assert made.status == ExitStatus.OK, made.document
    (found,) = made.document["takes"]
    return found


def test_a_still_speaks_and_the_take_says_that_nobody_measured_it(take: dict[str, Any]) -> None:
    assert Path(take["path"]).name.startswith("face_")
    assert (take["frames"], take["rate"], take["seed"]) == (56, [16, 1], 5)
    assert (take["engine"], take["quality"], take["badge"]) == ("wan", "draft", "look")
    assert "nothing to measure" in take["checks"]["reasons"][0]
    again = command("checks", take["path"], "--again")
    assert (again.status, again.document["error"]["code"]) == (2, "job.invalid")


@pytest.mark.parametrize("how", ["killed", "paused"])
def test_a_stopped_job_goes_on_after_its_last_clip_with_the_same_bytes(
    studio: Studio, fields: dict[str, Any], take: dict[str, Any], how: str
) -> None:
    job = studio.client.submit(fields)
    seen: list[int] = []
    for event in studio.client.watch(job.job_id):
        if isinstance(event, JobProgressed) and event.progress.done > STEPS:
            break
    if how == "killed":
        (worker,) = [worker for worker in studio.client.status().workers if worker.job_id == job.job_id]
        os.kill(worker.pid, signal.SIGKILL)
    else:
        studio.client.pause(job.job_id)
        for event in studio.client.watch(job.job_id):
            if isinstance(event, JobChanged) and event.job.state is not JobState.RUNNING:
                break
        studio.client.resume(job.job_id)
    for event in studio.client.watch(job.job_id):
        if isinstance(event, JobProgressed) and event.progress.total == CLIPS * STEPS:
            seen.append(event.progress.done)
    ended = studio.client.job(job.job_id)
    assert ended.state is JobState.DONE, ended.error
    assert ended.attempts == 2
    assert min(done for done in seen if done) >= STEPS
    assert essence_of(ended.takes[0].path) == essence_of(take["path"])


@pytest.mark.parametrize(
    ("changed", "code", "words"),
    [
        ({"picture": "/nowhere.png"}, "source.unreadable", "/nowhere.png"),
        ({"voice": "/nowhere.wav"}, "source.unreadable", "/nowhere.wav"),
        ({"model": "/nowhere"}, "engine.unavailable", "/nowhere"),
        ({"size": "100*100"}, "job.invalid", "100*100"),
    ],
)
def test_a_mistake_is_one_clear_error(
    studio: Studio, fields: dict[str, Any], changed: dict[str, Any], code: str, words: str
) -> None:
    ended = studio.finish(studio.client.submit({**fields, **changed}))
    assert ended.error is not None
    assert (ended.error.code, words in ended.error.message) == (code, True), ended.error


def test_a_chunk_that_is_no_multiple_of_four_is_refused(fields: dict[str, Any]) -> None:
    refused = command("speak", fields["picture"], "--voice", fields["voice"], "--chunk", 18)
    assert refused.status == 2
    assert "multiple of 4" in refused.document["error"]["message"]
