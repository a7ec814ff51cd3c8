"""`dubwright timeline`: what it lists without making anything, and how it refuses."""

import json
from fractions import Fraction
from pathlib import Path

import opentimelineio as otio
import pytest

from daemon.cli.app import run
from daemon.cli.status import ExitStatus
from daemon.cli.timeline import best_of
from daemon.protocol.jobs import Take
from tests.unit.editor_plugin.test_interchange import make_timeline, save


@pytest.fixture
def edit(tmp_path: Path) -> Path:
    assert otio.__version__
    return save(make_timeline(tmp_path, Fraction(25)), tmp_path / "edit.otio")


def test_a_dry_run_lists_the_shots(edit: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["timeline", str(edit), "--voice-track", "Voices", "--dry-run", "--json"]) == ExitStatus.OK
    document = json.loads(capsys.readouterr().out)
    assert [(shot["clip"], shot["start"], shot["stop"]) for shot in document["shots"]] == [
        ("V1:2", 70, 150),
        ("V1:3", 150, 170),
        ("V1:3", 180, 200),
    ]
    assert (document["left_out"], document["out"]) == ([], None)


@pytest.mark.parametrize(
    ("name", "track", "status"),
    [
        ("edit.otio", "Music", ExitStatus.REQUEST),
        ("gone.otio", "1", ExitStatus.MEDIA),
        ("edit.prproj", "1", ExitStatus.REQUEST),
    ],
)
def test_what_is_wrong_is_said(
    edit: Path, name: str, track: str, status: ExitStatus, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["timeline", str(edit.with_name(name)), "--voice-track", track, "--json"]) == status
    assert json.loads(capsys.readouterr().out)["error"]["hint" if name != "gone.otio" else "message"]


def test_of_several_takes_the_first_of_the_best_is_placed() -> None:
    usual = {
        "path": "",
        "sidecar": "",
        "frames": 1,
        "rate": (25, 1),
        "seed": 0,
        "engine": "rewrite",
        "checks": {},
    }
    takes = [
        Take(take_id=f"a-{number}", badge=badge, **usual)
        for number, badge in enumerate(("fail", "look", "pass", "pass"), start=1)
    ]
    best = best_of(takes)
    assert best is not None
    assert best.take_id == "a-3"
    assert best_of([]) is None
