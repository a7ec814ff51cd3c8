"""PyTorch comes by uv's choice, else in a build that fits, else not at all; the fast kernel fails quietly."""

import io
import os
import sys
from pathlib import Path

import pytest

from installer.environment import Environment
from installer.machine import Gpu
from installer.problems import InstallError
from installer.progress import Progress
from installer.steps import MakeEnvironment
from installer.torch_build import InstallAttention, InstallTorch

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the stand-in for uv is a shell script")
CARD = Gpu("NVIDIA RTX A6000", "550.54", 48 * 2**30)


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    """A real environment; without pip it is made in no time."""
    environment = Environment(tmp_path / "environment")
    MakeEnvironment(environment, with_pip=False).do(Progress(io.StringIO()))
    return environment


@pytest.fixture
def uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a stand-in for uv on the PATH, which notes how it was called and fails; return its notes."""
    program, notes = tmp_path / "programs" / "uv", tmp_path / "notes"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$*" > "{notes}"\nexit 1\n', encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    return notes


def test_uv_is_asked_for_the_build_that_fits(environment: Environment, uv: Path) -> None:
    step = InstallTorch(environment, "torch>=2", CARD if sys.platform == "darwin" else None)
    with pytest.raises(InstallError):
        step.do(Progress(io.StringIO()))
    called = uv.read_text(encoding="utf-8").strip()
    assert called == f"pip install --python {environment.python} --torch-backend auto torch>=2"
    assert not step.is_done()


@pytest.mark.parametrize(
    ("platform", "gpu", "is_right"),
    [
        ("linux", CARD, True),
        ("linux", None, False),
        ("win32", CARD, False),
        ("win32", None, True),
        ("darwin", None, True),
    ],
)
def test_the_registrys_own_build_is_taken_only_where_it_fits(
    platform: str, gpu: Gpu | None, is_right: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    step = InstallTorch(Environment(tmp_path), "torch", gpu)
    if is_right:
        step._check_registry()
        return
    with pytest.raises(InstallError) as caught:
        step._check_registry()
    assert "--torch-index" in caught.value.hint
    assert "--without engine" in caught.value.hint


def test_a_fast_kernel_that_cannot_be_had_stops_nothing(environment: Environment) -> None:
    said = io.StringIO()
    step = InstallAttention(environment)
    step.do(Progress(said))
    assert "PyTorch's own is used" in said.getvalue()
    assert step.is_done()
    assert environment.interrupted_step() is None
