"""`dubwright models` as it is typed, and the daemon's own list."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from daemon.client import Client
from daemon.paths import find_paths
from tests.unit.models.hub import Hub
from tests.unit.models.test_store import write_diffusers, write_official

from .conftest import Run

Command = Callable[..., Run]
TASK = "i2v-A14B"


def state_of(dubwright: Command, task: str = TASK) -> str:
    models = dubwright("models", "list", "--json").document["models"]
    return next(model["state"] for model in models if model["task"] == task)


def test_a_model_comes_in_is_checked_packed_and_goes(dubwright: Command, tmp_path: Path) -> None:
    theirs = write_diffusers(tmp_path / "theirs")
    assert state_of(dubwright) == "missing"
    assert dubwright("models", "import", theirs).out.startswith(f"{TASK}: unverified")
    assert dubwright("models", "verify", TASK).status == 0
    assert state_of(dubwright) == "verified"
    packed = dubwright("models", "pack", TASK, tmp_path / "model.tar", "--json").document
    assert packed["bytes"] == (tmp_path / "model.tar").stat().st_size
    assert dubwright("models", "remove", TASK, "--json").document["bytes"] > 0
    assert state_of(dubwright) == "missing"
    assert dubwright("models", "unpack", tmp_path / "model.tar").out.startswith(f"{TASK}: verified")
    (find_paths().models / "Wan2.2-I2V-A14B" / "model_index.json").write_text("{", encoding="utf-8")
    broken = dubwright("models", "verify", "--json")
    assert broken.status == 4
    assert [file["path"] for file in broken.document["files"] if file["problem"]] == ["model_index.json"]
    assert state_of(dubwright) == "damaged"
    assert "models get" in dubwright("doctor").out


@pytest.mark.parametrize(
    ("arguments", "status", "code"),
    [
        (("get", "s2v-99B"), 2, "models.unknown"),
        (("import", "nowhere"), 2, "models.not_found"),
        (("unpack", "nowhere.tar"), 2, "models.not_found"),
        (("pack", "s2v-14B", "out.tar"), 2, "models.not_found"),
        (("get", "s2v-14B", "--from", "huggingface"), 4, "models.unreachable"),
    ],
)
def test_what_cannot_be_is_said_with_its_code(
    dubwright: Command,
    arguments: tuple[str, ...],
    status: int,
    code: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    run = dubwright("models", *arguments, "--json")
    assert (run.status, run.document["error"]["code"]) == (status, code)
    assert run.document["error"]["hint"]


def test_a_download_asks_the_hub_and_believes_no_false_copy(
    dubwright: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("huggingface_hub")
    folder = write_official(tmp_path / "hub")
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*.*")
        if path.is_file()
    }
    hub = Hub("Wan-AI/Wan2.2-S2V-14B", files)
    with hub.serve():
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        run = dubwright("models", "get", "s2v-14B", "--json")
    assert (run.status, run.document["error"]["code"]) == (4, "models.damaged")


def test_the_daemon_lists_the_models(dubwright: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DUBWRIGHT_FACE_MODELS", raising=False)
    paths = find_paths()
    write_official(paths.models / "Wan2.2-S2V-14B")
    with Client.connect(name="test", paths=paths) as client:
        reply = client.models()
    assert reply.folder == str(paths.models)
    assert reply.free_bytes > 0
    states = {model.task: model.state for model in reply.models}
    assert states["s2v-14B"] == "unverified"
    assert states["faces"] == states["t2v-A14B"] == "missing"


def test_a_job_may_name_a_task_instead_of_a_folder(dubwright: Command, tmp_path: Path) -> None:
    from daemon.demo import SHOT, VOICE

    command = ("redub", SHOT, "--in", 0, "--out", 20, "--voice", VOICE, "--engine", "wan")
    run = dubwright(*command, "--model", "s2v-14B", "--json")
    if "torch" in run.document["error"]["message"]:
        pytest.skip("the wan engine needs torch")
    assert (run.status, run.document["error"]["code"]) == (4, "engine.unavailable")
    assert "dubwright models get s2v-14B" in run.document["error"]["hint"]
    assert os.fspath(find_paths().models) in run.document["error"]["message"]
