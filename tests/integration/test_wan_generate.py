"""`dubwright generate` through the real daemon, with tiny networks: the same as the engine's own command."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from daemon.cli.status import ExitStatus
from daemon.paths import find_paths
from daemon.protocol.errors import RequestError
from daemon.protocol.events import JobChanged, JobProgressed
from daemon.protocol.jobs import JobState
from tests.studio import Studio, command, essence_of, open_studio

pytest.importorskip("torch", reason="the wan engine needs torch (pip install dubwright[engine])")

FLAGS = ("--task", "ti2v-5B", "--prompt", "a cat", "--frame_num", "5", "--base_seed", "7")


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """Start a daemon for this page's tests; it needs no face models."""
    with open_studio(tmp_path_factory.mktemp("studio"), find_paths().models / "faces") as opened:
        yield opened


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a tiny model."""
    from wan_engine.specs import find_task
    from wan_engine.tiny import write_tiny

    folder = tmp_path_factory.mktemp("model")
    write_tiny(folder, find_task("ti2v-5B"))
    return folder


def spec(model: Path, **fields: Any) -> dict[str, Any]:
    return {"kind": "generate", "task": "ti2v-5B", "ckpt_dir": str(model), "frame_num": 5, **fields}


def test_a_job_writes_the_bytes_that_the_engines_command_writes(
    studio: Studio, model: Path, tmp_path: Path
) -> None:
    from wan_engine.generate import main

    flags = [*FLAGS, "--ckpt_dir", str(model), "--sample_steps", "2"]
    assert main([*flags, "--save_file", str(tmp_path / "theirs.mp4")]) == 0
    made = command("generate", *flags, "--save_file", tmp_path / "ours.mp4")
    assert made.status == ExitStatus.OK, made.document
    path = tmp_path / "ours.mp4"
    assert made.document["result"] == {"path": str(path), "frames": 5, "rate": [24, 1], "seed": 7}
    theirs = hashlib.sha256((tmp_path / "theirs.mp4").read_bytes()).hexdigest()
    assert essence_of(str(path)) == theirs
    assert sorted(file.name for file in tmp_path.iterdir()) == ["ours.json", "ours.mp4", "theirs.mp4"]
    (take,) = made.document["takes"]
    assert (take["path"], take["seed"], take["badge"]) == (str(path), 7, "look")


def test_a_video_nobody_named_lies_in_the_takes_folder(studio: Studio, model: Path) -> None:
    ended = studio.finish(studio.client.submit(spec(model, sample_steps=1)))
    assert ended.state is JobState.DONE, ended.error
    assert ended.result is not None
    path = Path(ended.result["path"])
    assert path.is_file()
    assert path.parent == find_paths().takes


def test_a_paused_job_keeps_the_seed_it_drew(studio: Studio, model: Path, tmp_path: Path) -> None:
    from daemon.engines.wan_generate import seed_of

    job = studio.client.submit(spec(model, sample_steps=60, save_file=str(tmp_path / "a.mp4")))
    for event in studio.client.watch(job.job_id):
        if isinstance(event, JobProgressed) and event.progress.done > 0:
            break
    studio.client.pause(job.job_id)
    for event in studio.client.watch(job.job_id):
        if isinstance(event, JobChanged) and event.job.state is not JobState.RUNNING:
            break
    studio.client.resume(job.job_id)
    ended = studio.finish(job)
    assert ended.state is JobState.DONE, ended.error
    assert ended.takes[0].seed == seed_of(f"{job.job_id}-1")


def test_a_file_of_somebody_elses_is_not_written_over(studio: Studio, model: Path, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("mine")
    ended = studio.finish(
        studio.client.submit(spec(model, sample_steps=1, save_file=str(tmp_path / "a.mp4")))
    )
    assert ended.error is not None
    assert "is in the way" in ended.error.message
    assert (tmp_path / "a.json").read_text() == "mine"


def test_a_cancelled_job_leaves_nothing_behind(studio: Studio, model: Path, tmp_path: Path) -> None:
    job = studio.client.submit(spec(model, sample_steps=1000, save_file=str(tmp_path / "a.mp4")))
    for event in studio.client.watch(job.job_id):
        if isinstance(event, JobProgressed) and event.progress.done > 0:
            break
    studio.client.cancel(job.job_id)
    assert studio.finish(job).state is JobState.CANCELLED
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("fields", "code", "words"),
    [
        ({"ckpt_dir": "/nowhere"}, "engine.unavailable", "/nowhere is no folder"),
        ({"image": "/nowhere.png"}, "source.unreadable", "/nowhere.png is no picture"),
        ({"frame_num": 6}, "job.invalid", "4n + 1"),
        ({"task": "t2v-A14B"}, "engine.unavailable", ""),
    ],
)
def test_a_mistake_is_one_clear_error(
    studio: Studio, model: Path, fields: dict[str, Any], code: str, words: str
) -> None:
    ended = studio.finish(studio.client.submit(spec(model, **fields)))
    assert ended.state is JobState.FAILED
    assert ended.error is not None
    assert ended.error.code == code, ended.error
    assert words in ended.error.message
    assert "--engine rewrite" not in ended.error.hint


@pytest.mark.parametrize("fields", [{"image": "a.png"}, {"lora": ["a.safetensors:0.5"]}])
def test_relative_paths_are_refused(studio: Studio, model: Path, fields: dict[str, Any]) -> None:
    with pytest.raises(RequestError, match="must be an absolute path"):
        studio.client.submit(spec(model, **fields))
