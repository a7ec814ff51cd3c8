"""Projects: relative paths, undo, and files that are not what they should be."""

import json
import shutil
from pathlib import Path

import pytest

pytest.importorskip("PySide6.QtCore", reason="Qt or a library it needs is missing", exc_type=ImportError)

from daemon.protocol.jobs import MaskSpec, PaintOut
from gui.models.project import ProjectError, ProjectModel, read_project


@pytest.fixture
def model(tmp_path: Path) -> ProjectModel:
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "clip.mov").touch()
    made = ProjectModel(folder / "news.dubwright")
    made.add_shot(folder / "clip.mov", out=100)
    return made


def test_paths_are_relative_so_that_the_folder_can_be_moved(model: ProjectModel, tmp_path: Path) -> None:
    assert json.loads(model.path.read_text(encoding="utf-8"))["shots"][0]["clip"] == "clip.mov"
    shutil.move(tmp_path / "work", tmp_path / "elsewhere")
    moved = read_project(tmp_path / "elsewhere" / "news.dubwright")
    assert moved.shots[0].clip == str(tmp_path / "elsewhere" / "clip.mov")


def test_every_edit_is_on_disk_and_can_be_undone_and_redone(model: ProjectModel) -> None:
    model.change_shot(1, in_=10)
    assert read_project(model.path).shots[0].in_ == 10
    model.undo()
    assert read_project(model.path).shots[0].in_ == 0
    model.redo()
    assert read_project(model.path).shots[0].in_ == 10


def test_a_drag_is_one_step_of_undo(model: ProjectModel) -> None:
    for frame in range(1, 20):
        model.change_shot(1, merge="range", in_=frame)
    model.undo()
    assert model.project.shots[0].in_ == 0


def test_a_project_of_an_older_app_opens(model: ProjectModel) -> None:
    raw = json.loads(model.path.read_text(encoding="utf-8"))
    raw["shots"][0]["jobs"] = ["a2b3c4d5"]
    model.path.write_text(json.dumps(raw), encoding="utf-8")
    assert read_project(model.path).shots == model.project.shots


def test_relinking_replaces_a_file_everywhere(model: ProjectModel, tmp_path: Path) -> None:
    old = model.project.shots[0].clip
    found = tmp_path / "found.mov"
    found.touch()
    model.change_shot(1, voice=old)
    model.relink(old, str(found))
    shot = model.project.shots[0]
    assert (shot.clip, shot.voice) == (str(found), str(found))


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ("{", "not a project"),
        ('{"version": 99, "shots": []}', "newer"),
        ('{"version": 1, "shot": []}', "shot"),
    ],
)
def test_a_file_that_is_no_project_gets_a_sentence_and_changes_nothing(
    model: ProjectModel, tmp_path: Path, content: str, word: str
) -> None:
    bad = tmp_path / "bad.dubwright"
    bad.write_text(content, encoding="utf-8")
    before = model.project
    with pytest.raises(ProjectError, match=word):
        model.open(bad)
    assert model.project is before


def test_a_disk_that_refuses_keeps_the_edit_in_the_app(model: ProjectModel, tmp_path: Path) -> None:
    complaints: list[str] = []
    model.failed.connect(complaints.append)
    model.path = tmp_path / "work" / "clip.mov" / "news.dubwright"  # below a file: cannot be written
    model.change_shot(1, out=50)
    assert model.project.shots[0].out == 50
    assert len(complaints) == 1


def test_a_project_of_the_first_version_opens_and_new_fields_are_kept(model: ProjectModel) -> None:
    plain = json.loads(model.path.read_text(encoding="utf-8"))
    for shot in plain["shots"]:
        for name in ("quality", "prompt", "mask", "leave_alone"):
            del shot[name]
    model.path.write_text(json.dumps({**plain, "version": 1}), encoding="utf-8")
    old = ProjectModel(model.path)
    old.open(model.path)
    assert old.project.shots[0].mask is None
    stroke = PaintOut(points=[(1.5, 2.0), (9.0, 2.0), (9.0, 8.0)], in_=3)
    fields = {"mask": MaskSpec(grow=0.1, paint_out=[stroke]), "leave_alone": [(4, 9)], "prompt": "calm"}
    old.change_shot(1, **fields, quality="final")
    again = read_project(model.path)
    assert again.version == 2
    assert {name: getattr(again.shots[0], name) for name in fields} == fields
    spec = again.shots[0].to_spec()
    assert (spec.mask, spec.leave_alone, spec.quality) == (fields["mask"], [(4, 9)], "final")
