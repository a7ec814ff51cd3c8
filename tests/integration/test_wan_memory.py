"""A GPU that is too small: the crop shrinks where that is allowed, and the daemon lives on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.demo import SHOT, VOICE
from tests.studio import Studio, open_studio, sidecar_of

pytest.importorskip("torch", reason="the wan engine needs torch (pip install dubwright[engine])")

FIRST, STOP = 30, 36


@pytest.fixture(scope="module")
def studio(face_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """Start a daemon whose worker has no memory for crops above 64 pixels."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DUBWRIGHT_RUNNER", "tests.fakes.short_memory:run_job")
        patch.setenv("OMP_NUM_THREADS", "1")  # tiny networks: more threads only wait for each other
        with open_studio(tmp_path_factory.mktemp("studio"), face_models) as opened:
            yield opened


def test_a_shortage_is_an_error_and_with_permission_a_smaller_crop(studio: Studio, tmp_path: Path) -> None:
    from wan_engine.specs import find_task
    from wan_engine.tiny import write_tiny

    write_tiny(tmp_path, find_task("s2v-14B"))
    fields = {"engine": "wan", "model": str(tmp_path), "quality": "draft", "steps": 1, "crop": 128}
    error = studio.error(SHOT, VOICE, FIRST, STOP, **fields)
    assert error.code == "memory.full"
    assert "--crop" in error.hint
    (worker,) = [one.pid for one in studio.client.status().workers if one.role == "engine"]

    job = studio.finish(studio.submit(SHOT, VOICE, FIRST, STOP, smaller_crop=True, **fields))
    assert job.error is None
    assert job.attempts == 1
    assert sidecar_of(job.takes[0])["crop"]["size"] == 64
    sentences = [entry.sentence for entry in studio.client.job_log(job.job_id)]
    assert any("made again, at 64x64 pixels" in sentence for sentence in sentences)
    assert worker in [one.pid for one in studio.client.status().workers]
