"""The demo, as `python3 installer demo` runs it: a new user's first minute."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import av
import pytest

from daemon.cli.app import run
from daemon.demo import read_facts
from daemon.paths import find_paths


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """Return variables of a home of its own; the daemon that starts there is stopped afterwards."""
    models = find_paths().models / "faces"
    monkeypatch.setenv("DUBWRIGHT_HOME", str(tmp_path / "home"))
    yield {**os.environ, "DUBWRIGHT_FACE_MODELS": str(models)}
    run(["daemon", "stop"])


def run_demo(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "daemon.demo"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_the_demo_makes_a_take_that_passes(environment: dict[str, str]) -> None:
    if not Path(environment["DUBWRIGHT_FACE_MODELS"]).is_dir():
        pytest.skip("the face models are not installed (python3 installer install)")
    demo = run_demo(environment)
    assert demo.returncode == 0, demo.stdout + demo.stderr
    path, badge = demo.stdout.strip().splitlines()[0].rsplit(": ", 1)
    assert badge == "pass"
    facts = read_facts()
    with av.open(path) as take:
        count = sum(1 for _ in take.decode(video=0))
    assert count == facts["demo"]["out"] - facts["demo"]["in"]


def test_without_the_face_models_the_demo_says_what_to_do(
    environment: dict[str, str], tmp_path: Path
) -> None:
    demo = run_demo({**environment, "DUBWRIGHT_FACE_MODELS": str(tmp_path)})
    assert demo.returncode == 4
    assert "python3 installer install" in demo.stderr
    assert "[models.missing]" in demo.stderr
