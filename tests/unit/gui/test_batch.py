"""Batches: lists, folders and timelines become rows; each row is a job or a sentence."""

import shutil
from pathlib import Path

import pytest

pytest.importorskip("PySide6.QtCore", reason="Qt or a library it needs is missing", exc_type=ImportError)

from PySide6.QtCore import Qt

from gui.models.batch import BatchError, Row, check, pair_folder, read_list, read_timeline, write_list
from gui.models.batch_table import COLUMNS, BatchTable
from tests.clips import make_clip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a clip, its voice, and a clip without one."""
    made = tmp_path / "rushes"
    made.mkdir()
    clip = make_clip(made / "a.mov", count=20, metadata={"timecode": "01:00:00:00"})
    shutil.copy(clip, made / "b.mov")
    voice = make_clip(tmp_path / "voice.mov", count=20)
    shutil.copy(voice, made / "a.m4a")
    return made


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_a_list_has_its_paths_from_its_folder_and_becomes_jobs(folder: Path) -> None:
    path = write(folder / "list.csv", "clip,voice,in,out,takes\na.mov,a.m4a,01:00:00:02,12,3\na.mov,a.m4a\n")
    rows = read_list(path)
    first, second = (check(row) for row in rows)
    assert first.spec is not None
    assert (first.spec.source, first.spec.in_, first.spec.out) == (str(folder / "a.mov"), 2, 12)
    assert (first.spec.takes, first.spec.voice) == (3, str(folder / "a.m4a"))
    assert second.spec is not None
    assert (second.spec.in_, second.spec.out) == (0, 20)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("a.mov,gone.wav,0,10,1,", "not there"),
        ("gone.mov,a.m4a,0,10,1,", "not there"),
        ("a.mov,a.m4a,0,21,1,", "20 frames"),
        ("a.mov,a.m4a,soon,10,1,", "column in"),
        ("a.mov,a.m4a,0,10,many,", "whole number"),
        ("a.mov,a.m4a,0,10,99,", "from 1 to 64"),
        ("a.mov,a.m4a,10,10,1,", "no frame"),
        ("a.mov,a.m4a,0,10,1,paint", "one of auto, rewrite, wan"),
        ("list.csv,a.m4a,0,10,1,", "not a clip"),
        ("a.mov,list.csv,0,10,1,", "no sound"),
    ],
)
def test_a_row_that_cannot_be_a_job_says_why(folder: Path, line: str, words: str) -> None:
    path = write(folder / "list.csv", f"clip,voice,in,out,takes,engine\n{line}\n")
    found = check(read_list(path)[0])
    assert found.spec is None
    assert words in found.sentence


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("clip;voice\na;b\n", "needs clip and voice"),
        ("clip,voice,colour\na,b,c\n", "colour"),
        ("clip,voice\n", "no rows"),
    ],
)
def test_a_list_that_is_none_is_refused_with_the_columns(tmp_path: Path, content: str, words: str) -> None:
    with pytest.raises(BatchError, match=words):
        read_list(write(tmp_path / "list.csv", content))


def test_a_folder_pairs_clips_with_the_voices_of_their_names(folder: Path) -> None:
    rows = pair_folder(folder)
    assert [(Path(row.clip).name, Path(row.voice).name) for row in rows] == [
        ("a.mov", "a.m4a"),
        ("b.mov", ""),
    ]
    assert "name of its clip" in check(rows[1]).sentence


def test_a_list_that_was_written_is_read_again(folder: Path) -> None:
    rows = pair_folder(folder)
    write_list(rows, folder / "out.csv")
    assert [row.fields for row in read_list(folder / "out.csv")] == [row.fields for row in rows]


def test_a_timeline_gives_the_shots_under_its_voice_track(folder: Path) -> None:
    otio = pytest.importorskip("opentimelineio", reason="the extra `timeline` is not installed")

    def clip(name: str, path: Path) -> object:
        span = otio.opentime.TimeRange(otio.opentime.RationalTime(0, 25), otio.opentime.RationalTime(20, 25))
        media = otio.schema.ExternalReference(target_url=path.as_uri(), available_range=span)
        return otio.schema.Clip(name=name, media_reference=media, source_range=span)

    timeline = otio.schema.Timeline("cut")
    for kind, name, path in (("Video", "V1", folder / "a.mov"), ("Audio", "VO", folder / "a.m4a")):
        track = otio.schema.Track(name=name, kind=kind)
        track.append(clip(name, path))
        timeline.tracks.append(track)
    otio.adapters.write_to_file(timeline, str(folder / "cut.otio"))
    (row,) = read_timeline(folder / "cut.otio", "VO")
    found = check(row)
    assert found.spec is not None, found.sentence
    assert (found.spec.source, found.spec.out) == (str(folder / "a.mov"), 20)
    with pytest.raises(BatchError, match="dialogue"):
        read_timeline(folder / "cut.otio", "dialogue")


def test_a_cell_is_corrected_and_its_row_checked_anew(qt: object, folder: Path) -> None:
    table = BatchTable()
    asked: list[Row] = []
    table.check_wanted.connect(asked.extend)
    table.add([Row(fields={"clip": str(folder / "a.mov"), "voice": str(folder / "a.m4a"), "out": "99"})])
    table.set_checked(asked[0], check(asked[0]))
    assert table.counts()["wrong"] == 1
    column = next(at for at, (name, _) in enumerate(COLUMNS) if name == "out")
    assert table.setData(table.index(0, column), "15")
    table.set_checked(asked[0], check(asked[0]))  # an answer that came too late
    assert table.counts()["checking"] == 1
    table.set_checked(asked[1], check(asked[1]))
    assert table.counts()["ready"] == 1
    table.set_sent(asked[1].key, "k7m2p9qd")
    assert table.ready() == []
    assert not table.flags(table.index(0, column)) & Qt.ItemFlag.ItemIsEditable
    table.remove_sent()
    assert table.rowCount() == 0
